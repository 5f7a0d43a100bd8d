package faults

import (
	"context"
	"fmt"
	"slices"
)

// Found is a breach with the shortest session that was found for it.
type Found struct {
	Seed    uint64
	Session Session
	Run     Run
}

// Hunt draws a session from the seed of cfg and runs it. When something is broken it
// makes the session as short as it gets with the same invariant broken; nil is that all
// held.
func Hunt(ctx context.Context, cfg Config, lines int) (*Found, error) {
	s := Generate(cfg.Seed, lines)
	run, err := Play(ctx, cfg, s)
	if err != nil || run.Breach == nil {
		return nil, err
	}
	cfg.tell("seed %d: %s; making it shorter", cfg.Seed, run.Breach)
	return Minimise(ctx, cfg, s[:run.Breach.Line+1], run)
}

// Minimise takes lines away, halves first and single ones at last, as long as the same
// invariant is broken (delta debugging, Zeller and Hildebrandt 2002, without its
// complements of complements). A session that comes out needs each of its lines.
func Minimise(ctx context.Context, cfg Config, s Session, run Run) (*Found, error) {
	name := run.Breach.Invariant
	for size := max(1, len(s)/2); ; {
		shorter, err := cfg.without(ctx, &s, &run, name, size)
		if err != nil {
			return nil, err
		}
		switch {
		case size > 1:
			size /= 2
		case !shorter:
			return &Found{Seed: cfg.Seed, Session: s, Run: run}, nil
		}
	}
}

// without tries to do without each run of size lines, from the end.
func (cfg Config) without(ctx context.Context, s *Session, run *Run, name string, size int) (shorter bool, err error) {
	for at := len(*s) - size; at >= 0; at = min(at, len(*s)) - size {
		less := slices.Delete(slices.Clone(*s), at, at+size)
		if len(less) == 0 {
			continue
		}
		again, err := Play(ctx, cfg, less)
		if err != nil {
			return shorter, err
		}
		if again.Breach == nil || again.Breach.Invariant != name {
			continue
		}
		*s, *run, shorter = less[:again.Breach.Line+1], again, true
		cfg.tell("%d lines", len(*s))
	}
	return shorter, nil
}

func (cfg Config) tell(format string, args ...any) {
	if cfg.Progress != nil {
		cfg.Progress(fmt.Sprintf(format, args...))
	}
}
