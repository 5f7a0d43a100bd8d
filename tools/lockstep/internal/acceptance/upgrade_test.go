package acceptance_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/idptest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestDEP07_T12_ASessionOutlivesAnUpgradeAndTheWayBack: a person is signed in and apps ask
// for tokens without a pause, while both identity providers become this version, one after
// the other, and then the other version again. Nobody is asked again: the desktop is the one
// of the beginning, every token is got silently, the PRT is renewed in each state, and no app
// sees an error. Nothing is lost: who joins or signs in at one version is known at the other.
// The other version is the one before where LOCKSTEP_IDP_PREVIOUS names its idp program, else
// this one as a program of its own. Over HTTPS it is always this one: how a version answers
// the requests under way at its end is its own, and there were some that closed their records
// first.
func TestDEP07_T12_ASessionOutlivesAnUpgradeAndTheWayBack(t *testing.T) {
	own := filepath.Join(t.TempDir(), "idp")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", own, "github.com/lockstep-sso/lockstep/services/idp/cmd/idp").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("gRPC", func(t *testing.T) { upgrade(t, cmp.Or(os.Getenv("LOCKSTEP_IDP_PREVIOUS"), own), false) })
	t.Run("HTTPS", func(t *testing.T) { upgrade(t, own, true) })
}

func upgrade(t *testing.T, program string, https bool) {
	s := &someone{world: newWorld(t, lab.Config{TPM: "mem:", HTTPS: https, Replicas: 2, Database: idptest.Database(t), OtherVersion: program}), reaper: &reaper{}}
	exchange := func(key string, other bool) {
		t.Helper()
		if err := s.lab.ExchangeReplica(t.Context(), key, other); err != nil {
			t.Fatal(err)
		}
	}
	exchange("idp-0", true)
	exchange("idp-1", true)
	for _, st := range s.steps() {
		if err := st.do(s); err != nil {
			t.Fatalf("%s: %v", st.name, err)
		}
	}
	for n, step := range []struct {
		key   string
		other bool
	}{{"idp-0", false}, {"idp-1", false}, {"idp-1", true}, {"idp-0", true}} {
		apps := s.apps(3)
		exchange(step.key, step.other)
		if asked := apps(); asked == 0 {
			t.Errorf("%s, other %v: no app asked meanwhile", step.key, step.other)
		}
		s.renew() // with nobody at the keyboard
		if n == 1 || n == 2 {
			s.newcomer()
		}
		for _, st := range s.steps()[2:] {
			if err := st.do(s); err != nil {
				t.Errorf("%s is exchanged, other %v, %s: %v", step.key, step.other, st.name, err)
			}
		}
	}
}

// apps ask for fresh tokens without a pause until the function is called, which says how
// often they got one. Each has got one when apps returns, so that all are at it.
func (s *someone) apps(n int) (stop func() int) {
	s.t.Helper()
	var done atomic.Bool
	var got atomic.Int64
	var running sync.WaitGroup
	begun := make(chan struct{}, n)
	for range n {
		running.Go(func() {
			for first := true; !done.Load(); first = false {
				if _, err := s.token(s.device, s.desktop); err != nil {
					s.t.Errorf("an app in the middle of an exchange: %v", err)
				}
				got.Add(1)
				if first {
					begun <- struct{}{}
				}
			}
		})
	}
	for range n {
		select {
		case <-begun:
		case <-time.After(patience):
			s.t.Fatal("the apps get no token")
		}
	}
	before := got.Load()
	return func() int {
		done.Store(true)
		running.Wait()
		return int(got.Load() - before)
	}
}

// newcomer is a second device, whose person comes and gets a token and leaves no trace in
// the session of the first.
func (s *someone) newcomer() {
	s.t.Helper()
	d := s.addDevice()
	s.join(d)
	desktop, _, err := d.LogonUI.SignIn(s.t.Context(), s.tenant.User, s.tenant.Password)
	if err == nil {
		_, err = s.token(d, desktop)
	}
	if err != nil {
		s.t.Errorf("somebody new: %v", err)
	}
}
