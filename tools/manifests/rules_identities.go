package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	// identitySigner and actorAnnotation are the signer of tools/identity and what a pod
	// asks it by; identitySecret begins the name of a Secret of its bootstrap.
	identitySigner, actorAnnotation = "lockstep.dev/component", "lockstep.dev/actor"
	identitySecret                  = "identity-"
	// trustedBy is the label of a signer's bundle with the namespace whose it is.
	trustedBy = "lockstep.dev/trusted-by"
)

// account is what the pods of a ServiceAccount may be, in the table of identities.
type account struct {
	Name   string   `yaml:"name"`
	Actors []string `yaml:"actors"`
}

func (a account) may(name string) bool {
	return name != "" && (name == a.Name || slices.Contains(a.Actors, name))
}

// whoIsWho is the table of identities of an overlay, by namespace and account.
func whoIsWho(o overlay) (map[string]map[string]account, error) {
	all := map[string]map[string]account{}
	for _, c := range of[*corev1.ConfigMap](o) {
		text, there := c.Data["table.yaml"]
		if !there {
			continue
		}
		var t struct {
			Namespaces map[string]struct {
				Accounts map[string]account `yaml:"accounts"`
			} `yaml:"namespaces"`
		}
		if err := yaml.Unmarshal([]byte(text), &t); err != nil {
			return nil, fmt.Errorf("table of identities: %w", err)
		}
		for n, of := range t.Namespaces {
			all[n] = of.Accounts
		}
	}
	return all, nil
}

// otherSecrets are those that are no identity, and whose pods they are for.
func otherSecrets() map[string][]string {
	return map[string][]string{"idp-database": {"idp", "postgres"}}
}

// identities are mounted by those alone whose they are: by the table where it is a Secret,
// which every pod of the namespace could name; and who asks the signer trusts whom its own
// namespace trusts.
func identities(_ law, o overlay) ([]string, error) {
	table, err := whoIsWho(o)
	if err != nil {
		return nil, err
	}
	return each(o, func(w workload, say func(string, ...any)) {
		own := table[w.namespace][w.template.Spec.ServiceAccountName]
		secret := func(name string) {
			if who, identity := strings.CutPrefix(name, identitySecret); identity && !own.may(who) {
				say("mounts the identity of %s", who)
			} else if !identity && !slices.Contains(otherSecrets()[name], realName(w.component())) {
				say("mounts the Secret %s", name)
			}
		}
		for _, v := range w.template.Spec.Volumes {
			if v.Secret != nil {
				secret(v.Secret.SecretName)
			}
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					secret(s.Secret.Name)
				}
				asks(w, own, s, say)
			}
		}
	}), nil
}

// ownBundle says whether pods find a bundle as they have to: by its signer and the label
// with their namespace, and not by name, which the kubelet reads up to five minutes late.
func ownBundle(b *corev1.ClusterTrustBundleProjection, namespace string) bool {
	return b.Name == nil && b.SignerName != nil && *b.SignerName == identitySigner && b.LabelSelector != nil &&
		len(b.LabelSelector.MatchExpressions) == 0 && maps.Equal(b.LabelSelector.MatchLabels, map[string]string{trustedBy: namespace})
}

// asks judges what a volume asks of the signer.
func asks(w workload, own account, s corev1.VolumeProjection, say func(string, ...any)) {
	if b := s.ClusterTrustBundle; b != nil && !ownBundle(b, w.namespace) {
		say("trusts another bundle than that of %s with its namespace as %s", identitySigner, trustedBy)
	}
	c := s.PodCertificate
	if c == nil {
		return
	}
	name, asked := c.UserAnnotations[actorAnnotation]
	if !asked {
		name = own.Name
	}
	if c.SignerName != identitySigner || len(c.UserAnnotations) > 1 || len(c.UserAnnotations) == 1 && !asked || !own.may(name) {
		say("asks %s for a name that the table does not give it: %q", c.SignerName, name)
	}
}
