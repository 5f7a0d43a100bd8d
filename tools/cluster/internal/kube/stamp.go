package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// stampName is the annotation of a pod that says what its images were.
const stampName = "lockstep.dev/images"

// Stamp writes into every workload which images its pods have, by their digests: a tag
// such as dev says nothing of what is behind it, and pods whose specification stays as it
// was would run on with the images of yesterday.
func Stamp(objects []Object, digest map[string]string) ([]Object, error) {
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
		if stamped[i].Text, err = annotate(o, strings.Join(ids, " ")); err != nil {
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

func annotate(o Object, stamp string) ([]byte, error) {
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
	notes[stampName] = stamp
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.ID(), err)
	}
	return text, nil
}
