package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/goccy/go-yaml"
)

// maxRestreams is how often a log that broke off is taken up again.
const maxRestreams = 20

// Errand is a pod that does something and ends.
type Errand struct {
	// Like is the Job that it resembles in everything but what stands here.
	Like Object
	// Name of the Job; one of that name that is there goes first.
	Name string
	// Args of its first container.
	Args []string
	// Alone leaves out what the Job does first, in its init containers.
	Alone bool
	// Start bounds the time until that runs, Within the time from then on.
	Start, Within time.Duration
}

// Run runs an errand in the cluster, with its output to out as it comes, and returns
// the exit code of its container.
func (c *Cluster) Run(ctx context.Context, e Errand, out io.Writer) (int, error) {
	text, err := e.manifest()
	if err != nil {
		return 0, err
	}
	job := Object{Kind: "Job", Namespace: e.Like.Namespace, Name: e.Name, Text: text}
	if err := c.Delete(ctx, []Object{job}); err != nil {
		return 0, err
	}
	if _, err := c.Feed(ctx, text, "create", "-f", "-"); err != nil {
		return 0, err
	}
	var running pod
	err = c.WaitFor(ctx, "the start of "+e.Name, e.Start, []string{e.Like.Namespace}, func(ctx context.Context) (bool, error) {
		running, err = c.podOf(ctx, e)
		return running.begun(), err
	})
	if err != nil {
		return 0, err
	}
	return c.follow(ctx, e, running.Metadata.Name, out)
}

// begun says whether the main container runs or has run.
func (p pod) begun() bool {
	return len(p.Status.Containers) > 0 && (p.Status.Containers[0].State.Running != nil || p.Status.Containers[0].State.Terminated != nil)
}

func (c *Cluster) podOf(ctx context.Context, e Errand) (pod, error) {
	var list struct {
		Items []pod `json:"items"`
	}
	if err := c.Get(ctx, &list, "pods", "-n", e.Like.Namespace, "-l", "batch.kubernetes.io/job-name="+e.Name); err != nil {
		return pod{}, err
	}
	for _, p := range list.Items {
		if p.Metadata.Deleted == "" { // that of an earlier run may be on its way out
			return p, nil
		}
	}
	return pod{}, fmt.Errorf("job %s has no pod yet", e.Name)
}

// follow streams the log of a pod. A stream may break off on a machine that is
// busy, so it is taken up again where it ended until the container has.
func (c *Cluster) follow(ctx context.Context, e Errand, name string, out io.Writer) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Within)
	defer cancel()
	written := &skipper{out: out}
	for range maxRestreams {
		written.again()
		streamed := c.Stream(ctx, written, "logs", "-f", "-n", e.Like.Namespace, "pod/"+name)
		var p pod
		if err := c.Get(context.WithoutCancel(ctx), &p, "pod", name, "-n", e.Like.Namespace); err != nil {
			return 0, errors.Join(err, streamed)
		}
		if len(p.Status.Containers) > 0 && p.Status.Containers[0].State.Terminated != nil && streamed == nil {
			return p.Status.Containers[0].State.Terminated.ExitCode, nil
		}
		if p.Status.Phase == "Failed" && streamed == nil {
			return 1, nil
		}
		if c.sleep(ctx) != nil {
			c.Diagnose(context.WithoutCancel(ctx), []string{e.Like.Namespace})
			return 0, fmt.Errorf("%s is not done after %s", e.Name, e.Within)
		}
	}
	return 0, fmt.Errorf("the log of %s broke off %d times", e.Name, maxRestreams)
}

// skipper leaves out what an earlier stream has written.
type skipper struct {
	out        io.Writer
	done, skip int64
}

func (s *skipper) again() { s.skip = s.done }

// Write writes what is new.
func (s *skipper) Write(p []byte) (int, error) {
	n := int64(len(p))
	if s.skip >= n {
		s.skip -= n
		return len(p), nil
	}
	_, err := s.out.Write(p[s.skip:])
	s.done += n - s.skip
	s.skip = 0
	if err != nil {
		return 0, fmt.Errorf("output: %w", err)
	}
	return len(p), nil
}

// manifest makes the Job out of the one that it is like.
func (e Errand) manifest() ([]byte, error) {
	var job map[string]any
	if err := yaml.Unmarshal(e.Like.Text, &job); err != nil {
		return nil, fmt.Errorf("%s: %w", e.Like.ID(), err)
	}
	meta, _ := job["metadata"].(map[string]any)
	spec, _ := job["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	pod, _ := template["spec"].(map[string]any)
	containers, _ := pod["containers"].([]any)
	if len(containers) == 0 || meta == nil {
		return nil, fmt.Errorf("%s has no containers", e.Like.ID())
	}
	main, ok := containers[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: its container cannot be read", e.Like.ID())
	}
	meta["name"] = e.Name
	main["args"] = e.Args
	if e.Alone {
		delete(pod, "initContainers")
	}
	spec["activeDeadlineSeconds"] = int64((e.Start + e.Within).Seconds())
	text, err := json.Marshal(job)
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", e.Name, err)
	}
	return text, nil
}
