package lsacloudap_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// refuses has the identity provider answer every request for a PRT, and every use of
// one, with a code; 0 ends that.
func (f *fakeIdP) refuses(code aadsts.Code) {
	f.set(func(f *faults) {
		f.on = map[string]error{}
		if code == 0 {
			return
		}
		for _, call := range []string{"idp:RequestPRT", "idp:RenewPRT", "idp:RedeemPRT"} {
			f.on[call] = prterr.AADSTS(code, "")
		}
	})
}

// newestPRT is the last one that it made.
func (f *fakeIdP) newestPRT() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.MaxFunc(slices.Collect(maps.Keys(f.prts)), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
}

// blocked is the refusal of a user whom the identity provider does not want.
func blocked(err error, code aadsts.Code) bool {
	var e *prterr.Error
	return errors.As(err, &e) && e.Kind == prterr.Denied && e.Code == code && e.HRESULT == 0x80070533
}

func (m *machine) users() []*lsav1.UserState {
	m.w.t.Helper()
	s, err := m.state.GetSSOState(m.w.t.Context(), &lsav1.GetSSOStateRequest{})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return s.GetUsers()
}

// A user who was disabled or deleted signs in from the cache until the device learns
// it; from then on not, offline and after restarts too.
func TestINV03_INV04_ADisabledUserSignsInFromTheCacheUntilTheDeviceKnows(t *testing.T) {
	for _, code := range []aadsts.Code{aadsts.UserDisabled, aadsts.UserAccountNotFound, aadsts.UserNotInTenant} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				running := m.signIn(alice).GetLogonSession()
				w.idp.refuses(code)
				w.cut(true)
				time.Sleep(5 * time.Hour)
				if got := m.signIn(alice); !got.GetFromCache() {
					t.Error("offline, the device cannot know it")
				}
				synctest.Wait()
				w.cut(false)
				m.signIn(alice) // the first contact is behind this one
				synctest.Wait()
				learnt := time.Now()
				if _, err := m.try(alice, password); prterr.CodeOf(err) != code {
					t.Errorf("with the network: %v", err)
				}
				w.cut(true)
				for range 2 {
					if _, err := m.try(alice, password); !blocked(err, code) {
						t.Errorf("offline: %v", err)
					}
					if _, err := m.try(alice, "wrong"); blocked(err, code) || prterr.KindOf(err) != prterr.Unauthenticated {
						t.Errorf("a wrong password learns of the block: %v", err)
					}
					if u := m.users(); len(u) != 1 || u[0].GetBlockedCode() != uint32(code) || !u[0].GetBlockedAt().AsTime().Equal(learnt) {
						t.Errorf("users %v", u)
					}
					if m.svc != nil && running != "" {
						if _, err := m.sign(running); err != nil {
							t.Errorf("the running session: %v", err)
						}
					}
					m.stop()
					m, running = w.start(), ""
				}
				// Enabled again, the identity provider takes the user, and so does the cache.
				w.idp.refuses(0)
				w.cut(false)
				if got := m.signIn(alice); got.GetFromCache() {
					t.Error("not by the identity provider")
				}
				w.cut(true)
				if got := m.signIn(alice); !got.GetFromCache() || m.users()[0].GetBlockedCode() != 0 {
					t.Errorf("after the return: %v, %v", got, m.users())
				}
			})
		})
	}
}

// What is learnt with one kind of credential holds for the others.
func TestINV04_ABlockHoldsForAllKindsOfCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.provisioned(alice, aliceID)
		if got, err := m.byPIN(alice, pin); err != nil || got.GetCredentialKind() != "hello" {
			t.Fatalf("got %v, %v", got, err)
		}
		w.idp.refuses(aadsts.UserDisabled)
		w.idp.password = "new-password"
		if _, err := m.try(alice, "new-password"); prterr.CodeOf(err) != aadsts.UserDisabled {
			t.Fatalf("got %v", err)
		}
		w.cut(true)
		if _, err := m.byPIN(alice, pin); !blocked(err, aadsts.UserDisabled) {
			t.Errorf("the PIN: %v", err)
		}
		w.cut(false)
		w.idp.refuses(0)
		if _, err := m.byPIN(alice, pin); err != nil { // one way back in opens both
			t.Fatal(err)
		}
		w.cut(true)
		if got, err := m.try(alice, password); err != nil || !got.GetFromCache() {
			t.Errorf("the password: %v, %v", got, err)
		}
	})
}

func TestINV05_AnInvalidUserDoesNotGetInWithoutACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		w.idp.refuses(aadsts.UserDisabled)
		if _, err := m.try(alice, password); prterr.CodeOf(err) != aadsts.UserDisabled {
			t.Errorf("got %v", err)
		}
		if len(m.partitions()) != 0 || len(w.stored()) != 0 {
			t.Error("something was kept of a user who was never in")
		}
	})
}

// A device that was disabled or deleted keeps nobody out who has signed in on it.
func TestINV07_OnAnInvalidDeviceTheCacheStillLetsIn(t *testing.T) {
	for _, code := range []aadsts.Code{aadsts.DeviceAuthenticationFailed, aadsts.DeviceDisabled} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				m.signIn(alice)
				w.idp.refuses(code)
				time.Sleep(5 * time.Hour)
				synctest.Wait()
				if s := m.only(); s.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID {
					t.Errorf("state %v", s)
				}
				for range 2 {
					if got := m.signIn(alice); !got.GetFromCache() {
						t.Error("not from the cache")
					}
					synctest.Wait()
					m.stop()
					m = w.start()
				}
				if s := m.only(); s.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_DEVICE_INVALID || m.users()[0].GetBlockedCode() != 0 {
					t.Errorf("state %v, users %v", s, m.users())
				}
				w.idp.refuses(0)
				m.signIn(alice)
				synctest.Wait()
				if s := m.only(); s.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
					t.Errorf("state %v", s)
				}
			})
		})
	}
}

