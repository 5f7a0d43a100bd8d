// Package reach tries TCP connections and says which open: how it is known, from inside a
// pod, what a network lets through.
//
// What lives here: connecting and closing. What never may: a byte sent. The caller is the
// command reach.
package reach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MaxTargets bounds one run.
const MaxTargets = 1024

// parallel is how many connections are tried at a time.
const parallel = 32

// Result is what came of one target.
type Result struct {
	Target string `json:"target"`
	// Open says that the connection was made.
	Open bool `json:"open"`
	// Why it was not: refused, timeout, or other.
	Why string `json:"why,omitempty"`
	// Millis is how long it took, in milliseconds.
	Millis int64 `json:"ms"`
}

// Targets are HOST:PORT, one a line; what begins with # is a comment.
func Targets(text string) ([]string, error) {
	var all []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, _, err := net.SplitHostPort(line); err != nil {
			return nil, fmt.Errorf("line %d: %.80q is not HOST:PORT", i+1, line)
		}
		if all = append(all, line); len(all) > MaxTargets {
			return nil, fmt.Errorf("more than %d targets", MaxTargets)
		}
	}
	return all, nil
}

// Try connects to each target, waiting for each as long as patience, and returns the
// results in the order of the targets.
func Try(ctx context.Context, targets []string, patience time.Duration) []Result {
	results, slots := make([]Result, len(targets)), make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = try(ctx, target, patience)
		})
	}
	wg.Wait()
	return results
}

func try(ctx context.Context, target string, patience time.Duration) Result {
	began := time.Now()
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", target)
	r := Result{Target: target, Open: err == nil, Millis: time.Since(began).Milliseconds()}
	if err != nil {
		r.Why = why(err)
		return r
	}
	_ = c.Close() // nothing was sent
	return r
}

func why(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	return "other"
}

// Write writes the results as one JSON object a line.
func Write(w io.Writer, results []Result) error {
	enc := json.NewEncoder(w)
	for _, r := range results {
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	return nil
}
