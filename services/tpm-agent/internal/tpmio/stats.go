package tpmio

import (
	"maps"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// CommandStats is what became of the commands of one code.
type CommandStats struct {
	// Count is how many were sent; one that a TPM asked to have again counts once.
	Count int
	// Resent is how often one was sent again.
	Resent int
	// Time is how long the TPM worked on all of them, Longest on one.
	Time, Longest time.Duration
	// Failed are those that did not succeed, by class.
	Failed map[Class]int
}

// WaitStats is how long jobs waited for their turn.
type WaitStats struct {
	Jobs          int
	Time, Longest time.Duration
}

// Stats is the command log since the start.
type Stats struct {
	Commands map[tpm2.TPMCC]CommandStats
	Queue    WaitStats
}

// Stats gives a copy of the command log.
func (o *Owner) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Stats{Commands: make(map[tpm2.TPMCC]CommandStats, len(o.log)), Queue: o.wait}
	for cc, c := range o.log {
		copied := *c
		copied.Failed = maps.Clone(c.Failed)
		s.Commands[cc] = copied
	}
	return s
}

// record notes one command. wait is the time in the queue if this is the first of
// its job, else negative.
func (o *Owner) record(cc tpm2.TPMCC, class Class, wait, took time.Duration, again bool) {
	if told := o.told.Load(); told != nil {
		(*told)(cc, class, took)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.log[cc]
	if s == nil {
		s = &CommandStats{Failed: map[Class]int{}}
		o.log[cc] = s
	}
	if again {
		s.Resent++
	} else {
		s.Count++
	}
	s.Time += took
	s.Longest = max(s.Longest, took)
	if class != OK && class != Again {
		s.Failed[class]++
	}
	if wait >= 0 {
		o.wait.Jobs++
		o.wait.Time += wait
		o.wait.Longest = max(o.wait.Longest, wait)
	}
}
