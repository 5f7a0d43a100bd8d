package lab_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

func start(t *testing.T, cfg lab.Config) *lab.Lab {
	t.Helper()
	l, err := lab.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// shown runs the demo and returns its ladders with the calls between components.
func shown(t *testing.T, l *lab.Lab) map[step.Flow][]string {
	t.Helper()
	if err := demo.New(demo.Config{Lab: l, Out: &bytes.Buffer{}}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := map[step.Flow][]string{}
	ids := l.Recorder().Newest()
	for i := range ids {
		id := ids[len(ids)-1-i]
		if err := l.Recorder().AwaitIdle(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		spans := l.Recorder().Trace(id)
		for _, f := range ladder.Flows(spans) {
			all[f] = append(all[f], ladder.Build(f, id, spans, true).Text())
		}
	}
	return all
}

// TestFLT01_StandInsOfEveryComponentAreNotToBeToldFromThem: with no rules the demo through
// stand-ins of all components shows the same ladders, the calls between components among
// them, as without.
func TestFLT01_StandInsOfEveryComponentAreNotToBeToldFromThem(t *testing.T) {
	want := shown(t, start(t, lab.Config{TPM: "mem:"}))
	l := start(t, lab.Config{TPM: "mem:", StandIns: func(string) bool { return true }})
	got := shown(t, l)
	if len(want) != len(step.Flows()) {
		t.Fatalf("the demo ran %d flows", len(want))
	}
	for f, w := range want {
		if g := got[f]; strings.Join(g, "\n") != strings.Join(w, "\n") {
			t.Errorf("%s\ngot\n%s\nwant\n%s", f, strings.Join(g, "\n"), strings.Join(w, "\n"))
		}
	}
	through := map[string]bool{}
	for _, s := range l.Recorder().All() {
		through[s.Service] = true
	}
	for _, c := range []string{"idp", "tpm-agent", "dsreg", "lsa-cloudap", "wam-broker"} {
		if !through["faulty-"+c] {
			t.Errorf("nothing went through the stand-in of %s", c)
		}
	}
	if n := len(l.SwappedKeys()); n != 6 {
		t.Errorf("%d stand-ins: %v", n, l.SwappedKeys())
	}
}

// TestFLT01_AComponentIsSwappedWhileItRuns: who is signed in stays so, what the rules say
// breaks and nothing else, and afterwards all is well.
func TestFLT01_AComponentIsSwappedWhileItRuns(t *testing.T) {
	l := start(t, lab.Config{TPM: "mem:"})
	d, err := l.AddDevice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	who := demo.DefaultTenant()
	if _, err := d.Operator.Join(t.Context(), who.User, who.Password, "DESKTOP-1"); err != nil {
		t.Fatal(err)
	}
	desktop, _, err := d.LogonUI.SignIn(t.Context(), who.User, who.Password)
	if err != nil {
		t.Fatal(err)
	}
	token := func(ctx context.Context) error {
		_, _, err := d.App(who.App).Token(ctx, desktop, who.Resource, true)
		return err
	}
	for _, key := range l.Keys() {
		if err := l.SwapIn(t.Context(), key, ""); err != nil {
			t.Fatal(err)
		}
		if err := token(t.Context()); err != nil {
			t.Fatalf("with a stand-in of %s: %v", key, err)
		}
	}
	if err := l.SwapIn(t.Context(), d.Key("wam-broker"), `(unavailable (caller app) (nth 1))`); err != nil {
		t.Fatal(err)
	}
	if err := token(t.Context()); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("the rule did not strike: %v", err)
	}
	if err := token(t.Context()); err != nil {
		t.Errorf("the second call: %v", err)
	}
	r, err := l.Rules(t.Context(), d.Key("wam-broker"))
	if err != nil || len(r.GetRules()) != 1 || r.GetRules()[0].GetSeen() != 2 || r.GetRules()[0].GetStruck() != 1 || r.GetComponent() != "wam-broker" || r.GetRules()[0].GetLast() == nil {
		t.Errorf("%v, %v", r, err)
	}
	// What cannot be broken changes nothing; a restart of the real one neither.
	if err := l.SetRules(t.Context(), d.Key("wam-broker"), `(drop (method "KeyService/*"))`); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("wam-broker has no keys: %v", err)
	}
	if err := d.Restart(t.Context(), "wam-broker"); err != nil {
		t.Fatal(err)
	}
	if r, err := l.Rules(t.Context(), d.Key("wam-broker")); err != nil || len(r.GetRules()) != 1 {
		t.Errorf("%v, %v", r, err)
	}
	if err := l.SetRules(t.Context(), d.Key("wam-broker"), `(unavailable (caller app))`); err != nil {
		t.Fatal(err)
	}
	if err := token(t.Context()); err == nil {
		t.Error("the rule did not strike")
	}
	if err := l.Heal(t.Context(), d.Key("wam-broker")); err != nil {
		t.Fatal(err)
	}
	if err := token(t.Context()); err != nil {
		t.Errorf("healed: %v", err)
	}
	for _, key := range []string{"", "idp.real", "device-2/dsreg", "device-1/idp"} {
		if err := l.SwapIn(t.Context(), key, ""); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("a stand-in of %q: %v", key, err)
		}
	}
}
