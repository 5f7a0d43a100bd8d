package faults_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/faults"
)

// TestFLT11_OneSeedOneLog: a seed draws one session, and the session has one log, ladders
// and errors and all, however often it runs.
func TestFLT11_OneSeedOneLog(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		s := faults.Generate(seed, 20)
		if again := faults.Generate(seed, 20); !slices.Equal(s, again) {
			t.Fatalf("seed %d draws\n%s\nand\n%s", seed, s.Text(), again.Text())
		}
		cfg := faults.Config{Seed: seed}
		one, err := faults.Play(t.Context(), cfg, s)
		if err != nil {
			t.Fatal(err)
		}
		if one.Breach != nil {
			t.Errorf("seed %d: %s\n%s", seed, one.Breach, one.Log)
		}
		two, err := faults.Play(t.Context(), cfg, s)
		if err != nil {
			t.Fatal(err)
		}
		if one.Log != two.Log {
			t.Errorf("seed %d has two logs:\n%s", seed, differ(one.Log, two.Log))
		}
	}
}

// TestFLT11_ABrokenInvariantIsFoundAndMinimised injects a bug into what is looked at: that
// nobody signs in from the cache. The hunt finds a session in which somebody does, and
// leaves of it what it takes: a join and two sign-ins; and that runs again to the letter.
func TestFLT11_ABrokenInvariantIsFoundAndMinimised(t *testing.T) {
	cfg := faults.Config{Progress: func(s string) { t.Log(s) }, Invariants: []faults.Invariant{{
		Name: "injected", Broken: func(told faults.Told) string {
			if strings.Contains(told.Output, "checked from the cache") {
				return "somebody signed in from the cache"
			}
			return ""
		},
	}}}
	for cfg.Seed = 1; cfg.Seed < 20; cfg.Seed++ {
		found, err := faults.Hunt(t.Context(), cfg, 16)
		if err != nil {
			t.Fatal(err)
		}
		if found == nil {
			continue
		}
		if want := (faults.Session{"join user=alice", "sign-in user=alice", "sign-in user=alice"}); !slices.Equal(found.Session, want) {
			t.Errorf("what is left is\n%s", found.Session.Text())
		}
		parsed, err := faults.ParseSession("# seed\n\n" + found.Session.Text())
		if err != nil {
			t.Fatal(err)
		}
		again, err := faults.Play(t.Context(), cfg, parsed)
		if err != nil {
			t.Fatal(err)
		}
		if again.Log != found.Run.Log || *again.Breach != *found.Run.Breach {
			t.Errorf("it runs again otherwise:\n%s", differ(found.Run.Log, again.Log))
		}
		return
	}
	t.Error("no seed found it")
}

// differ is the first line in which two logs differ, with what is around it.
func differ(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			from := max(0, i-8)
			return strings.Join(x[from:i+1], "\n") + "\nand\n" + strings.Join(y[from:i+1], "\n")
		}
	}
	return "one is longer"
}
