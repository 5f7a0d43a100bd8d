package lsacloudap_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

const page = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=app&sso_nonce="

// redeem stands for WAM: it sends a signed request to the provider.
func (w *world) redeem(signed string) (answer string, err error) {
	a, err := w.idpClient().RedeemPRT(w.t.Context(), redeemRequest(signed))
	return a.GetAnswer(), err
}

func TestAPP06_ANewPRTIsAskedForOnlyWhenTheOldOneIsOlderThanTheCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		scopes := func(rt *tpmv1.SealedToken) string {
			a, err := m.tokens.SignTokenRequest(t.Context(), &authorityv1.SignTokenRequestRequest{
				LogonSession: session, ClientId: appID, Resource: "https://graph.test", RedirectUri: redirect, RequestNonce: w.idp.nonce(), RefreshToken: rt,
			})
			var r request
			if err != nil || !readToken(a.GetRequest(), &r) {
				t.Fatalf("sign: %v", err)
			}
			if rt != nil && (r.RT != "rt" || r.PRT != "") {
				t.Errorf("the refresh token is not what is redeemed: %+v", r)
			}
			return r.Scopes
		}
		if s := scopes(nil); s != "openid" {
			t.Errorf("young PRT: %q", s)
		}
		w.cut(true) // so that the clock cannot renew
		time.Sleep(4*time.Hour + time.Minute)
		if s := scopes(nil); s != "openid aza" {
			t.Errorf("old PRT: %q", s)
		}
		if s := scopes(&tpmv1.SealedToken{Sealed: []byte("rt")}); s != "openid" {
			t.Errorf("old PRT, refresh token redeemed: %q", s)
		}
	})
}

func TestAPP08_AnOfferedPRTIsValidatedBeforeItIsAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.idp.set(func(f *faults) { f.on = map[string]error{"idp:RenewPRT": errNetwork} })
		time.Sleep(5 * time.Hour)
		before := m.only().GetPrtDigest()

		signed, err := m.sign(session)
		if err != nil {
			t.Fatal(err)
		}
		var r request
		readToken(signed, &r)
		sealed, err := w.redeem(signed)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := m.tokens.OpenTokenAnswer(t.Context(), &authorityv1.OpenTokenAnswerRequest{LogonSession: session, ClientId: appID, Answer: sealed})
		if err != nil || opened.GetAnswer().GetNewPrt() == "" {
			t.Fatalf("%v, %v", opened, err)
		}
		w.idp.mu.Lock()
		foreign, otherKey := w.idp.mint(adaID, r.Key), w.idp.mint(aliceID, "key-of-somebody")
		expired := w.idp.mint(aliceID, r.Key)
		w.idp.prts[expired] = issuedPRT{user: aliceID, key: r.Key, expires: time.Now()}
		w.idp.mu.Unlock()

		offer := func(prt string, life int64) error {
			_, err := m.tokens.OfferPRT(t.Context(), &authorityv1.OfferPRTRequest{LogonSession: session, Prt: prt, ExpiresIn: life})
			return err
		}
		for name, prt := range map[string]string{"forged": "1.prt.forged", "foreign": foreign, "other session key": otherKey, "expired": expired} {
			w.took()
			if err := offer(prt, 3600); err == nil {
				t.Errorf("%s: adopted", name)
			}
			if !slices.Contains(w.took(), "idp:RedeemPRT") {
				t.Errorf("%s: the identity provider was not asked", name)
			}
			if m.only().GetPrtDigest() != before {
				t.Fatalf("%s: the old PRT is gone", name)
			}
		}
		for _, bad := range []error{offer("", 3600), offer("a b", 3600), offer("1.prt.x", 0), offer("1.prt.x", 401*86400)} {
			if prterr.KindOf(bad) != prterr.Invalid {
				t.Errorf("malformed: %v", bad)
			}
		}
		w.cut(true)
		if err := offer(opened.GetAnswer().GetNewPrt(), 3600); err == nil {
			t.Error("adopted without validation")
		}
		w.cut(false)
		if err := offer(opened.GetAnswer().GetNewPrt(), opened.GetAnswer().GetNewPrtExpiresIn()); err != nil {
			t.Fatalf("the genuine one: %v", err)
		}
		if s := m.only(); s.GetPrtDigest() == before || time.Since(s.GetPrtUpdateTime().AsTime()) != 0 {
			t.Errorf("not adopted: %v", s)
		}
		w.idp.set(func(f *faults) { f.on = nil })
		w.mustRedeem(m)
	})
}

func TestAPP08_OfferAndRenewalAtOnceLeaveAPairThatBelongsTogether(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Duration // of the offer; every call of the TPM takes a second
		want prterr.Kind
	}{
		{"offer first", 4*time.Hour - time.Second, ""},
		{"renewal first", 4*time.Hour + 1500*time.Millisecond, prterr.Conflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := w.start()
				session := m.signIn(alice).GetLogonSession()
				var r request
				signed, err := m.sign(session)
				if err != nil || !readToken(signed, &r) {
					t.Fatal(err)
				}
				w.idp.mu.Lock()
				offered := w.idp.mint(aliceID, r.Key)
				w.idp.mu.Unlock()
				w.tpm.set(func(f *faults) { f.slow = time.Second })
				time.Sleep(c.at)
				_, err = m.tokens.OfferPRT(t.Context(), &authorityv1.OfferPRTRequest{LogonSession: session, Prt: offered, ExpiresIn: 3600})
				if prterr.KindOf(err) != c.want {
					t.Errorf("offer: %v", err)
				}
				time.Sleep(time.Minute)
				w.tpm.set(func(f *faults) { f.slow = 0 })
				w.mustRedeem(m)
			})
		})
	}
}

