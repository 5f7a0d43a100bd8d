package main

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// placeVariable is the variable that says where a component runs (pkg/obs), and place what
// it says: nothing that two pods have in common.
const (
	placeVariable = "OTEL_RESOURCE_ATTRIBUTES"
	place         = "service.namespace=$(NAMESPACE),service.instance.id=$(POD)"
)

// places: every component that exports says where it runs, by what the pod itself is, so that
// a collector tells devices apart. The parts come first, or they would not be filled in.
func places(_ law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		for _, c := range w.template.Spec.Containers {
			if !slices.Contains(append(components(), "browsercore"), imageName(c.Image)) || !own(c.Image) {
				continue
			}
			var seen []string
			for _, e := range c.Env {
				switch {
				case e.Name == placeVariable && e.Value == place && slices.Contains(seen, "NAMESPACE") && slices.Contains(seen, "POD"):
					seen = append(seen, placeVariable)
				case e.Name == "NAMESPACE" && fieldOf(e) == "metadata.namespace", e.Name == "POD" && fieldOf(e) == "metadata.name":
					seen = append(seen, e.Name)
				}
			}
			if !slices.Contains(seen, placeVariable) {
				say("%s does not say where it runs: %s=%s, after NAMESPACE and POD", c.Name, placeVariable, place)
			}
		}
	}), nil
}

// fieldOf is the field of the pod that a variable is, or empty.
func fieldOf(e corev1.EnvVar) string {
	if e.ValueFrom == nil || e.ValueFrom.FieldRef == nil {
		return ""
	}
	return e.ValueFrom.FieldRef.FieldPath
}
