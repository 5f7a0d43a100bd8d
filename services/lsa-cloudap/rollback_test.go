package lsacloudap_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// snapshot copies the files of the cache by their path.
func (w *world) snapshot(patterns ...string) map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(w.dir, p))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, f := range found {
			raw, err := os.ReadFile(f)
			if err != nil {
				w.t.Fatal(err)
			}
			all[f] = string(raw)
		}
	}
	return all
}

func (w *world) restore(all map[string]string) {
	w.t.Helper()
	for f, content := range all {
		if err := os.WriteFile(f, []byte(content), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (m *machine) cache() *lsav1.CacheState {
	m.w.t.Helper()
	s, err := m.state.GetSSOState(m.w.t.Context(), &lsav1.GetSSOStateRequest{})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return s.GetCache()
}

const (
	cacheCurrent    = lsav1.CacheVerification_CACHE_VERIFICATION_CURRENT
	cachePending    = lsav1.CacheVerification_CACHE_VERIFICATION_PENDING
	cacheRolledBack = lsav1.CacheVerification_CACHE_VERIFICATION_ROLLED_BACK
)

// TestA43_FLT12_AnOldCacheIsDetected: whoever restores files of an earlier day, or puts
// others there, finds them in quarantine at the next start. The users of files that
// are the newest notice nothing.
func TestA43_FLT12_AnOldCacheIsDetected(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(w *world, old map[string]string)
		// aside is how many files go to quarantine, cached who is still in the cache.
		aside  int
		cached map[string]bool
		says   string
	}{
		"one old partition": {func(w *world, old map[string]string) {
			maps.DeleteFunc(old, func(f, _ string) bool { return !strings.Contains(f, aliceID) })
			w.restore(old)
		}, 1, map[string]bool{alice: false, ada: true}, "it is not what was written last"},
		"the whole cache of an earlier day": {func(w *world, old map[string]string) { w.restore(old) },
			2, map[string]bool{alice: false, ada: false}, "neither it nor the manifest"},
		"old partitions, and no manifest": {func(w *world, old map[string]string) {
			w.restore(old)
			if err := os.Remove(filepath.Join(w.dir, "manifest.json")); err != nil {
				w.t.Fatal(err)
			}
		}, 2, map[string]bool{alice: false, ada: false}, "neither it nor the manifest"},
		"a partition under another name": {func(w *world, _ map[string]string) {
			for f, raw := range w.snapshot("partitions/*" + aliceID + "*") {
				w.restore(map[string]string{strings.ReplaceAll(f, aliceID, "bbbbbbbb-0000-4000-8000-00000000000f"): raw})
			}
		}, 1, map[string]bool{alice: true, ada: true}, "it is not what was written last"},
		"a partition that is gone": {func(w *world, _ map[string]string) {
			for f := range w.snapshot("partitions/*" + aliceID + "*") {
				if err := os.Remove(f); err != nil {
					w.t.Fatal(err)
				}
			}
		}, 0, map[string]bool{alice: false, ada: true}, "is missing"},
		"a manifest that is gone": {func(w *world, _ map[string]string) {
			if err := os.Remove(filepath.Join(w.dir, "manifest.json")); err != nil {
				w.t.Fatal(err)
			}
		}, 0, map[string]bool{alice: true, ada: true}, ""},
		"nothing": {func(*world, map[string]string) {}, 0, map[string]bool{alice: true, ada: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				m.signIn(alice)
				m.signIn(ada)
				old := w.snapshot("partitions/*.json", "manifest.json")
				for _, upn := range []string{alice, ada} { // so that both files change
					if _, err := m.try(upn, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
						t.Fatal(err)
					}
				}
				m.stop()
				c.tamper(w, old)

				m = w.start()
				got := m.cache()
				if want := map[bool]lsav1.CacheVerification{true: cacheRolledBack, false: cacheCurrent}[c.aside > 0]; got.GetVerification() != want || len(got.GetQuarantined()) != c.aside {
					t.Errorf("%v", got)
				}
				for _, q := range got.GetQuarantined() {
					if !strings.Contains(q.GetReason(), c.says) {
						t.Errorf("reason %q", q.GetReason())
					}
				}
				if !strings.Contains(w.logged(), c.says) {
					t.Errorf("nothing in the log of %q", c.says)
				}
				for upn, cached := range c.cached {
					if got := m.signIn(upn); got.GetFromCache() != cached {
						t.Errorf("%s: from the cache %v", upn, got.GetFromCache())
					}
				}
				m.stop()
				m = w.start() // all is well from here on
				if got := m.cache(); got.GetVerification() != cacheCurrent || len(got.GetQuarantined()) != c.aside {
					t.Errorf("at the next start: %v", got)
				}
				for upn := range c.cached {
					if got := m.signIn(upn); !got.GetFromCache() {
						t.Errorf("%s is not in the cache", upn)
					}
				}
			})
		})
	}
}

// agentDown keeps the record from being asked.
func (w *world) agentDown(down bool) {
	w.records.set(func(f *faults) {
		f.down = nil
		if down {
			f.down = prterr.New(prterr.Unavailable, "down")
		}
	})
}

