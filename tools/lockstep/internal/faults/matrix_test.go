package faults_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/faults.txt anew")

// table is what comes of every fault in every flow.
const table = "../../../../docs/faults.txt"

const head = `What comes of a fault. In each flow the calls to each component are broken in each way; what is seen is on the left of the bar, and what
the same flow gives when nothing is broken any more on the right. Every cell ends before its deadline, with an error that has a name.
Seen in a laboratory with a stand-in before every component:

    go test ./tools/lockstep/internal/faults -run Matrix -update

`

// kinds are the ways in which calls are broken. The third of a row makes its rule.
var kinds = []struct {
	name string
	// limit is the deadline of the flow.
	limit time.Duration
	rule  func(vital) string
}{
	{"nothing", most, func(vital) string { return "" }},
	{"unavailable", most, func(v vital) string { return "(unavailable" + v.people() + ")" }},
	{"delay", most, func(v vital) string { return "(delay 20ms" + v.people() + ")" }},
	{"drop", 4 * time.Second, func(v vital) string { return "(drop " + v.call() + ")" }},
	{"execute, time out", most, func(v vital) string { return "(execute-then-timeout " + v.call() + " (first 1))" }},
	{"corrupt field", most, func(v vital) string { return fmt.Sprintf("(corrupt %q (method %q))", v.field, cmp.Or(v.of, v.method)) }},
	{"duplicate", most, func(v vital) string { return "(duplicate" + v.people() + ")" }},
	{"reorder", most, func(v vital) string { return "(reorder " + v.call() + " (first 1))" }},
	{"other device", most, func(v vital) string {
		if v.component == "idp" || v.component == "adfs" {
			return "" // there is one for all devices
		}
		return "(other-device" + v.people() + ")"
	}},
}

// most is the deadline of a flow that nothing holds up for ever.
const most = 10 * time.Second

// people leaves out who looks at what comes of it, but where the flow is the operator's.
func (v vital) people() string {
	if v.component == "dsreg" && strings.HasPrefix(v.method, "RegistrationService/") {
		return ""
	}
	return " (not (caller operator))"
}

func (v vital) call() string { return fmt.Sprintf("(method %q)", v.method) }

// TestFLT01_T9_Matrix swaps each component for a stand-in in each flow, breaks it in each
// way, and compares all that comes of it with docs/faults.txt: what is to fail fails, with
// its name, before its deadline, and nothing else does; and when the fault is over nothing
// was lost.
func TestFLT01_T9_Matrix(t *testing.T) {
	all := flows()
	parts := make([]string, len(all))
	var mu sync.Mutex
	t.Run("flows", func(t *testing.T) {
		for i, f := range all {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				text := f.run(t)
				mu.Lock()
				defer mu.Unlock()
				parts[i] = text
			})
		}
	})
	got := head + strings.Join(parts, "\n")
	if *update && !t.Failed() {
		if err := os.WriteFile(table, []byte(got), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
	}
	if t.Failed() {
		return
	}
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	was := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(was) || line != was[i] {
			t.Errorf("line %d is\n%s\nand should be\n%s", i+1, line, append(was, make([]string, i+1)...)[i])
		}
	}
}

// run is the part of the table that is about one flow.
func (f flow) run(t *testing.T) string {
	s := newScene(t, f)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", f.name, f.what)
	for _, v := range f.breaks {
		fmt.Fprintf(&b, "\n  %s\n", v.component)
		for _, k := range kinds {
			rule := k.rule(v)
			if rule == "" && k.name != "nothing" {
				continue
			}
			now, then := f.cell(t, s, v, rule, k.limit)
			fmt.Fprintf(&b, "    %-18s %-58s | %s\n", k.name, now, then)
			t.Logf("%s, %s, %s: %s | %s", f.name, v.component, k.name, now, then)
			if strings.Contains(now+then, "internal error") || strings.Contains(now+then, "A TOKEN OF") {
				t.Errorf("%s, %s, %s: %s | %s", f.name, v.component, k.name, now, then)
			}
		}
	}
	return b.String()
}

// cell is one fault in one flow.
func (f flow) cell(t *testing.T, s *scene, v vital, rule string, limit time.Duration) (now, then string) {
	t.Helper()
	whole, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	if err := f.ready(whole, s); err != nil {
		t.Fatalf("%s, %s, %s: making ready: %v", f.name, v.component, rule, err)
	}
	key := s.key(v.component)
	if err := s.lab.SetRules(whole, key, rule); err != nil {
		t.Fatalf("%s, %s, %s: %v", f.name, v.component, rule, err)
	}
	ctx, cancel := context.WithTimeout(whole, limit)
	began := time.Now()
	now = f.act(ctx, s)
	cancel()
	if took := time.Since(began); took > limit+renewalTime+grace {
		t.Errorf("%s, %s, %s took %v: its deadline was %v", f.name, v.component, rule, took, limit)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Logf("%s, %s, %s: it took %v", f.name, v.component, rule, took)
	}
	if rule != "" {
		state, err := s.lab.Rules(whole, key)
		if err != nil {
			t.Fatal(err)
		}
		if n := state.GetRules()[0].GetStruck(); n == 0 {
			now += " (it is not asked)"
		}
	}
	if err := s.lab.Heal(whole, key); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	then = f.after(whole, s)
	if took := time.Since(began); took > 2*time.Second {
		t.Logf("%s, %s, %s: the end took %v", f.name, v.component, rule, took)
	}
	return now, then
}

// grace is how much later than its deadline the end of a flow may be seen on a machine
// that has much to do.
const grace = 5 * time.Second
