package main

import (
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// volumes are a pod's own: nothing of the node, nothing that another workload has too,
// and bounded where they grow (T4).
func volumes(_ law, o overlay) ([]string, error) {
	claimed := map[string]string{}
	return each(o, func(w workload, say func(string, ...any)) {
		for _, v := range w.template.Spec.Volumes {
			switch {
			case v.EmptyDir != nil:
				if v.EmptyDir.SizeLimit == nil {
					say("volume %s has no sizeLimit", v.Name)
				}
			case v.PersistentVolumeClaim != nil:
				claim := w.namespace + "/" + v.PersistentVolumeClaim.ClaimName
				if by := claimed[claim]; by != "" {
					say("shares the claim %s with %s", claim, by)
				}
				claimed[claim] = w.String()
			case v.Secret != nil, v.Projected != nil, v.ConfigMap != nil:
			default:
				say("volume %s is of a kind that is not used here", v.Name)
			}
		}
		for _, c := range w.claims {
			if !slices.Equal(c.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}) {
				say("claim %s can be mounted by others", c.Name)
			}
		}
		for _, c := range w.containers() {
			for _, m := range c.VolumeMounts {
				if m.MountPropagation != nil {
					say("%s: mounts of %s propagate", c.Name, m.Name)
				}
			}
		}
	}), nil
}

// secretWord is what the name of a variable or a flag has that carries a secret.
var secretWord = regexp.MustCompile(`(?i)(password|passwd|secret|token|private|credential|api[-_]?key|dsn)`)

// secretValue is what no manifest may hold: a key in PEM, or a URL with a password.
var secretValue = regexp.MustCompile(`PRIVATE KEY|[a-z]+://[^/\s:@]+:[^/\s@]+@`)

// secrets are files: not in the environment, not in arguments, and no object of a
// manifest has one (T6, statically).
func secrets(_ law, o overlay) ([]string, error) {
	bad := each(o, func(w workload, say func(string, ...any)) {
		for _, c := range w.containers() {
			if len(c.EnvFrom) > 0 {
				say("%s takes its environment from an object", c.Name)
			}
			for _, e := range c.Env {
				if e.ValueFrom != nil && e.ValueFrom.FieldRef == nil {
					say("%s: %s is not a value and not a field of the pod", c.Name, e.Name)
				}
				if secretWord.MatchString(e.Name) && !strings.HasPrefix(e.Value, "/") {
					say("%s: a secret in the environment: %s", c.Name, e.Name)
				}
			}
			for _, a := range c.Args {
				if name, value, ok := strings.Cut(strings.TrimPrefix(a, "--set="), "="); ok && secretWord.MatchString(name) && !strings.Contains(value, "/") {
					say("%s: a secret in an argument: %s", c.Name, name)
				}
			}
		}
	})
	for _, obj := range o.objects {
		if s, ok := obj.Object.(*corev1.Secret); ok && len(s.Data)+len(s.StringData) > 0 {
			bad = append(bad, where(obj)+" holds values")
		}
		if secretValue.Match(obj.YAML) {
			bad = append(bad, where(obj)+" holds a key or a password")
		}
	}
	return bad, nil
}
