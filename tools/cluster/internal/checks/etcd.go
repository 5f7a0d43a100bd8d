package checks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/judge"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// signerNamespace is where the one private key in PEM may lie: that of the authority.
const signerNamespace = "lockstep-identity"

// Store searches what the cluster stores for what it must not (threat T6): all of etcd,
// with what was overwritten and not yet compacted, the specifications of all pods, and
// their logs.
type Store struct {
	Cluster *kube.Cluster
	Court   *judge.Court
	Shell   *sh.Shell
	// Nodes are the containers that are control planes.
	Nodes []string
	// Heard is what errands and pods said that are gone.
	Heard *Heard
	Stage string
}

// canaries are the passwords that the demo types. A test holds this list to the demo's.
func canaries() []string {
	return []string{
		"correct horse battery staple", "staple battery horse correct", "no devices for dave", "two factors are better",
		"every method has its day", "fabrikam makes everything", "administrators need long passwords", "federated horse",
	}
}

func forbidden() []needle {
	var all []needle
	for _, c := range canaries() {
		all = append(all, needles("the password "+fmt.Sprintf("%.7s...", c), c)...)
	}
	return all
}

// Run makes all checks.
func (s Store) Run(ctx context.Context) {
	s.Court.Check(s.Stage, "etcd has no password, no token, no PRT, and no private key but the authority's", "T6", func() (string, error) { return s.etcd(ctx) })
	s.Court.Check(s.Stage, "no secret in a pod's specification, and none by its environment", "T6", func() (string, error) { return s.specs(ctx) })
	s.Court.Check(s.Stage, "no password and no token in a log", "T6 OBS11", func() (string, error) { return s.logs(ctx) })
}

// etcd reads the files of the database out of the nodes. A canary that is put in first
// shows that the search finds what is there.
func (s Store) etcd(ctx context.Context) (string, error) {
	planted := rand.Text()
	const name = "lockstep-canary"
	make1 := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"default"},"data":{"canary":%q}}`, name, planted)
	object := []kube.Object{{Kind: "ConfigMap", Namespace: "default", Name: name, Text: []byte(make1)}}
	if err := s.Cluster.Apply(ctx, object); err != nil {
		return "", err
	}
	defer func() { _ = s.Cluster.Delete(context.WithoutCancel(ctx), object) }()
	allowed, err := s.authority(ctx)
	if err != nil {
		return "", err
	}
	seen, read := false, int64(0)
	for _, node := range s.Nodes {
		bad, proof := newSearch(forbidden()), newSearch([]needle{{"planted", []byte(planted)}})
		err := s.Shell.Run(ctx, sh.Job{Name: "docker", Args: []string{"cp", node + ":/var/lib/etcd", "-"}, Out: both{bad, proof}})
		if err != nil {
			if strings.Contains(err.Error(), "Could not find the file") {
				continue // a worker
			}
			return "", err
		}
		bad.end()
		proof.end()
		seen = seen || proof.found["planted"] > 0
		read += bad.read
		if err := bad.verdict("etcd of "+node, allowed); err != nil {
			return "", err
		}
	}
	if !seen {
		return "", errors.New("not even the canary that was put in was found: the search is blind")
	}
	return fmt.Sprintf("%d MiB searched, the planted canary found, %d passwords and all JOSE heads not", read>>20, len(canaries())), nil
}

// authority has the exceptions: what the signer keeps, and what kubeadm signs.
func (s Store) authority(ctx context.Context) ([][]byte, error) {
	var list struct {
		Items []struct {
			Data map[string]string `json:"data"`
		} `json:"items"`
	}
	if err := s.Cluster.Get(ctx, &list, "secrets", "-n", signerNamespace); err != nil {
		return nil, err
	}
	var all [][]byte
	for _, i := range list.Items {
		for _, v := range i.Data {
			raw, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return nil, fmt.Errorf("a secret of %s: %w", signerNamespace, err)
			}
			all = append(all, raw)
		}
	}
	// kubeadm signs how to join the cluster for whoever joins, as a JWS, in public.
	info, err := s.Cluster.Kubectl(ctx, "get", "configmap", "cluster-info", "-n", "kube-public", "-o", "jsonpath={.data}")
	if err != nil {
		return nil, err
	}
	return append(all, info), nil
}

// specs looks at pods, what makes them, and ConfigMaps as the API shows them.
func (s Store) specs(ctx context.Context) (string, error) {
	bad := newSearch(forbidden())
	counted := 0
	for _, kind := range []string{"pods", "deployments,statefulsets,daemonsets,jobs", "configmaps"} {
		var list struct {
			Items []json.RawMessage `json:"items"`
		}
		if err := s.Cluster.Get(ctx, &list, kind, "--all-namespaces", "-l", "app.kubernetes.io/part-of=lockstep"); err != nil {
			return "", err
		}
		for _, i := range list.Items {
			counted++
			if strings.Contains(string(i), `"secretKeyRef"`) || strings.Contains(string(i), `"secretRef"`) {
				return "", fmt.Errorf("a secret by the environment: %.200s", i)
			}
			if _, err := bad.Write(i); err != nil {
				return "", err
			}
		}
	}
	bad.end()
	if counted == 0 {
		return "", errors.New("nothing of ours is there")
	}
	return fmt.Sprintf("%d objects", counted), bad.verdict("the specifications", nil)
}

// both gives what is written to two searches.
type both struct{ one, two *search }

// Write writes to both.
func (b both) Write(p []byte) (int, error) {
	if _, err := b.one.Write(p); err != nil {
		return 0, err
	}
	return b.two.Write(p)
}
