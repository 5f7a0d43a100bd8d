package checks

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Heard searches what errands print while they run, and logs of pods before somebody removes
// them: later nobody has them. It is safe for concurrent use.
type Heard struct {
	mu  sync.Mutex
	bad *search
}

// NewHeard has heard nothing yet.
func NewHeard() *Heard { return &Heard{bad: newSearch(forbidden())} }

// Write searches.
func (h *Heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bad.Write(p)
}

// verdict is about all that was heard until now, and how much that was, in bytes.
func (h *Heard) verdict() (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bad.end()
	return h.bad.read, h.bad.verdict("what errands and pods said that are gone", nil)
}

// logged is what is read of a pod that has logs.
type logged struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Status struct {
		Phase      string           `json:"phase"`
		Init       []logOfContainer `json:"initContainerStatuses"`
		Containers []logOfContainer `json:"containerStatuses"`
	} `json:"status"`
}

type logOfContainer struct {
	Name     string `json:"name"`
	Restarts int    `json:"restartCount"`
	State    struct {
		Waiting *struct{} `json:"waiting"`
	} `json:"state"`
}

// ended says whether the pod is one of an errand that is over.
func (p logged) ended() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

// arguments are those of kubectl for each log of the pod: of every container that began, of
// the init containers too, and of the one before where it was started again.
func (p logged) arguments() [][]string {
	var all [][]string
	for _, c := range append(p.Status.Init, p.Status.Containers...) {
		args := []string{"logs", "-n", p.Metadata.Namespace, p.Metadata.Name, "-c", c.Name}
		if c.State.Waiting == nil {
			all = append(all, args)
		}
		if c.Restarts > 0 {
			all = append(all, append(args[:len(args):len(args)], "--previous"))
		}
	}
	return all
}

// logs looks at what every container of ours has written, of pods that run and of errands
// that are over, and at what the errands printed whose pods are gone.
func (s Store) logs(ctx context.Context) (string, error) {
	var list struct {
		Items []logged `json:"items"`
	}
	if err := s.Cluster.Get(ctx, &list, "pods", "--all-namespaces", "-l", "app.kubernetes.io/part-of=lockstep"); err != nil {
		return "", err
	}
	bad := newSearch(forbidden())
	read, ended, gone := 0, 0, 0
	for _, p := range list.Items {
		if p.ended() {
			ended++
		}
		for _, args := range p.arguments() {
			err := s.Cluster.Stream(ctx, bad, args...)
			switch {
			case err == nil:
				read++
			case p.ended() || args[len(args)-1] == "--previous":
				gone++ // the kubelet keeps those for a while
			default:
				return "", err
			}
		}
	}
	if read == 0 {
		return "", errors.New("no pod of ours has a log")
	}
	bad.end()
	heard, err := s.Heard.verdict()
	seen := fmt.Sprintf("%d KiB in %d logs of %d pods, %d of them ended; %d logs were gone; %d KiB of errands and pods that are gone", bad.read>>10, read, len(list.Items), ended, gone, heard>>10)
	return seen, errors.Join(bad.verdict("the logs", nil), err)
}
