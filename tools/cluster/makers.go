package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
)

const (
	// makersMap is the ConfigMap of the cloud with the makers of TPMs that it trusts.
	makersMap, cloudNamespace = "tpm-makers", "lockstep-cloud"
	// agentName has a TPM beside it, in the container tpm of the image softtpm.
	agentName, tpmName, softTPM = "tpm-agent", "tpm", "lockstep/softtpm:"
	// makerName is the name of every maker of emulated TPMs (pkg/tpmca).
	makerName = "Lockstep emulated TPM CA"
	// maxMakerText bounds what a device may say of its maker, in bytes, and maxMakers how many
	// there may be: with more than that idp does not start (services/idp/wire.go).
	maxMakerText, maxMakers = 16 << 10, 64
)

// trustMakers has the cloud trust the makers of the emulated TPMs of the devices that are
// deployed. It is the operator's act, by rights over the cluster: a device has no way to
// write whom the cloud trusts, and the cloud asks no device.
func (w *world) trustMakers(ctx context.Context, c *kube.Cluster, objects []kube.Object) error {
	makers := map[string]string{}
	for _, o := range objects {
		folder, err := makerFolder(o)
		if err != nil {
			return err
		}
		if folder == "" {
			continue
		}
		out, err := c.Kubectl(ctx, "exec", "-n", o.Namespace, o.Name+"-0", "-c", tpmName, "--", "/app", "ca", "--ca="+folder)
		if err != nil {
			return fmt.Errorf("the maker of the TPM of %s: %w", kube.Short(o.Namespace), err)
		}
		if err := addMaker(makers, out); err != nil {
			return fmt.Errorf("the maker of the TPM of %s: %w", kube.Short(o.Namespace), err)
		}
	}
	was, err := w.trustedMakers(ctx, c)
	if err != nil || maps.Equal(was, makers) {
		return err
	}
	w.say("telling the cloud the makers of %d TPMs", len(makers))
	object, err := makersObject(makers)
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, []kube.Object{object}); err != nil {
		return err
	}
	return w.restart(ctx, c, "idp", objects)
}

// makerFolder is where the TPM of a tpm-agent has its maker, or empty for other objects and
// for TPMs without one.
func makerFolder(o kube.Object) (string, error) {
	if o.Kind != "StatefulSet" || o.Name != agentName {
		return "", nil
	}
	var set struct {
		Spec struct {
			Template struct {
				Spec struct {
					Init []struct {
						Name  string   `yaml:"name"`
						Image string   `yaml:"image"`
						Args  []string `yaml:"args"`
					} `yaml:"initContainers"`
				} `yaml:"spec"`
			} `yaml:"template"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(o.Text, &set); err != nil {
		return "", fmt.Errorf("%s: %w", o.ID(), err)
	}
	for _, c := range set.Spec.Template.Spec.Init {
		if c.Name != tpmName || !strings.HasPrefix(c.Image, softTPM) {
			continue
		}
		for _, arg := range c.Args {
			if folder, ok := strings.CutPrefix(arg, "--ca="); ok {
				return folder, nil
			}
		}
	}
	return "", nil
}

// addMaker takes what a device says of its maker: one certificate of an authority that calls
// itself emulated, and nothing else.
func addMaker(makers map[string]string, text []byte) error {
	if len(text) > maxMakerText {
		return fmt.Errorf("it is longer than %d bytes", maxMakerText)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("it is not one certificate in PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("its certificate: %w", err)
	}
	if !cert.IsCA || cert.Subject.CommonName != makerName {
		return fmt.Errorf("its certificate is not that of a %q", makerName)
	}
	sum := sha256.Sum256(block.Bytes)
	name := hex.EncodeToString(sum[:]) + ".pem" // whole: nobody's maker takes the place of another
	if _, there := makers[name]; !there && len(makers) >= maxMakers {
		return fmt.Errorf("the cloud takes %d makers at most", maxMakers)
	}
	makers[name] = string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
	return nil
}

// trustedMakers are those that the cloud was told before.
func (w *world) trustedMakers(ctx context.Context, c *kube.Cluster) (map[string]string, error) {
	var list struct {
		Items []struct {
			Data map[string]string `json:"data"`
		} `json:"items"`
	}
	if err := c.Get(ctx, &list, "configmaps", "-n", cloudNamespace, "--field-selector", "metadata.name="+makersMap); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, i := range list.Items {
		maps.Copy(all, i.Data)
	}
	return all, nil
}

func makersObject(makers map[string]string) (kube.Object, error) {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": makers,
		"metadata": map[string]any{"name": makersMap, "namespace": cloudNamespace, "labels": map[string]string{"app.kubernetes.io/part-of": "lockstep"}},
	})
	if err != nil {
		return kube.Object{}, fmt.Errorf("%s: %w", makersMap, err)
	}
	return kube.Object{Kind: "ConfigMap", Namespace: cloudNamespace, Name: makersMap, Text: text}, nil
}
