package lsacloudap_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// stored are the names of the partition files.
func (w *world) stored() []string {
	found, err := filepath.Glob(filepath.Join(w.dir, "partitions", "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func TestISS01_FirstSignInTakesItsRowsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		got := w.start().signIn(alice)
		if got.GetFromCache() || got.GetRenewalStarted() || got.GetUserId() != aliceID || got.GetDisplayName() != "Alice Example" || len(got.GetLogonSession()) != 43 {
			t.Errorf("answer: %v", got)
		}
		want := []string{
			"dsreg:GetDeviceState", "idp:DiscoverRealm", "idp:IssueNonce", "tpm:SignPRTRequest", "idp:RequestPRT", "tpm:ImportSessionKey", "tpm:ProtectPRT",
		}
		if calls := w.took(); !slices.Equal(calls, want) {
			t.Errorf("calls %v", calls)
		}
		if files := w.stored(); len(files) != 1 {
			t.Errorf("stored %v", files)
		}
	})
}

func TestISS03_ANonceThatIsNotOneIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		w.idp.set(func(f *faults) { f.on = map[string]error{"idp:IssueNonce": errNetwork} })
		if _, err := m.try(alice, password); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("got %v", err)
		}
		if slices.Contains(w.took(), "tpm:SignPRTRequest") {
			t.Error("a request was signed without a nonce")
		}
	})
}

func TestISS04_FederatedOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start().signIn(ada)
		want := []string{
			"dsreg:GetDeviceState", "idp:DiscoverRealm", "adfs:GetMetadata", "adfs:IssueToken", "idp:IssueNonce",
			"tpm:SignPRTRequest", "idp:RequestPRT", "tpm:ImportSessionKey", "tpm:ProtectPRT",
		}
		if calls := w.took(); !slices.Equal(calls, want) {
			t.Errorf("calls %v", calls)
		}
	})
}

func TestISS14_TheDesktopDoesNotOpenBeforeThePRTIsStored(t *testing.T) {
	for _, stalled := range []string{"idp:DiscoverRealm", "idp:IssueNonce", "idp:RequestPRT", "tpm:ImportSessionKey", "tpm:ProtectPRT"} {
		t.Run(stalled, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				stall := func(f *faults) { f.stall = []string{stalled} }
				w.idp.set(stall)
				w.tpm.set(stall)
				begin := time.Now()
				got, err := m.try(alice, password)
				if prterr.KindOf(err) != prterr.Deadline || got.GetLogonSession() != "" {
					t.Errorf("got %v, %v", got, err)
				}
				if waited := time.Since(begin); waited > 30*time.Second {
					t.Errorf("waited %v", waited)
				}
				if files := w.stored(); len(files) != 0 {
					t.Errorf("stored %v", files)
				}
			})
		})
	}
}

func TestREG11_ADeviceThatIsNotJoinedLetsNobodyIn(t *testing.T) {
	for state, want := range map[dsregv1.JoinState]string{
		dsregv1.JoinState_JOIN_STATE_NONE: "lockstep join", dsregv1.JoinState_JOIN_STATE_REGISTERED: "registered, not joined",
		dsregv1.JoinState_JOIN_STATE_UNSPECIFIED: "lockstep join", 99: "lockstep join",
		dsregv1.JoinState_JOIN_STATE_HYBRID: "", dsregv1.JoinState_JOIN_STATE_JOINED: "",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.dsreg.state = state
			_, err := w.start().try(alice, password)
			if want == "" {
				if err != nil {
					t.Errorf("%v: %v", state, err)
				}
				return
			}
			if prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: got %v", state, err)
			}
			if calls := w.took(); len(calls) != 1 {
				t.Errorf("%v: calls %v", state, calls)
			}
		})
	}
}

func TestAnAnswerForSomebodyElseIsRefused(t *testing.T) {
	foreign := "aaaaaaaa-0000-4000-8000-00000000000f"
	for name, twist := range map[string]func(*idpv1.RequestPRTResponse){
		"other tenant":     func(a *idpv1.RequestPRTResponse) { a.IdToken = idToken(aliceID, foreign, alice) },
		"other user":       func(a *idpv1.RequestPRTResponse) { a.IdToken = idToken(aliceID, tenant, "bob@contoso.test") },
		"no user":          func(a *idpv1.RequestPRTResponse) { a.IdToken = idToken(aliceID, tenant, "") },
		"no object id":     func(a *idpv1.RequestPRTResponse) { a.IdToken = idToken("", tenant, alice) },
		"no id token":      func(a *idpv1.RequestPRTResponse) { a.IdToken = "" },
		"no session key":   func(a *idpv1.RequestPRTResponse) { a.SessionKeyJwe = "" },
		"no PRT":           func(a *idpv1.RequestPRTResponse) { a.RefreshToken = "" },
		"PRT too long":     func(a *idpv1.RequestPRTResponse) { a.RefreshToken = strings.Repeat("a", 16<<10+1) },
		"PRT with a break": func(a *idpv1.RequestPRTResponse) { a.RefreshToken = "a\nb" },
		"no lifetime":      func(a *idpv1.RequestPRTResponse) { a.RefreshTokenExpiresIn = 0 },
		"endless":          func(a *idpv1.RequestPRTResponse) { a.RefreshTokenExpiresIn = 401 * 86400 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.idp.twist = twist
				got, err := w.start().try(alice, password)
				if err == nil || got.GetLogonSession() != "" {
					t.Errorf("got %v, %v", got, err)
				}
				if files := w.stored(); len(files) != 0 {
					t.Errorf("stored %v", files)
				}
			})
		})
	}
}

