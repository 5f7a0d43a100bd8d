// Package checks holds what cluster-test judges: whether a real API server takes the
// manifests, whether what runs does what it should, and whether what must not be
// possible is refused. Each check says in one line what it saw.
// What never may live here: how a cluster is reached, which is package kube's. The command
// test calls it.
package checks

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/judge"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
)

// Manifests judges what a server says of the manifests.
type Manifests struct {
	Cluster *kube.Cluster
	Court   *judge.Court
	// Stage names the kind of server.
	Stage string
	// Overlays and Jobs are the folders of the kustomizations, one a folder.
	Overlays, Jobs string
}

// Run makes all checks.
func (m Manifests) Run(ctx context.Context) {
	dirs, err := filepath.Glob(filepath.Join(m.Overlays, "*", "kustomization.yaml"))
	if err != nil || len(dirs) == 0 {
		m.Court.Check(m.Stage, "overlays", "", func() (string, error) {
			return "", errors.Join(fmt.Errorf("no overlay in %s", m.Overlays), err)
		})
		return
	}
	// After the overlays, for their namespaces are there then.
	jobs, err := filepath.Glob(filepath.Join(m.Jobs, "*", "kustomization.yaml"))
	if err != nil {
		jobs = nil // the pattern is right
	}
	dirs = append(dirs, jobs...)
	var first []kube.Object
	for _, file := range dirs {
		objects, err := m.Cluster.Render(ctx, filepath.Dir(file))
		name := filepath.Base(filepath.Dir(file))
		m.Court.Check(m.Stage, kindOf(file)+" "+name+" is taken", "", func() (string, error) {
			if err != nil {
				return "", err
			}
			return m.taken(ctx, objects)
		})
		if first == nil {
			first = objects
		}
	}
	m.Court.Check(m.Stage, "a privileged pod is refused in every namespace", "T4", func() (string, error) {
		return m.privileged(ctx, first)
	})
	m.Court.Check(m.Stage, "a misspelt field is refused", "", func() (string, error) { return m.misspelt(ctx) })
}

// kindOf is overlay or job, by the folder.
func kindOf(file string) string {
	return strings.TrimSuffix(filepath.Base(filepath.Dir(filepath.Dir(file))), "s")
}

// taken has the server judge an overlay and the pods that its controllers would make.
// A dry run does not find what the same call would create, so the namespaces and the
// accounts that pods need are created first.
func (m Manifests) taken(ctx context.Context, objects []kube.Object) (string, error) {
	if err := m.Cluster.Apply(ctx, before(objects)); err != nil {
		return "", err
	}
	// A Job that is there, from a play before, cannot become another one.
	if err := m.Cluster.Delete(ctx, kube.Only(objects, func(o kube.Object) bool { return o.Kind == "Job" })); err != nil {
		return "", err
	}
	said, err := m.Cluster.DryRun(ctx, objects)
	if err != nil {
		return "", err
	}
	pods, err := kube.Pods(objects)
	if err != nil {
		return "", err
	}
	if len(pods) == 0 {
		return "", errors.New("it has no pods")
	}
	for _, p := range pods {
		if _, err := m.Cluster.Feed(ctx, p.Text, "create", "--dry-run=server", "--validate=strict", "-f", "-"); err != nil {
			return "", fmt.Errorf("pod of %s in %s: %w", p.Name, p.Namespace, err)
		}
	}
	return fmt.Sprintf("%d objects, %d pods admitted", strings.Count(said, "serverside-applied"), len(pods)), nil
}

// privileged shows that admission works where ours is admitted: the same pod is
// refused in each of our namespaces and, as a control, taken in one without the rule.
func (m Manifests) privileged(ctx context.Context, objects []kube.Object) (string, error) {
	spaces := namespaces(objects)
	if len(spaces) == 0 {
		return "", errors.New("no namespace among the manifests")
	}
	for _, ns := range spaces {
		err := m.create(ctx, ns.Name)
		if err == nil {
			return "", fmt.Errorf("namespace %s admits a privileged pod", ns.Name)
		}
		if !strings.Contains(err.Error(), "violates PodSecurity") {
			return "", fmt.Errorf("namespace %s refuses it for another reason: %w", ns.Name, err)
		}
	}
	if err := m.create(ctx, "default"); err != nil {
		return "", fmt.Errorf("the control failed, so it is not PodSecurity that refuses: %w", err)
	}
	return fmt.Sprintf("PodSecurity refuses it in %d namespaces and admits it in default, the control", len(spaces)), nil
}

func (m Manifests) create(ctx context.Context, namespace string) error {
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"intruder","namespace":"` + namespace + `"},
"spec":{"hostPID":true,"containers":[{"name":"c","image":"lockstep/lockstep:dev","securityContext":{"privileged":true}}]}}`
	_, err := m.Cluster.Feed(ctx, []byte(pod), "create", "--dry-run=server", "-f", "-")
	return err
}

// misspelt shows that the check of the schema can fail.
func (m Manifests) misspelt(ctx context.Context) (string, error) {
	const text = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"misspelt","namespace":"default"},"dataa":{"a":"b"}}`
	_, err := m.Cluster.Feed(ctx, []byte(text), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
	if err == nil {
		return "", errors.New("the server takes a ConfigMap with the field dataa")
	}
	if !strings.Contains(err.Error(), "dataa") {
		return "", fmt.Errorf("refused for another reason: %w", err)
	}
	return "the server names the field dataa", nil
}

// before are the namespaces, and then the accounts.
func before(objects []kube.Object) []kube.Object {
	return append(namespaces(objects), kube.Only(objects, func(o kube.Object) bool { return o.Kind == "ServiceAccount" })...)
}

func namespaces(objects []kube.Object) []kube.Object {
	return kube.Only(objects, func(o kube.Object) bool { return o.Kind == "Namespace" })
}
