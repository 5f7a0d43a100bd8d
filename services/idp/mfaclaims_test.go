package idp_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// factors is a laboratory with pages, in which Mia is asked for a second factor by
// every resource.
type factors struct {
	*pages
	lab *clock.Lab
}

func newFactors(t testing.TB, file []byte) *factors {
	t.Helper()
	lab := clock.NewLab()
	return &factors{newPages(t, idp.Config{Clock: lab, Tenants: file}), lab}
}

// withSecondFactor is the default tenant file with a life for imprints.
func withSecondFactor(life string) []byte {
	return []byte(strings.Replace(string(idp.DefaultTenants()), "    lifetimes:\n", "    lifetimes:\n      second_factor: "+life+"\n", 1))
}

// upgrade is what CloudAP does with a page: PRT cookie in, code out, the broker's
// refresh token for it, and a PRT for that.
func (f *factors) upgrade(t testing.TB, s *signIn) *signIn {
	t.Helper()
	f.lab.Advance(11 * time.Minute) // a factor of before is not fresh any more, and no code is good twice
	n, verifier := f.nonce(t), strings.Repeat("v", 43)
	challenge := sha256.Sum256([]byte(verifier))
	page := f.page(t, &idpv1.AuthorizeRequest{
		ClientId: entrawire.BrokerClientID, RedirectUri: native + "DRS", Resource: "urn:aad:tb:update:prt", AmrValues: "ngcmfa",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]), CodeChallengeMethod: "S256",
		SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)),
	}, factorPage, 0)
	b := f.begin(t, page, otp)
	next := f.complete(t, f.check(t, b.GetFlowToken(), otp, b.GetSessionId(), f.shown(t)).GetFlowToken(), page.GetCanary())
	a, err := f.grants.RequestTokens(context.Background(), &idpv1.RequestTokensRequest{
		Tenant: contoso, Protocol: v1, ClientId: entrawire.BrokerClientID,
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{
			Code: next.GetSignedIn().GetCode(), RedirectUri: native + "DRS", CodeVerifier: verifier,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.d.open(t, s.d.sign(t, f.roadtxUpgrade(t, a.GetTokens().GetRefreshToken())))
}

// amr are the methods in a token for a resource that the PRT gives without a page.
func (f *factors) amr(t testing.TB, s *signIn, client string) []string {
	t.Helper()
	return f.accessToken(t, s.tokens(t, s.redemption(t, client, graph)).AccessToken).AMR
}

// asks is what a PRT meets that policy wants more of.
func (f *factors) asks(t testing.TB, s *signIn, client string) {
	t.Helper()
	_, err := f.redeemPRT(s.sign(t, s.redemption(t, client, graph)))
	wantCode(t, err, aadsts.MFARequired)
}

func (f *factors) hello(t testing.TB, d *device, upn string, key int) *signIn {
	t.Helper()
	h := d.provision(t, upn, key, f.lab.Now())
	return d.open(t, d.sign(t, h.request(t, f.nonce(t), h.assertion(t, f.lab.Now(), f.nonce(t), nil))))
}

// TestMFA01_MFA06_MFA11_AHelloPRTHasTheClaim: a policy that wants a second factor is
// met without a page, and the token says what the PRT does.
func TestMFA01_MFA06_MFA11_AHelloPRTHasTheClaim(t *testing.T) {
	f := newFactors(t, nil)
	s := f.hello(t, f.join(t, mia, miaPassword, 1, 2), mia, 3)
	want := f.artefact(t, sealed.PRT, s.prt).AMR
	if got := f.amr(t, s, office); !slices.Contains(got, "mfa") || !slices.Equal(got, want) {
		t.Errorf("the token says %v, the PRT %v", got, want)
	}
}

// TestMFA02_TheTimeOfAHelloKeysClaimMovesWithRenewals: in 30 days of them it never is
// older than one cycle, and nobody is asked.
func TestMFA02_TheTimeOfAHelloKeysClaimMovesWithRenewals(t *testing.T) {
	f := newFactors(t, nil)
	s := f.hello(t, f.join(t, mia, miaPassword, 1, 2), mia, 3)
	for range 30 * 6 {
		f.lab.Advance(4 * time.Hour)
		if age := f.lab.Now().Sub(f.artefact(t, sealed.PRT, s.prt).FactorTime()); age > 4*time.Hour+time.Minute {
			t.Fatalf("the claim is %v old", age)
		}
		s, _ = s.renew(t, s.renewal(t))
	}
	f.amr(t, s, office)
}

func TestMFA03_APasswordGivesNoClaim(t *testing.T) {
	f := newFactors(t, nil)
	s := f.join(t, mia, miaPassword, 1, 2).first(t, mia, miaPassword)
	if prt := f.artefact(t, sealed.PRT, s.prt); slices.Contains(prt.AMR, "mfa") || prt.AMR[0] != "pwd" || prt.MFATime != 0 {
		t.Errorf("%v at %d", prt.AMR, prt.MFATime)
	}
	f.asks(t, s, office)
}

// TestMFA04_MFA06_MFA10_AnInteractionImprintsTheClaim: on the PRT that came of it, for
// every app. What was issued before stays what it was.
func TestMFA04_MFA06_MFA10_AnInteractionImprintsTheClaim(t *testing.T) {
	f := newFactors(t, nil)
	before := f.join(t, mia, miaPassword, 1, 2).first(t, mia, miaPassword)
	old := before.tokens(t, before.redemption(t, office, "")).RefreshToken.Reveal()
	f.asks(t, before, office)
	after := f.upgrade(t, before)
	prt := f.artefact(t, sealed.PRT, after.prt)
	if prt.Credential != sealed.Password || !slices.Equal(methods.Names(prt.Used), []methods.Method{methods.Password, methods.SoftwareOATH}) {
		t.Errorf("%s, %v", prt.Credential, prt.Used)
	}
	for _, client := range []string{office, cli} {
		if got := f.amr(t, after, client); !slices.Contains(got, "mfa") {
			t.Errorf("%s: %v", client, got)
		}
	}
	if rt := f.artefact(t, sealed.RefreshToken, after.tokens(t, after.redemption(t, office, graph)).RefreshToken.Reveal()); rt.MFATime != prt.MFATime {
		t.Errorf("the new refresh token has a factor of %d, the PRT of %d", rt.MFATime, prt.MFATime)
	}
	if rt := f.artefact(t, sealed.RefreshToken, old); rt.MFATime != 0 || slices.Contains(rt.AMR, "mfa") {
		t.Errorf("the old refresh token says %v", rt.AMR)
	}
	c := before.redemption(t, office, graph)
	c.RefreshToken = secret.NewText(old)
	_, err := f.redeemRT(before.sign(t, c))
	wantCode(t, err, aadsts.MFARequired)
	f.asks(t, before, cli)
}

// TestMFA05_TheImprintLivesAsLongAsTheDirectorySays: renewals do not make it longer.
// The PRT outlives it, and then says what the password said.
func TestMFA05_TheImprintLivesAsLongAsTheDirectorySays(t *testing.T) {
	for life, over := range map[string]bool{"8h": true, "0": false} {
		f := newFactors(t, withSecondFactor(life))
		s := f.upgrade(t, f.join(t, mia, miaPassword, 1, 2).first(t, mia, miaPassword))
		shown := time.Unix(f.artefact(t, sealed.PRT, s.prt).MFATime, 0)
		until := func(after time.Duration) { f.lab.Advance(shown.Add(after).Sub(f.lab.Now())) }
		until(4 * time.Hour)
		s, _ = s.renew(t, s.renewal(t))
		held := s.tokens(t, s.redemption(t, office, graph)).RefreshToken
		until(8*time.Hour - 30*time.Second)
		f.amr(t, s, office)
		until(8*time.Hour + time.Second)
		if !over {
			f.amr(t, s, office)
			continue
		}
		f.asks(t, s, cli)
		c := s.redemption(t, office, graph)
		c.RefreshToken = held
		_, err := f.redeemRT(s.sign(t, c))
		wantCode(t, err, aadsts.MFARequired)
		if next, _ := s.renew(t, s.renewal(t)); slices.Contains(f.artefact(t, sealed.PRT, next.prt).AMR, "otp") {
			t.Error("a renewal after its end keeps it")
		}
		if err := s.use(t); err != nil {
			t.Errorf("the PRT ended with it: %v", err)
		}
		f.amr(t, f.upgrade(t, s), cli)
	}
}

// TestMFA12_AHelloPRTKeepsTheClaimAsLongAsItIsValid: thirteen days without a renewal.
func TestMFA12_AHelloPRTKeepsTheClaimAsLongAsItIsValid(t *testing.T) {
	f := newFactors(t, withSecondFactor("8h"))
	s := f.hello(t, f.join(t, mia, miaPassword, 1, 2), mia, 3)
	f.lab.Advance(13 * 24 * time.Hour)
	f.amr(t, s, office)
	f.lab.Advance(25 * time.Hour)
	_, err := f.redeemPRT(s.sign(t, s.redemption(t, office, graph)))
	wantCode(t, err, aadsts.ExpiredToken)
}

// TestMFA14_EnrichmentAtThePage is the flow of roadtx prtenrich: the resource of the
// PRT and amr_values=ngcmfa; the PRT afterwards has the claim, and a fresh one.
func TestMFA14_EnrichmentAtThePage(t *testing.T) {
	f := newFactors(t, nil)
	s := f.upgrade(t, f.join(t, mia, miaPassword, 1, 2).first(t, mia, miaPassword))
	if prt := f.artefact(t, sealed.PRT, s.prt); !slices.Contains(prt.AMR, "ngcmfa") || !prt.FreshMFA(f.lab.Now()) {
		t.Errorf("%v", prt.AMR)
	}
}

// TestMFA07_MFA08_ClaimsNeverMix runs random sequences of sign-ins, renewals and
// interactions of one user on one device: what each PRT gives says what was proven
// for that one, whatever went before, between and beside it.
func TestMFA07_MFA08_ClaimsNeverMix(t *testing.T) {
	f := newFactors(t, nil)
	d := f.join(t, mia, miaPassword, 1, 2)
	h := d.provision(t, mia, 3, f.lab.Now())
	type partition struct {
		s *signIn
		// amr that it was given, and nothing else may be in its tokens.
		amr []string
	}
	var log []string
	held := map[string]*partition{}
	act := map[string]func(){
		"password": func() {
			held["password"] = &partition{d.first(t, mia, miaPassword), []string{"pwd", "rsa"}}
		},
		"hello": func() {
			s := d.open(t, d.sign(t, h.request(t, f.nonce(t), h.assertion(t, f.lab.Now(), f.nonce(t), nil))))
			held["hello"] = &partition{s, []string{"rsa", "mfa"}}
		},
		"upgrade": func() {
			if p := held["password"]; p != nil {
				held["password"] = &partition{f.upgrade(t, p.s), []string{"pwd", "rsa", "mfa", "otp", "ngcmfa"}}
			}
		},
		"renew": func() {
			for _, p := range held {
				p.s, _ = p.s.renew(t, p.s.renewal(t))
			}
		},
		"wait": func() { f.lab.Advance(11 * time.Minute) },
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range act {
			if !yield(n) {
				return
			}
		}
	})
	for range 60 {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(names))))
		if err != nil {
			t.Fatal(err)
		}
		name := names[n.Int64()]
		log = append(log, name)
		act[name]()
		for kind, p := range held {
			many := slices.Contains(p.amr, "mfa")
			got := f.artefact(t, sealed.RefreshToken, p.s.tokens(t, p.s.redemption(t, office, "")).RefreshToken.Reveal()).AMR
			if many {
				got = append(got, f.amr(t, p.s, cli)...)
			} else {
				f.asks(t, p.s, cli)
			}
			stray := slices.DeleteFunc(slices.Clone(got), func(m string) bool { return slices.Contains(p.amr, m) })
			if len(stray) > 0 || slices.Contains(got, "mfa") != many {
				t.Fatalf("after %q the %s PRT gives %v, it was given %v", log, kind, got, p.amr)
			}
			if a := f.artefact(t, sealed.PRT, p.s.prt); string(a.Credential) != map[string]string{"password": string(sealed.Password), "hello": string(sealed.Hello)}[kind] {
				t.Fatalf("after %q the %s PRT is one of %s", log, kind, a.Credential)
			}
		}
	}
}