func TestISS02_ARealmAnswerIsCheckedBeforeThePasswordMoves(t *testing.T) {
	for name, realm := range map[string]func(*idpv1.DiscoverRealmResponse){
		"other domain": func(a *idpv1.DiscoverRealmResponse) { a.DomainName = "evil.test" },
		"no type":      func(a *idpv1.DiscoverRealmResponse) { a.AccountType = 0 },
		"unknown type": func(a *idpv1.DiscoverRealmResponse) { a.AccountType = 77 },
		"not WS-Trust": func(a *idpv1.DiscoverRealmResponse) { a.FederationProtocol = "SAML" },
		"plain http": func(a *idpv1.DiscoverRealmResponse) {
			a.FederationMetadataUrl = strings.Replace(mexURL, "https", "http", 1)
		},
		"no audience": func(a *idpv1.DiscoverRealmResponse) { a.CloudAudienceUrn = "" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.idp.realm = realm
				if _, err := w.start().try(ada, password); err == nil {
					t.Error("signed in")
				}
				if calls := w.took(); calls[len(calls)-1] != "idp:DiscoverRealm" {
					t.Errorf("calls %v", calls)
				}
			})
		})
	}
}

func TestAFederationAnswerIsCheckedToo(t *testing.T) {
	for name, c := range map[string]struct {
		twist func(*federationv1.GetMetadataResponse, *federationv1.IssueTokenResponse)
		last  string
	}{
		"no endpoint": {func(m *federationv1.GetMetadataResponse, _ *federationv1.IssueTokenResponse) {
			m.UsernameMixedUrls = nil
		}, "adfs:GetMetadata"},
		"plain http": {func(m *federationv1.GetMetadataResponse, _ *federationv1.IssueTokenResponse) {
			m.UsernameMixedUrls = []string{"http://sts.test"}
		}, "adfs:GetMetadata"},
		"no assertion": {func(_ *federationv1.GetMetadataResponse, a *federationv1.IssueTokenResponse) { a.SamlAssertion = "" }, "adfs:IssueToken"},
		"too long": {func(_ *federationv1.GetMetadataResponse, a *federationv1.IssueTokenResponse) {
			a.SamlAssertion = strings.Repeat("x", 32<<10+1)
		}, "adfs:IssueToken"},
		"not signed in": {func(_ *federationv1.GetMetadataResponse, a *federationv1.IssueTokenResponse) {
			a.SamlAssertion = "<other/>"
		}, "idp:RequestPRT"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.adfs.twist = c.twist
				if _, err := w.start().try(ada, password); err == nil {
					t.Error("signed in")
				}
				if calls := w.took(); calls[len(calls)-1] != c.last {
					t.Errorf("calls %v", calls)
				}
			})
		})
	}
}

func TestWithoutAFederationProviderAFederatedUserIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newWorld(t).start(func(c *lsacloudap.Config) { c.Federation = nil }).try(ada, password)
		if prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "federation provider") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnUnknownDomainIsNamedAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := newWorld(t).start().try("eve@nowhere.test", password)
		if prterr.CodeOf(err) != aadsts.TenantNotFound {
			t.Errorf("got %v", err)
		}
	})
}

func TestBadInputIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newWorld(t).start()
		for name, req := range map[string]*lsav1.LogonUserRequest{
			"user_principal_name": {UserPrincipalName: "alice@", Credential: &lsav1.LogonUserRequest_Password{Password: "x"}},
			"credential":          {UserPrincipalName: alice},
			"password":            {UserPrincipalName: alice, Credential: &lsav1.LogonUserRequest_Password{}},
			"256":                 {UserPrincipalName: alice, Credential: &lsav1.LogonUserRequest_Password{Password: strings.Repeat("x", 257)}},
		} {
			_, err := m.logon.LogonUser(t.Context(), req)
			if prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if calls := m.w.took(); len(calls) != 0 {
			t.Errorf("calls %v", calls)
		}
	})
}

func TestISS13_AfterARestartThePRTIsUsableAndNothingIsInClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.start()
		first.signIn(alice)
		first.stop()
		err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if strings.Contains(string(raw), password) || strings.Contains(string(raw), "jwe.") {
				t.Errorf("%s holds a secret in clear", path)
			}
			if info, serr := d.Info(); serr != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", path, info.Mode(), serr)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		m := w.start()
		w.cut(true)
		got := m.signIn(alice)
		if !got.GetFromCache() {
			t.Error("not from the cache")
		}
		if _, err := m.sign(got.GetLogonSession()); err != nil {
			t.Errorf("the PRT is not usable: %v", err)
		}
	})
}
