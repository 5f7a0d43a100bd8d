package kube

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
)

// Pods makes of every workload and Job one pod as its controller would create it.
// Admission judges pods: of a Deployment it only warns.
func Pods(objects []Object) ([]Object, error) {
	var all []Object
	for _, o := range objects {
		if !slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "Job"}, o.Kind) {
			continue
		}
		var w struct {
			Spec struct {
				Template struct {
					Metadata map[string]any `yaml:"metadata"`
					Spec     map[string]any `yaml:"spec"`
				} `yaml:"template"`
				Claims []struct {
					Metadata struct {
						Name string `yaml:"name"`
					} `yaml:"metadata"`
				} `yaml:"volumeClaimTemplates"`
			} `yaml:"spec"`
		}
		if err := yaml.Unmarshal(o.Text, &w); err != nil {
			return nil, fmt.Errorf("%s: %w", o.ID(), err)
		}
		meta := map[string]any{"name": o.Name + "-probe", "namespace": o.Namespace}
		for _, k := range []string{"labels", "annotations"} {
			if v, ok := w.Spec.Template.Metadata[k]; ok {
				meta[k] = v
			}
		}
		spec := w.Spec.Template.Spec
		if len(w.Spec.Claims) > 0 {
			volumes, _ := spec["volumes"].([]any)
			for _, c := range w.Spec.Claims {
				volumes = append(volumes, map[string]any{"name": c.Metadata.Name, "emptyDir": map[string]any{}})
			}
			spec["volumes"] = volumes
		}
		text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
		if err != nil {
			return nil, fmt.Errorf("pod of %s: %w", o.ID(), err)
		}
		all = append(all, Object{Kind: "Pod", Namespace: o.Namespace, Name: o.Name + "-probe", Text: text})
	}
	return all, nil
}