// TestA43_AnOldCacheIsDetectedWhenTheAgentComesBack: until then it works, because a cache
// that needs the TPM would be none; then the sessions of the old files end.
func TestA43_AnOldCacheIsDetectedWhenTheAgentComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		m.signIn(ada)
		old := w.snapshot("partitions/*" + aliceID + "*")
		if _, err := m.try(alice, "wrong"); err == nil {
			t.Fatal("signed in")
		}
		m.stop()
		w.restore(old)
		w.agentDown(true)
		m = w.start()
		if got := m.cache(); got.GetVerification() != cachePending || len(got.GetQuarantined()) != 0 {
			t.Errorf("without the agent: %v", got)
		}
		session, other := m.signIn(alice), m.signIn(ada)
		if !session.GetFromCache() || !other.GetFromCache() {
			t.Error("the cache does not work without the agent")
		}
		w.agentDown(false)
		if got := m.signIn(alice); got.GetFromCache() {
			t.Error("signed in from an old file")
		}
		if got := m.cache(); got.GetVerification() != cacheRolledBack || len(got.GetQuarantined()) != 1 {
			t.Errorf("with the agent: %v", got)
		}
		if _, err := m.sign(session.GetLogonSession()); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the session of the old file: %v", err)
		}
		if _, err := m.sign(other.GetLogonSession()); err != nil {
			t.Errorf("the other session: %v", err)
		}
		m.stop()
		if got := w.start().cache(); got.GetVerification() != cacheCurrent {
			t.Errorf("at the next start: %v", got)
		}
	})
}

// TestAnUnverifiedCacheCanBeRefused by the policy of the device.
func TestAnUnverifiedCacheCanBeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		m.stop()
		refuse := func(c *lsacloudap.Config) { c.RefuseUnverifiedCache = true }
		w.agentDown(true)
		m = w.start(refuse)
		w.cut(true)
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unavailable || !strings.Contains(err.Error(), "could not be checked against the TPM") {
			t.Errorf("without agent and network: %v", err)
		}
		w.cut(false)
		if got := m.signIn(alice); got.GetFromCache() {
			t.Error("signed in from the cache")
		}
		m.stop()
		w.agentDown(false)
		m = w.start(refuse)
		w.cut(true)
		if got := m.cache(); got.GetVerification() == cacheCurrent {
			t.Error("a write that nobody recorded counts as recorded")
		}
	})
}

// TestWhatIsWrittenWithoutTheAgentIsRecordedLater: wrong passwords count meanwhile.
func TestWhatIsWrittenWithoutTheAgentIsRecordedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.agentDown(true)
		w.cut(true)
		for range 10 {
			if _, err := m.try(alice, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Fatal(err)
			}
		}
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("ten wrong passwords were not counted: %v", err)
		}
		w.agentDown(false)
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Error(err)
		}
		m.stop()
		m = w.start()
		if got := m.cache(); got.GetVerification() != cacheCurrent || len(got.GetQuarantined()) > 0 {
			t.Errorf("after a restart: %v", got)
		}
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("the count is gone: %v", err)
		}
	})
}

// TestACacheWithoutARecordIsTakenAsItIs, as of an earlier release, or after the TPM was
// cleared; and the event log says so.
func TestACacheWithoutARecordIsTakenAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		m.stop()
		w.records.forget()
		m = w.start()
		if got := m.cache(); got.GetVerification() != cacheCurrent || len(got.GetQuarantined()) > 0 {
			t.Errorf("%v", got)
		}
		if !strings.Contains(w.logged(), "no record of the cache") {
			t.Error("nobody says so")
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the cache is not used")
		}
	})
}

// TestAWrongPasswordCountsOnADiskThatTakesNothing: else whoever fills the disk could
// guess for as long as the process runs.
func TestAWrongPasswordCountsOnADiskThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		folder := filepath.Join(w.dir, "partitions")
		if err := os.Rename(folder, folder+".away"); err != nil {
			t.Fatal(err)
		}
		w.restore(map[string]string{folder: "no folder"})
		w.cut(true)
		if _, err := m.try(alice, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Fatal(err)
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the right password does not help any more")
		}
		for range 9 {
			if _, err := m.try(alice, "wrong"); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Fatal(err)
			}
		}
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Exhausted {
			t.Errorf("after ten wrong ones: %v", err)
		}
	})
}

// TestAFileNameThatIsNoTextHidesNothing: names on disk are any bytes, and one of them in
// the state or the events would keep an operator from reading all of it.
func TestAFileNameThatIsNoTextHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if err := os.Mkdir(filepath.Join(w.dir, "partitions"), 0o700); err != nil {
			t.Fatal(err)
		}
		w.restore(map[string]string{filepath.Join(w.dir, "partitions", "\xff.json"): "{}"})
		if got := w.start().cache(); len(got.GetQuarantined()) != 1 {
			t.Errorf("%v", got)
		}
	})
}

// TestManyGuessesAtOnceAreCountedEach, so that haste gives no more than patience.
func TestManyGuessesAtOnceAreCountedEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.cut(true)
		answers := make(chan error)
		for range 24 {
			go func() {
				_, err := m.try(alice, "wrong")
				answers <- err
			}()
		}
		judged := 0
		for range 24 {
			if err := <-answers; prterr.KindOf(err) == prterr.Unauthenticated {
				judged++
			}
		}
		if judged != 10 {
			t.Errorf("%d guesses were judged, of 10", judged)
		}
	})
}
