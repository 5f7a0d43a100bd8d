package acceptance_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// copied copies the files of a folder, and of what is in it.
func copied(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// putBack puts the files of old over those of a folder.
func putBack(t testing.TB, old, folder string) {
	t.Helper()
	err := filepath.WalkDir(old, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(old, path)
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(filepath.Join(folder, rel), raw, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFLT12_AnOldCopyOfTheDeviceIsDetected brings back the cache of an earlier day, alone
// and together with the tpm-agent's files of that day, on the real agent; what the TPM
// itself counts cannot be brought back. The user of it signs in with the network.
func TestFLT12_AnOldCopyOfTheDeviceIsDetected(t *testing.T) {
	for name, agentToo := range map[string]bool{"the cache": false, "the cache and the agent's files": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{Dir: t.TempDir()})
			w.join(w.device)
			w.signIn(w.device)
			cache, agent := w.device.StateDir("lsa-cloudap"), w.device.StateDir("tpm-agent")
			old, oldAgent := t.TempDir(), t.TempDir()
			copied(t, cache, filepath.Join(old, "state"))
			copied(t, agent, filepath.Join(oldAgent, "state"))
			if err := w.lab.Advance(t.Context(), 4*time.Hour+time.Minute); err != nil { // it is renewed
				t.Fatal(err)
			}
			w.renewedSince(filepath.Join(old, "state", "manifest.json"), filepath.Join(cache, "manifest.json"))

			for _, c := range []string{"lsa-cloudap", "tpm-agent"} {
				if err := w.device.Stop(c); err != nil {
					t.Fatal(err)
				}
			}
			putBack(t, filepath.Join(old, "state"), cache)
			if agentToo { // all but the TPM, which is a chip elsewhere
				if err := os.Remove(filepath.Join(oldAgent, "state", "tpm.state")); err != nil {
					t.Fatal(err)
				}
				putBack(t, filepath.Join(oldAgent, "state"), agent)
			}
			for _, c := range []string{"tpm-agent", "lsa-cloudap"} {
				if err := w.device.Resume(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			got := w.cache()
			if got.GetVerification() != lsav1.CacheVerification_CACHE_VERIFICATION_ROLLED_BACK || len(got.GetQuarantined()) != 1 {
				t.Errorf("cache: %v", got)
			}
			w.told("the cache is not the one that was written last")
			if err := w.device.SetOffline(true); err != nil {
				t.Fatal(err)
			}
			if _, _, err := w.device.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password); prterr.KindOf(err) != prterr.Unavailable {
				t.Errorf("the old cache let somebody in: %v", err)
			}
			if err := w.device.SetOffline(false); err != nil {
				t.Fatal(err)
			}
			w.works(w.tenant.User, "after that")
			if err := w.device.Restart(t.Context(), "lsa-cloudap"); err != nil {
				t.Fatal(err)
			}
			if got := w.cache().GetVerification(); got != lsav1.CacheVerification_CACHE_VERIFICATION_CURRENT {
				t.Errorf("at the next start: %v", got)
			}
		})
	}
}

// renewedSince waits until the cache has been written since a copy was made.
func (w *world) renewedSince(old, now string) {
	w.t.Helper()
	before, err := os.ReadFile(old)
	if err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		raw, err := os.ReadFile(now)
		if p := w.ssoState().GetPartitions(); err == nil && string(raw) != string(before) && len(p) > 0 && !p[0].GetRenewalRunning() {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("nothing was renewed: %v", err)
		}
	}
}

// told looks for an event of lsa-cloudap.
func (w *world) told(message string) {
	w.t.Helper()
	list, err := eventv1.NewEventServiceClient(w.device.Operator.LSA).ListEvents(w.t.Context(), &eventv1.ListEventsRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range list.GetEvents() {
		if strings.Contains(e.GetMessage(), message) {
			return
		}
	}
	w.t.Errorf("no event says %q", message)
}

// TestPRO07_NothingCachedIsSentWithoutATPM: with a TPM that fails, and then without the
// agent, an app gets the code of that, and neither PRT nor refresh token leaves the
// device: the PRT is on disk in a form that only the agent opens.
func TestPRO07_NothingCachedIsSentWithoutATPM(t *testing.T) {
	var broken atomic.Bool
	path := socket(t)
	plugIn(t, path, func(answer []byte) []byte {
		if broken.Load() {
			return []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1} // TPM_RC_FAILURE
		}
		return answer
	})
	w := newWorld(t, lab.Config{Dir: t.TempDir(), TPM: "unix:" + path})
	w.join(w.device)
	desktop := w.signIn(w.device)
	if _, err := w.token(w.device, desktop); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(w.device.StateDir("lsa-cloudap"), "partitions", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil || strings.Contains(string(raw), `"prt":`) || !strings.Contains(string(raw), `"sealed_prt":`) {
		t.Errorf("the PRT is on disk in the clear: %v", err)
	}
	sent := func() int { return w.asked("TokenService/RedeemPRT") + w.asked("TokenService/RedeemRefreshToken") }
	before := sent()
	if before == 0 {
		t.Fatal("the first token was not seen at the identity provider")
	}
	broken.Store(true)
	var named *prterr.Error
	if _, err := w.token(w.device, desktop); !errors.As(err, &named) || named.Kind != prterr.TPMFailed || named.HRESULT != 0x80290407 {
		t.Errorf("a token with a TPM that fails: %v", err)
	}
	broken.Store(false)
	if err := w.device.Stop("tpm-agent"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.token(w.device, desktop); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("a token without the agent: %v", err)
	}
	if n := sent(); n != before {
		t.Errorf("%d requests with a cached token were sent all the same", n-before)
	}
	if err := w.device.Resume(t.Context(), "tpm-agent"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.token(w.device, desktop); err != nil {
		t.Errorf("with the agent again: %v", err)
	}
	if sent() == before {
		t.Error("requests are not seen: the test says nothing")
	}
}