func TestAnAnswerToARequestFromBeforeTheRenewalStillOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		time.Sleep(4*time.Hour - time.Second)
		signed, err := m.sign(session)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // renewed
		sealed, err := w.redeem(signed)
		if err != nil {
			t.Fatal(err)
		}
		openIt := func() error {
			_, err := m.tokens.OpenTokenAnswer(t.Context(), &authorityv1.OpenTokenAnswerRequest{LogonSession: session, ClientId: appID, Answer: sealed})
			return err
		}
		if err := openIt(); err != nil {
			t.Errorf("just after the renewal: %v", err)
		}
		time.Sleep(5 * time.Minute)
		if err := openIt(); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("five minutes later: %v", err)
		}
	})
}

func TestPRO07_WithoutTheTPMNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		before := m.only().GetPrtDigest()
		nonce := w.idp.nonce()
		w.tpm.set(func(f *faults) {
			f.down = prterr.New(prterr.TPMFailed, "the TPM does not answer").WithHRESULT(0x80290401)
		})
		w.took()
		if _, err := m.sign(session); prterr.KindOf(err) != prterr.TPMFailed {
			t.Errorf("token request: %v", err)
		}
		if _, err := m.cookies.CreatePRTCookie(t.Context(), &authorityv1.CreatePRTCookieRequest{LogonSession: session, SignInUri: page + nonce}); prterr.KindOf(err) != prterr.TPMFailed {
			t.Errorf("cookie: %v", err)
		}
		time.Sleep(5 * time.Hour)
		if _, err := m.try(ada, password); prterr.KindOf(err) != prterr.TPMFailed {
			t.Errorf("first sign-in: %v", err)
		}
		for _, c := range w.took() {
			if c == "idp:RequestPRT" || c == "idp:RenewPRT" || c == "idp:RedeemPRT" {
				t.Errorf("%s was called", c)
			}
		}
		if s := m.only(); s.GetPrtDigest() != before || !strings.Contains(s.GetLastError(), "TPM") {
			t.Errorf("state %v", s)
		}
	})
}

func TestBRO06_TheCookieIsMadeOfPRTAndNonceInTheTPM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.took()
		got, err := m.cookies.CreatePRTCookie(t.Context(), &authorityv1.CreatePRTCookieRequest{LogonSession: session, SignInUri: page + "AwABAA_-.x"})
		if err != nil || got.GetName() != entrawire.CookieName {
			t.Fatalf("%v, %v", got, err)
		}
		var r request
		if !readToken(got.GetValue(), &r) || r.Kind != "cookie" || r.Nonce != "AwABAA_-.x" || w.idp.prts[r.PRT].key != r.Key {
			t.Errorf("cookie %+v", r)
		}
		if calls := w.took(); !slices.Equal(calls, []string{"tpm:SignPRTCookie"}) {
			t.Errorf("calls %v", calls)
		}
		if !strings.Contains(w.logged(), "caller=browsercore") {
			t.Error("the cookie is not in the log")
		}
	})
}

func TestBRO04_Attack23_TheLastCheckIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start(func(c *lsacloudap.Config) { c.SignInHosts = []string{"login.lab.test"} })
		session := m.signIn(alice).GetLogonSession()
		w.took()
		for uri, field := range map[string]string{
			page + "n": "host",
			"https://login.lab.test.evil.test/common/oauth2/authorize?sso_nonce=n": "host",
			"https://login.lab.test/common/oauth2/authorize":                       "sso_nonce",
		} {
			_, err := m.cookies.CreatePRTCookie(t.Context(), &authorityv1.CreatePRTCookieRequest{LogonSession: session, SignInUri: uri})
			if prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), field) {
				t.Errorf("%s: %v", uri, err)
			}
		}
		if calls := w.took(); len(calls) != 0 {
			t.Errorf("calls %v", calls)
		}
	})
}

func TestAnEndedSessionOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		a, err := m.tokens.DescribeAccount(t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: session})
		if err != nil || a.GetTenantId() != tenant || a.GetUserId() != aliceID || a.GetUserPrincipalName() != alice || a.GetCredentialKind() != "password" {
			t.Errorf("%v, %v", a, err)
		}
		m.logoff(session)
		for _, s := range []string{session, "", "x", strings.Repeat("A", 43), strings.Repeat("A", 5000), "a\nb"} {
			_, describe := m.tokens.DescribeAccount(t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: s})
			_, sign := m.sign(s)
			_, open := m.tokens.OpenTokenAnswer(t.Context(), &authorityv1.OpenTokenAnswerRequest{LogonSession: s, ClientId: appID, Answer: "a"})
			_, offer := m.tokens.OfferPRT(t.Context(), &authorityv1.OfferPRTRequest{LogonSession: s, Prt: "a", ExpiresIn: 1})
			_, cookie := m.cookies.CreatePRTCookie(t.Context(), &authorityv1.CreatePRTCookieRequest{LogonSession: s, SignInUri: page + "n"})
			for i, err := range []error{describe, sign, open, offer, cookie} {
				if prterr.KindOf(err) != prterr.Unauthenticated {
					t.Errorf("call %d: %v", i, err)
				}
			}
		}
	})
}

func TestAnExpiredPRTAsksForASignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.cut(true)
		time.Sleep(14 * 24 * time.Hour)
		_, err := m.sign(session)
		if prterr.KindOf(err) != prterr.Interaction || !strings.Contains(err.Error(), "sign in again") {
			t.Errorf("token request: %v", err)
		}
		if _, err := m.cookies.CreatePRTCookie(t.Context(), &authorityv1.CreatePRTCookieRequest{LogonSession: session, SignInUri: page + "n"}); prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("cookie: %v", err)
		}
	})
}
