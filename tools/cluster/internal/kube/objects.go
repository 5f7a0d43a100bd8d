package kube

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Object is one rendered manifest.
type Object struct {
	Kind      string
	Namespace string
	Name      string
	// Text is its YAML, without a separator.
	Text []byte
}

// ID is what identifies it within a cluster, as Deployment lockstep-cloud/idp.
func (o Object) ID() string { return o.Kind + " " + o.Namespace + "/" + o.Name }

// Render renders a kustomization. It needs no cluster.
func (c *Cluster) Render(ctx context.Context, dir string) ([]Object, error) {
	ctx, cancel := context.WithTimeout(ctx, oneCall)
	defer cancel()
	out, err := c.cfg.Shell.Output(ctx, c.cfg.Kubectl, "kustomize", dir)
	if err != nil {
		return nil, err
	}
	return Split(out)
}

// Split takes a stream of YAML documents apart.
func Split(stream []byte) ([]Object, error) {
	var all []Object
	for _, text := range bytes.Split(append([]byte("\n"), stream...), []byte("\n---")) {
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		var head struct {
			Kind     string `yaml:"kind"`
			Metadata struct {
				Name      string `yaml:"name"`
				Namespace string `yaml:"namespace"`
			} `yaml:"metadata"`
		}
		if err := yaml.Unmarshal(text, &head); err != nil {
			return nil, fmt.Errorf("a manifest: %w", err)
		}
		if head.Kind == "" || head.Metadata.Name == "" {
			return nil, fmt.Errorf("a manifest without kind or name: %.80s", text)
		}
		all = append(all, Object{Kind: head.Kind, Namespace: head.Metadata.Namespace, Name: head.Metadata.Name, Text: text})
	}
	return all, nil
}

// Join puts manifests back into a stream.
func Join(objects []Object) []byte {
	var b bytes.Buffer
	for _, o := range objects {
		b.WriteString("---\n")
		b.Write(o.Text)
		b.WriteString("\n")
	}
	return b.Bytes()
}

// Only returns those that fit.
func Only(objects []Object, fit func(Object) bool) []Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return !fit(o) })
}

// Missing returns those of one set that the other lacks: what has to go when the
// other one takes its place.
func Missing(of, in []Object) []Object {
	has := make(map[string]bool, len(in))
	for _, o := range in {
		has[o.ID()] = true
	}
	return Only(of, func(o Object) bool { return !has[o.ID()] })
}

// Images are the images that the manifests name, sorted.
func Images(objects []Object) ([]string, error) {
	var found []string
	for _, o := range objects {
		var tree any
		if err := yaml.Unmarshal(o.Text, &tree); err != nil {
			return nil, fmt.Errorf("%s: %w", o.ID(), err)
		}
		walk(tree, func(key string, value any) {
			if s, ok := value.(string); ok && key == "image" && s != "" {
				found = append(found, s)
			}
		})
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

func walk(tree any, visit func(key string, value any)) {
	switch t := tree.(type) {
	case map[string]any:
		for k, v := range t {
			visit(k, v)
			walk(v, visit)
		}
	case []any:
		for _, v := range t {
			walk(v, visit)
		}
	}
}

// Apply applies manifests server-side, which has no limit on their size and finds
// fields that nobody owns any more.
func (c *Cluster) Apply(ctx context.Context, objects []Object) error {
	if len(objects) == 0 {
		return nil
	}
	_, err := c.Feed(ctx, Join(objects), "apply", "--server-side", "--force-conflicts", "--field-manager=lockstep", "-f", "-")
	return err
}

// DryRun asks the server whether it would take the manifests: schema, defaults,
// validation and admission of a real server, and nothing is stored. It returns what
// the server said, refusals and warnings alike.
func (c *Cluster) DryRun(ctx context.Context, objects []Object) (string, error) {
	out, err := c.Feed(ctx, Join(objects), "apply", "--server-side", "--force-conflicts", "--field-manager=lockstep", "--dry-run=server", "--validate=strict", "-f", "-")
	return string(out), err
}

// Delete removes objects that may be there with all that is theirs, and waits for their end.
func (c *Cluster) Delete(ctx context.Context, objects []Object) error {
	if len(objects) == 0 {
		return nil
	}
	_, err := c.Feed(ctx, Join(objects), "delete", "--ignore-not-found", "--cascade=foreground", "--timeout=90s", "-f", "-")
	return err
}

// Short is a namespace without what all of them begin with.
func Short(namespace string) string { return strings.TrimPrefix(namespace, "lockstep-") }