// Signed in with the new password, the old PRT is gone from memory and from disk.
func TestINV11_TheNewPasswordReplacesThePRTAndNothingIsLeftOfTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		oldDigest, old := m.only().GetPrtDigest(), w.idp.newestPRT()
		if len(w.holding(old)) != 1 {
			t.Fatal("the old PRT is not where it is looked for")
		}
		w.idp.password = "new-password"
		if got, err := m.try(alice, "new-password"); err != nil || got.GetFromCache() {
			t.Fatalf("got %v, %v", got, err)
		}
		if m.only().GetPrtDigest() == oldDigest || w.idp.newestPRT() == old {
			t.Error("the PRT stayed")
		}
		if found := w.holding(old); len(found) != 0 {
			t.Errorf("%v still have the old PRT", found)
		}
	})
}

// holding are the files of the state folder that have a PRT, in the clear or by its
// digest.
func (w *world) holding(prt string) (found []string) {
	w.t.Helper()
	sum := sha256.Sum256([]byte(prt))
	err := filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), prt) || strings.Contains(string(raw), hex.EncodeToString(sum[:])) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func TestINV12_OfflineTheOldPasswordWorksAndTheNewOneCannotBeChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.idp.password = "new-password"
		w.cut(true)
		if _, err := m.try(alice, "new-password"); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("the new password: %v", err)
		}
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the old password does not open the desktop")
		}
	})
}

// The password was changed while somebody was signed in. The identity provider refuses
// the PRT; the device remembers, gives apps interaction at once, and still opens the
// desktop with the old password. What the page of the interaction brings is new.
func TestINV13_AfterAChangeOfThePasswordAppsGetInteraction(t *testing.T) {
	for _, code := range []aadsts.Code{aadsts.FreshTokenNeeded, aadsts.SessionRevoked} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				session := m.signIn(alice).GetLogonSession()
				w.idp.refuses(code)
				time.Sleep(5 * time.Hour)
				synctest.Wait()
				if s := m.only(); s.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_REVOKED {
					t.Errorf("state %v", s)
				}
				var e *prterr.Error
				if _, err := m.sign(session); !errors.As(err, &e) || e.Kind != prterr.Interaction || e.HRESULT != 0xCAA2000C {
					t.Errorf("an app got %v", err)
				}
				w.cut(true)
				m.stop()
				m = w.start()
				got := m.signIn(alice)
				if _, err := m.sign(got.GetLogonSession()); !got.GetFromCache() || prterr.KindOf(err) != prterr.Interaction {
					t.Errorf("after a restart, offline: %v, %v", got, err)
				}
				synctest.Wait() // what went on behind the desktop has met no network either
				// With the network and a password that is still good, as after sessions were
				// revoked and nothing else, the next sign-in brings a PRT, however young the
				// old one is.
				w.cut(false)
				w.idp.refuses(0)
				w.idp.set(func(f *faults) { f.on["idp:RenewPRT"] = prterr.AADSTS(code, "") })
				before := m.only().GetPrtDigest()
				m.signIn(alice)
				synctest.Wait()
				if s := m.only(); s.GetPrtDigest() == before || s.GetValidity() != authorityv1.PRTValidity_PRT_VALIDITY_GOOD {
					t.Errorf("after the sign-in: %v", s)
				}
				if _, err := m.sign(got.GetLogonSession()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Another credential provider's buffer is refused by the plug-in, by name, before
// anybody is asked, and counts as no wrong password.
func TestISS19_AnUnknownCredentialProviderIsRefusedByThePlugIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		w.took()
		const clsid = "8bf9a910-a8ff-457f-999f-a5ca10b4a885"
		for range 11 {
			_, err := m.logon.LogonUser(context.Background(), &lsav1.LogonUserRequest{
				UserPrincipalName: alice, Credential: &lsav1.LogonUserRequest_Other{Other: &lsav1.OtherCredential{Provider: "{" + strings.ToUpper(clsid) + "}", Buffer: []byte("secret")}},
			})
			var e *prterr.Error
			if !errors.As(err, &e) || e.Kind != prterr.Invalid || e.HRESULT != 0x80070032 || !strings.Contains(e.Msg, clsid) {
				t.Fatalf("got %v", err)
			}
		}
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("calls %v", calls)
		}
		if !slices.ContainsFunc(w.spans.Ended(), func(s trace.ReadOnlySpan) bool { return strings.Contains(s.Name(), "PluginService/AuthenticateUser") }) {
			t.Error("it was not the plug-in that refused")
		}
		w.cut(true)
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("it was counted as a wrong password")
		}
		_, err := m.logon.LogonUser(context.Background(), &lsav1.LogonUserRequest{
			UserPrincipalName: alice, Credential: &lsav1.LogonUserRequest_Other{Other: &lsav1.OtherCredential{Provider: "mine"}},
		})
		if prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("a provider without a CLSID: %v", err)
		}
	})
}
