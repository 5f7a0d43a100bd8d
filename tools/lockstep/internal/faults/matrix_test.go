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
the same flow gives when nothing is broken any more on the right. Nothing waits for a clock, but a desktop of the cache for a
silent dsreg: a caller's deadline passes when the fault has struck.
Seen in a laboratory with a stand-in before every component:

    go test ./tools/lockstep/internal/faults -run Matrix -update

Why each row ends as it does; a judge in the test holds every cell against these rules, so that writing the table anew hides nothing.

    nothing            The flow itself, from which the rows that only take longer must not differ: delay, reorder, and what is not asked.
    unavailable        Nobody is in without the one who decides: no first sign-in without the identity provider, no PRT and no signature without
                       the TPM. A sign-in that the device knows opens from the cache, and the PRT of before stays. A page asks, because a browser
                       without a cookie is a browser. dsreg only says whether the device has left, which the identity provider finds out as well:
                       a token goes on without it.
    drop               Who called gives up at its deadline and says so. A renewal behind an open desktop is waited for by nobody, and dsreg by a
                       desktop of the cache for a second: its last word counts.
    execute, time out  It happened, and the caller heard that it had not. What was made is found again and not made twice: the next sign-in, token
                       or join ends well, and a nonce or a PRT that was used up is no loss.
    corrupt field      An answer with a changed bit is refused where it is checked: a signature (invalid, or the page asks), a nonce (denied), the
                       TPM's own (tpm_failed, keys_lost). Fields that nobody believes may change: device_id of dsreg is for people to read, because
                       the device is known by its certificate; logon_session is the holder's, who loses the session and nothing else. What is
                       changed in a key at rest is found when it is used, and the next sign-in gets another.
    duplicate          The second delivery of a signed request is refused, because its nonce is used up (140000), and with every delivery
                       doubled no request gets through. On the device it changes nothing.
    other device       What another device answers is signed with its keys and belongs to its sessions: refused (unauthenticated, keys_lost), or the
                       desktop is there and not here. A device whose tpm-agent is another one's gets its own PRT at the next sign-in. One whose
                       dsreg is another one's is a member of its tenant by another join: what was cached before opens nothing, and its user
                       signs in with the network.
    key lost           The session key of the PRT is gone and the TPM is well: an app that may ask has the broker ask at its window, and there is a
                       new PRT. Silently, or when the page did not help either, the app hears keys_lost: the device may have to be recovered.
    PRT refused        As after a change of the password: the window asks, once in a request.

    corrupt KeyInfo    The part of an assertion that is outside of what is signed: it is not looked at, because the key is pinned. What is signed is
                       in the row before. Every byte is tried in services/idp/internal/saml.

