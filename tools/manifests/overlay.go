package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

// Labels and names that the manifests and the rules agree on.
const (
	nameLabel = "app.kubernetes.io/name"
	zoneLabel = "lockstep.dev/zone"
	// standInPrefix begins the name of a stand-in; the rest is in whose place it is.
	standInPrefix = "faulty-"
)

// overlay is one deployment, rendered.
type overlay struct {
	name    string
	objects []object
}

// workload is what makes pods.
type workload struct {
	kind, namespace, name string
	// labels are the workload's own; the pods' are in the template.
	labels   map[string]string
	replicas int32
	template *corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

// String names it in findings.
func (w workload) String() string { return w.namespace + "/" + w.name }

// component is the name in the pods' label.
func (w workload) component() string { return w.template.Labels[nameLabel] }

// ends says whether its pods are to end by themselves.
func (w workload) ends() bool { return w.kind == "Job" }

// containers are all of a pod: first those that run before, then the others.
func (w workload) containers() []corev1.Container {
	return append(slices.Clone(w.template.Spec.InitContainers), w.template.Spec.Containers...)
}

// stays says whether a container runs as long as the pod: a main one of a workload that
// does not end, or a native sidecar.
func (w workload) stays(c corev1.Container) bool {
	if always := c.RestartPolicy; always != nil && *always == corev1.ContainerRestartPolicyAlways {
		return true
	}
	return !w.ends() && slices.ContainsFunc(w.template.Spec.Containers, func(m corev1.Container) bool { return m.Name == c.Name })
}

// workloads are all that make pods in an overlay.
func (o overlay) workloads() []workload {
	var all []workload
	for _, obj := range o.objects {
		switch v := obj.Object.(type) {
		case *appsv1.Deployment:
			all = append(all, workload{"Deployment", v.Namespace, v.Name, v.Labels, replicas(v.Spec.Replicas), &v.Spec.Template, nil})
		case *appsv1.StatefulSet:
			all = append(all, workload{"StatefulSet", v.Namespace, v.Name, v.Labels, replicas(v.Spec.Replicas), &v.Spec.Template, v.Spec.VolumeClaimTemplates})
		case *batchv1.Job:
			all = append(all, workload{"Job", v.Namespace, v.Name, v.Labels, 1, &v.Spec.Template, nil})
		}
	}
	return all
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// of are the objects of one type.
func of[T any](o overlay) []T {
	var all []T
	for _, obj := range o.objects {
		if v, ok := obj.Object.(T); ok {
			all = append(all, v)
		}
	}
	return all
}

// where names an object in findings.
func where(obj object) string {
	m, err := meta.Accessor(obj.Object)
	if err != nil {
		return obj.Kind.Kind
	}
	return strings.TrimPrefix(m.GetNamespace()+"/", "/") + obj.Kind.Kind + "/" + m.GetName()
}

// zones are the zones of the overlay's namespaces, by name.
func (o overlay) zones() map[string]string {
	zones := map[string]string{}
	for _, n := range of[*corev1.Namespace](o) {
		zones[n.Name] = n.Labels[zoneLabel]
	}
	return zones
}

// jobs are rendered together with an overlay that they can run in: alone they have no
// namespace, no service and no policy.
func jobs() map[string]string {
	return map[string]string{"demo": "demo", "player": "bootstrap-secrets"}
}

// overlays renders everything in deploy/overlays, and each folder of deploy/jobs on top
// of its overlay.
func overlays(root string) ([]overlay, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "deploy", "overlays", "*"))
	if err != nil || len(dirs) == 0 {
		return nil, fmt.Errorf("there is no overlay below %s: %w", root, err)
	}
	byName := map[string]overlay{}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "kustomization.yaml")); err != nil {
			return nil, fmt.Errorf("overlay %s: %w", filepath.Base(dir), err)
		}
		objects, err := render(dir)
		if err != nil {
			return nil, err
		}
		byName[filepath.Base(dir)] = overlay{filepath.Base(dir), objects}
	}
	for job, on := range jobs() {
		objects, err := render(filepath.Join(root, "deploy", "jobs", job))
		if err != nil {
			return nil, err
		}
		byName[on] = overlay{on, append(slices.Clone(byName[on].objects), objects...)}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b overlay) int { return strings.Compare(a.name, b.name) }), nil
}
