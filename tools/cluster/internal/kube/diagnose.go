package kube

import (
	"context"
	"strings"
	"time"
)

const (
	// diagnosis bounds all that is asked when something is wrong: a cluster that does
	// not answer must not keep the report for itself.
	diagnosis = 2 * time.Minute
	// oneQuestion bounds each question of it.
	oneQuestion = 20 * time.Second
	// eventLines and logLines are how much of each is shown.
	eventLines, logLines = 25, "20"
	// podsAtMost bounds how many pods' logs are shown.
	podsAtMost = 8
)

// pod is what a diagnosis and a Job need of a pod.
type pod struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Deleted   string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Status struct {
		Phase      string      `json:"phase"`
		Init       []container `json:"initContainerStatuses"`
		Containers []container `json:"containerStatuses"`
	} `json:"status"`
}

type container struct {
	Name     string `json:"name"`
	Ready    bool   `json:"ready"`
	Started  bool   `json:"started"`
	Restarts int    `json:"restartCount"`
	State    struct {
		Terminated *struct {
			ExitCode int    `json:"exitCode"`
			Reason   string `json:"reason"`
		} `json:"terminated"`
		Running *struct{} `json:"running"`
		Waiting *struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"waiting"`
	} `json:"state"`
}

// ill says whether a container is not as it should be.
func (c container) ill() bool {
	if t := c.State.Terminated; t != nil {
		return t.ExitCode != 0
	}
	return !c.Ready
}

// Diagnose prints what is known of the pods in the namespaces that are not ready:
// the pods, the newest events, and the last lines of their logs.
func (c *Cluster) Diagnose(ctx context.Context, namespaces []string) {
	ctx, cancel := context.WithTimeout(ctx, diagnosis)
	defer cancel()
	for _, ns := range namespaces {
		c.say("\n--- pods in %s", ns)
		c.show(ctx, 0, "get", "pods", "-n", ns, "-o", "wide")
		c.say("--- newest events in %s", ns)
		c.show(ctx, eventLines, "get", "events", "-n", ns, "--sort-by=.lastTimestamp",
			"-o", "custom-columns=AT:.lastTimestamp,OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message")
		c.logs(ctx, ns)
	}
}

func (c *Cluster) logs(ctx context.Context, ns string) {
	var list struct {
		Items []pod `json:"items"`
	}
	if err := c.Get(ctx, &list, "pods", "-n", ns); err != nil {
		c.say("pods: %v", err)
		return
	}
	shown := 0
	for _, p := range list.Items {
		for _, k := range append(p.Status.Init, p.Status.Containers...) {
			if !k.ill() || shown == podsAtMost {
				continue
			}
			shown++
			c.say("--- end of the log of %s in %s (%s, %d restarts)", k.Name, p.Metadata.Name, k.why(), k.Restarts)
			c.show(ctx, 0, "logs", "-n", ns, p.Metadata.Name, "-c", k.Name, "--tail", logLines)
			if k.Restarts > 0 {
				c.say("--- and of the one before")
				c.show(ctx, 0, "logs", "-n", ns, p.Metadata.Name, "-c", k.Name, "--tail", logLines, "--previous")
			}
		}
	}
}

func (c container) why() string {
	switch s := c.State; {
	case s.Waiting != nil:
		return strings.TrimSpace(s.Waiting.Reason + " " + s.Waiting.Message)
	case s.Terminated != nil:
		return s.Terminated.Reason
	default:
		return "runs, not ready"
	}
}

// show prints what kubectl says, the last lines of it when last is set.
func (c *Cluster) show(ctx context.Context, last int, args ...string) {
	ctx, cancel := context.WithTimeout(ctx, oneQuestion)
	defer cancel()
	out, err := c.Kubectl(ctx, args...)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last > 0 && len(lines) > last {
		lines = lines[len(lines)-last:]
	}
	c.say("%s", strings.Join(lines, "\n"))
	if err != nil {
		c.say("%v", err)
	}
}