`

// kind is a way in which calls are broken.
type kind struct {
	name string
	rule func(vital) string
	// ends says what ends a wait for the answer once the rule has struck.
	ends ending
}

// ending is what is done when a rule has struck.
type ending int

const (
	// byItself: nothing is waited for.
	byItself ending = iota
	// byCaller: the deadline of who waits passes.
	byCaller
	// byClock: the clocks go on, as long as a stand-in keeps an answer back.
	byClock
)

// kinds are those of each row of the table.
func kinds() []kind {
	return []kind{
		{"nothing", func(vital) string { return "" }, byItself},
		{"unavailable", func(v vital) string { return "(unavailable" + v.people() + ")" }, byItself},
		{"delay", func(v vital) string { return "(delay 20ms" + v.people() + ")" }, byItself},
		{"drop", func(v vital) string { return "(drop " + v.call() + ")" }, byCaller},
		{"execute, time out", func(v vital) string { return "(execute-then-timeout " + v.call() + v.firstOfOne() + ")" }, byItself},
		{"corrupt field", func(v vital) string {
			return fmt.Sprintf("(corrupt %q (method %q)%s)", v.field, cmp.Or(v.of, v.method), map[bool]string{true: " (first 1)"}[v.once])
		}, byItself},
		{"duplicate", func(v vital) string { return "(duplicate" + v.people() + ")" }, byItself},
		{"reorder", func(v vital) string { return "(reorder " + v.call() + " (first 1))" }, byClock},
		{"other device", func(v vital) string {
			if v.component == "idp" || v.component == "adfs" {
				return "" // there is one for all devices
			}
			return "(other-device" + v.people() + ")"
		}, byItself},
	}
}

// late is how much longer than a stand-in keeps an answer back the clocks go on.
const late = 3 * time.Second

// people leaves out who looks at what comes of it, but where the flow is the operator's.
func (v vital) people() string {
	if v.component == "dsreg" && strings.HasPrefix(v.method, "RegistrationService/") {
		return ""
	}
	return " (not (caller operator))"
}

// firstOfOne has the first call strike. Behind a desktop there may be two, by the sign-in and
// by the clock, in any order: each strikes.
func (v vital) firstOfOne() string {
	if v.behind {
		return ""
	}
	return " (first 1)"
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
		if err := os.WriteFile(table, []byte(got), 0o644); err != nil {
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

// either has one text for what a damaged request may come to: as the letter falls, what is
// signed is no JSON any more or has no good signature. Behind a desktop the one has the PRT
// renewed by the password, the other leaves it. Everything else is as it came.
func either(v vital, k kind, now string) string {
	if k.name != "corrupt field" || v.field != "request" {
		return now
	}
	return strings.NewReplacer(
		"invalid AADSTS9002313", "AADSTS9002313 or 140001", "denied AADSTS140001", "AADSTS9002313 or 140001",
		"cache, renewed", "cache, renewed or not", "cache, the PRT stays", "cache, renewed or not",
	).Replace(now)
}

// run is the part of the table that is about one flow.
func (f flow) run(t *testing.T) string {
	s := newScene(t, f)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", f.name, f.what)
	for _, v := range f.breaks {
		usual := ""
		fmt.Fprintf(&b, "\n  %s\n", v.component)
		for _, k := range f.all() {
			rule := k.rule(v)
			if rule == "" && k.name != "nothing" {
				continue
			}
			now, then := f.cell(t, s, v, k, rule)
			fmt.Fprintf(&b, "    %-18s %-58s | %s\n", k.name, either(v, k, now), then)
			t.Logf("%s, %s, %s: %s | %s", f.name, v.component, k.name, now, then)
			if k.name == "nothing" {
				usual = now
			}
			for _, wrong := range judge(f, v, k, now, then, usual) {
				t.Errorf("%s, %s, %s: %s | %s: %s", f.name, v.component, k.name, now, then, wrong)
			}
		}
	}
	return b.String()
}

func (f flow) all() []kind {
	if f.kinds != nil {
		return f.kinds
	}
	return kinds()
}

// whole bounds one cell. Nothing in it waits for a clock, so only what hangs meets it.
const whole = 2 * time.Minute

// cell is one fault in one flow.
func (f flow) cell(t *testing.T, s *scene, v vital, k kind, rule string) (now, then string) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), whole)
	defer done()
	if err := f.ready(ctx, s); err != nil {
		t.Fatalf("%s, %s, %s: making ready: %v", f.name, v.component, rule, err)
	}
	key := s.key(v.component)
	if err := s.lab.SetRules(ctx, key, rule); err != nil {
		t.Fatalf("%s, %s, %s: %v", f.name, v.component, rule, err)
	}
	caller := newCue(ctx)
	stop := func() {}
	switch {
	case k.ends == byClock:
		stop = s.whenStruck(ctx, key, func() { _ = s.lab.Advance(ctx, late) }) // else the answer comes by itself
	case k.ends == byCaller && v.behind:
		s.held = make(chan struct{})
		stop = s.whenStruck(ctx, key, func() { close(s.held) })
	case k.ends == byCaller && !v.brief:
		stop = s.whenStruck(ctx, key, caller.pass)
	}
	now = f.act(caller, s)
	stop()
	s.held = nil
	if rule != "" && !s.struck(ctx, key) {
		now += " (it is not asked)"
	}
	if err := s.lab.Heal(ctx, key); err != nil {
		t.Fatal(err)
	}
	then = f.after(ctx, s)
	if err := ctx.Err(); err != nil {
		t.Errorf("%s, %s, %s does not end", f.name, v.component, rule)
	}
	return now, then
}
