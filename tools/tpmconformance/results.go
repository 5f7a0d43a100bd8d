package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// results is what a run of go test -json said about top-level tests.
type results struct {
	outcome map[string]string // pass, fail or skip; "run" for one that never ended
	output  map[string]string // what a test and its subtests printed
	noise   string            // what no test printed: build errors, panics
}

// event is one line of go test -json.
type event struct {
	Action, Test, Output string
}

// maxNoise bounds what is kept of one test's output.
const maxNoise = 8 << 10

func readResults(in io.Reader) (results, error) {
	r := results{outcome: map[string]string{}, output: map[string]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return r, fmt.Errorf("go test -json gave a line that is none: %q: %w", lines.Text(), err)
		}
		name, sub, _ := strings.Cut(e.Test, "/")
		switch {
		case e.Output != "" && name == "" && len(r.noise) < maxNoise:
			r.noise += e.Output
		case e.Output != "" && len(r.output[name]) < maxNoise:
			r.output[name] += e.Output
		}
		if name == "" {
			continue
		}
		switch e.Action {
		case "pass", "fail", "skip", "run":
			// A subtest that was skipped makes the test less than it was.
			if sub == "" && r.outcome[name] != "skip" || e.Action == "skip" {
				r.outcome[name] = e.Action
			}
		}
	}
	return r, lines.Err()
}

// report prints one line a failure with its reason below it, and the count. It
// tells whether every expected test ran and passed, and no other ran.
func (r results) report(out io.Writer, expected []string) bool {
	passed, failed := 0, 0
	say := func(name, what, detail string) {
		failed++
		_, _ = fmt.Fprintf(out, "%-40s %s\n", name, what)
		for line := range strings.Lines(detail) {
			_, _ = fmt.Fprint(out, "    ", line)
		}
	}
	for _, name := range slices.Sorted(slices.Values(expected)) {
		switch r.outcome[name] {
		case "pass":
			passed++
		case "fail":
			say(name, "failed", r.output[name])
		case "skip":
			say(name, "skipped", r.output[name])
		case "run":
			say(name, "never ended", r.output[name])
		default:
			say(name, "did not run", "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.outcome)) {
		if !slices.Contains(expected, name) {
			say(name, "is not in expected.txt", "")
		}
	}
	if failed > 0 {
		_, _ = fmt.Fprint(out, r.noise)
	}
	_, _ = fmt.Fprintf(out, "%d passed, %d failed\n", passed, failed)
	return failed == 0 && passed > 0
}
