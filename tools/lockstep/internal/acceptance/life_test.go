package acceptance_test

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// killAt is a crash point that can be armed.
type killAt struct{ point atomic.Value }

func (k *killAt) points() durable.Points {
	return func(p string) {
		if armed, _ := k.point.Load().(string); armed == p {
			k.point.Store("")
			panic("killed at " + p)
		}
	}
}

// TestREN22_ACrashLosesNothing kills lsa-cloudap at each point between the answer
// and its place in memory, in a first sign-in and in a renewal. After a restart the
// user signs in and gets a token.
func TestREN22_ACrashLosesNothing(t *testing.T) {
	for _, point := range []string{"answer-received", "session-key-imported", "temp-created", "temp-written", "renamed", "memory-switched"} {
		t.Run(point, func(t *testing.T) {
			var k killAt
			w := newWorld(t, lab.Config{TPM: "mem:", Points: map[string]durable.Points{"lsa-cloudap": k.points()}})
			w.join(w.device)
			k.point.Store(point)
			_, _, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password)
			if prterr.KindOf(err) != prterr.Internal {
				t.Fatalf("the first sign-in was not killed: %v", err)
			}
			w.comeBack()
			if err := w.lab.Advance(t.Context(), 4*time.Hour+time.Minute); err != nil {
				t.Fatal(err)
			}
			k.point.Store(point)
			w.signIn(w.device) // from the cache; the renewal behind it is killed
			w.settle(w.device)
			if armed, _ := k.point.Load().(string); armed != "" {
				t.Fatal("the renewal was not killed")
			}
			w.comeBack()
		})
	}
}

// comeBack restarts lsa-cloudap on what is left and uses it. It leaves nobody
// signed in, so that nothing is renewed on the clock.
func (w *world) comeBack() {
	w.t.Helper()
	if err := w.device.Restart(w.t.Context(), "lsa-cloudap"); err != nil {
		w.t.Fatal(err)
	}
	desktop := w.signIn(w.device)
	w.settle(w.device)
	if _, err := w.token(w.device, desktop); err != nil {
		w.t.Errorf("after the crash: %v", err)
	}
	if err := w.device.LogonUI.SignOut(w.t.Context(), desktop); err != nil {
		w.t.Fatal(err)
	}
}

func TestREN08_DailyUseKeepsThePRTFor60Days(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	for day := range 60 {
		if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
			t.Fatal(err)
		}
		if err := w.lab.Advance(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		desktop = w.signIn(w.device)
		if !desktop.FromCache || !desktop.RenewalStarted {
			t.Fatalf("day %d: from the cache %v, renewal %v", day, desktop.FromCache, desktop.RenewalStarted)
		}
		w.settle(w.device)
		if _, err := w.token(w.device, desktop); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
	}
}

func TestISS21_APRTOf14IdleDaysIsOver(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
		t.Fatal(err)
	}
	if err := w.device.SetOffline(true); err != nil {
		t.Fatal(err)
	}
	if err := w.lab.Advance(t.Context(), 14*24*time.Hour+time.Second); err != nil {
		t.Fatal(err)
	}
	desktop = w.signIn(w.device) // offline, so nothing renews
	w.settle(w.device)
	if err := w.device.SetOffline(false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.token(w.device, desktop); prterr.KindOf(err) != prterr.Interaction {
		t.Errorf("the PRT after 14 days: %v", err)
	}
}

// TestISS01_NoSecretInLogsOrSpans runs all flows, failures included, with the logs
// of every component on, and searches for what was secret.
func TestISS01_NoSecretInLogsOrSpans(t *testing.T) {
	var log lockedBuffer
	w := newWorld(t, lab.Config{TPM: "mem:", LogLevel: "debug", Log: &log})
	w.join(w.device)
	const wrong = "canary-wrong-password-9c1f"
	_, _, _ = w.device.LogonUI.SignIn(t.Context(), w.tenant.User, secret.NewText(wrong))
	desktop := w.signIn(w.device)
	token := w.mustToken(desktop)
	visit := w.browse(w.device, desktop, secret.Text{})
	first, _ := w.prt(w.device)
	if err := w.lab.Advance(t.Context(), 4*time.Hour+time.Minute); err != nil {
		t.Fatal(err)
	}
	w.until(w.device, "the PRT is renewed", func(p *lsav1.PartitionState) bool { return p.GetPrtDigest() != first })
	prt := claims[struct {
		RefreshToken string `json:"refresh_token"`
	}](t, visit.Sent.Reveal()).RefreshToken
	var spans strings.Builder
	for _, s := range w.lab.Recorder().All() {
		spans.WriteString(s.Name + "\n")
	}
	text := log.String()
	if len(text) < 10_000 {
		t.Fatalf("only %d bytes of log", len(text))
	}
	for what, s := range map[string]string{
		"password": w.tenant.Password.Reveal(), "wrong password": wrong, "access token": token, "PRT": prt, "cookie": visit.Sent.Reveal(),
		"session cookie": visit.Cookie.Reveal(), "ID token": visit.IDToken.Reveal(), "logon session": desktop.Session.Reveal(),
	} {
		if strings.Contains(text, s) || strings.Contains(spans.String(), s) {
			t.Errorf("the %s was written", what)
		}
	}
}

// lockedBuffer takes the lines of all components.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
