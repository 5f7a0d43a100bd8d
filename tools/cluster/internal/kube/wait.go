package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// workload is what the rollouts of Deployment, StatefulSet and DaemonSet have in common.
type workload struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name       string `json:"name"`
		Namespace  string `json:"namespace"`
		Generation int64  `json:"generation"`
	} `json:"metadata"`
	Spec struct {
		Replicas *int64 `json:"replicas"`
	} `json:"spec"`
	Status struct {
		Observed  int64 `json:"observedGeneration"`
		Replicas  int64 `json:"replicas"`
		Updated   int64 `json:"updatedReplicas"`
		Ready     int64 `json:"readyReplicas"`
		Desired   int64 `json:"desiredNumberScheduled"`
		DaemonNew int64 `json:"updatedNumberScheduled"`
		DaemonOK  int64 `json:"numberReady"`
	} `json:"status"`
}

// ready says whether the new pods, all of them and no others, are ready.
func (w workload) ready() bool {
	if w.Status.Observed < w.Metadata.Generation {
		return false
	}
	if w.Kind == "DaemonSet" {
		return w.Status.Desired > 0 && w.Status.DaemonNew == w.Status.Desired && w.Status.DaemonOK == w.Status.Desired
	}
	want := int64(1)
	if w.Spec.Replicas != nil {
		want = *w.Spec.Replicas
	}
	return w.Status.Replicas == want && w.Status.Updated == want && w.Status.Ready == want
}

// Workloads are the objects that have pods which stay.
func Workloads(objects []Object) []Object {
	return Only(objects, func(o Object) bool {
		return slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, o.Kind)
	})
}

// WaitReady waits until every workload among objects has its pods ready. When within
// ends first, the error names those that are not, and what is known of them went to
// Progress.
func (c *Cluster) WaitReady(ctx context.Context, objects []Object, within time.Duration) error {
	want := Workloads(objects)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	begin, last := time.Now(), ""
	var left []Object
	for {
		now, err := c.notReady(ctx, want)
		if err == nil {
			left = now
			if len(left) == 0 {
				c.say("  %s  %d of %d ready", elapsed(begin), len(want), len(want))
				return nil
			}
			if line := names(left, 6); line != last {
				last = line
				c.say("  %s  %d of %d ready, waiting for %s", elapsed(begin), len(want)-len(left), len(want), line)
			}
		}
		if c.sleep(ctx) != nil {
			c.Diagnose(context.WithoutCancel(ctx), namespaces(left))
			return errors.Join(fmt.Errorf("not ready after %s: %s", within, names(left, 20)), err)
		}
	}
}

func (c *Cluster) notReady(ctx context.Context, want []Object) ([]Object, error) {
	var list struct {
		Items []workload `json:"items"`
	}
	if err := c.Get(ctx, &list, "deployments,statefulsets,daemonsets", "--all-namespaces"); err != nil {
		return want, err
	}
	ready := make(map[string]bool)
	for _, w := range list.Items {
		ready[Object{Kind: w.Kind, Namespace: w.Metadata.Namespace, Name: w.Metadata.Name}.ID()] = w.ready()
	}
	return Only(want, func(o Object) bool { return !ready[o.ID()] }), nil
}

// WaitFor asks until the answer is yes. what ends the sentence "waiting for ...";
// namespaces are those to look into when the time is over.
func (c *Cluster) WaitFor(ctx context.Context, what string, within time.Duration, look []string, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c.say("  waiting for %s", what)
	for {
		yes, err := ask(ctx)
		if err == nil && yes {
			return nil
		}
		if c.sleep(ctx) != nil {
			c.Diagnose(context.WithoutCancel(ctx), look)
			return errors.Join(fmt.Errorf("waited %s for %s", within, what), err)
		}
	}
}

func elapsed(begin time.Time) string {
	d := time.Since(begin).Round(time.Second)
	return fmt.Sprintf("%2d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func names(objects []Object, most int) string {
	var all []string
	for _, o := range objects {
		all = append(all, o.Name+" ("+Short(o.Namespace)+")")
	}
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}

func namespaces(objects []Object) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
