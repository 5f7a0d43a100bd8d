package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const (
	// imagesNote is the annotation of a pod that says what its images were, trustsNote whose
	// authorities its namespace trusts.
	imagesNote, trustsNote = "lockstep.dev/images", "lockstep.dev/trusts"
	// tableKey is where a ConfigMap has the table of identities.
	tableKey = "table.yaml"
)

// Stamp writes into every workload which images its pods have, by their digests: a tag
// such as dev says nothing of what is behind it, and pods whose specification stays as it
// was would run on with the images of yesterday. It writes too whom their namespace trusts,
// by the table of identities: pods that run get a new bundle a minute or two later, and
// refuse a device until then that came in between.
func Stamp(objects []Object, digest map[string]string) ([]Object, error) {
	trusts, err := trusted(objects)
	if err != nil {
		return nil, err
	}
	stamped := slices.Clone(objects)
	for i, o := range stamped {
		if len(Workloads([]Object{o})) == 0 {
			continue
		}
		images, err := Images([]Object{o})
		if err != nil {
			return nil, err
		}
		var ids []string
		for _, image := range images {
			if id := digest[image]; id != "" {
				ids = append(ids, short(id))
			}
		}
		notes := map[string]string{imagesNote: strings.Join(ids, " ")}
		if whom := trusts[o.Namespace]; len(whom) > 0 {
			notes[trustsNote] = strings.Join(whom, " ")
		}
		if stamped[i].Text, err = annotate(o, notes); err != nil {
			return nil, err
		}
	}
	return stamped, nil
}

// short is the beginning of a digest.
func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(len(id), 16)]
}

// trusted is whom each namespace trusts, sorted, because the order in the table means nothing.
func trusted(objects []Object) (map[string][]string, error) {
	all := map[string][]string{}
	for _, o := range objects {
		if o.Kind != "ConfigMap" {
			continue
		}
		var c struct {
			Data map[string]string `yaml:"data"`
		}
		if err := yaml.Unmarshal(o.Text, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", o.ID(), err)
		}
		var t struct {
			Namespaces map[string]struct {
				Trusts []string `yaml:"trusts"`
			} `yaml:"namespaces"`
		}
		if err := yaml.Unmarshal([]byte(c.Data[tableKey]), &t); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", o.ID(), tableKey, err)
		}
		for name, n := range t.Namespaces {
			slices.Sort(n.Trusts)
			all[name] = n.Trusts
		}
	}
	return all, nil
}

func annotate(o Object, add map[string]string) ([]byte, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(o.Text, &tree); err != nil {
		return nil, fmt.Errorf("%s: %w", o.ID(), err)
	}
	spec, _ := tree["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	if template == nil {
		return nil, fmt.Errorf("%s has no template", o.ID())
	}
	meta, _ := template["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		template["metadata"] = meta
	}
	notes, _ := meta["annotations"].(map[string]any)
	if notes == nil {
		notes = map[string]any{}
		meta["annotations"] = notes
	}
	for name, text := range add {
		notes[name] = text
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.ID(), err)
	}
	return text, nil
}
