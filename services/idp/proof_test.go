package idp_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

func TestPRO03_Attack10_OnlyTheSessionKeyOfThatPRT(t *testing.T) {
	w := newWorld(t, idp.Config{})
	one, two := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword), w.join(t, bob, bobPassword, 3, 4).first(t, bob, bobPassword)
	mixed := &signIn{d: one.d, prt: one.prt, key: two.key}
	w.unchanged(t, func() {
		wantCode(t, mixed.use(t), aadsts.InvalidSessionKey)
		_, err := w.renewPRT(mixed.sign(t, mixed.renewal(t)))
		wantCode(t, err, aadsts.InvalidSessionKey)
	})
	events := w.svc.SignIns()
	last := events[len(events)-1]
	if last.Flow != signinlog.RenewPRT || last.Outcome != signinlog.Refused || last.Code != aadsts.InvalidSessionKey || string(last.Device) != one.d.id {
		t.Errorf("logged as %+v", last)
	}
}

func TestPRO04_EveryClaimIsCovered(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	renewal := s.renewal(t)
	renewal.Username, renewal.Password = alice, secret.NewText(alicePassword)
	redemption := s.redemption(t, office, graph)
	for name, f := range map[string]struct {
		compact string
		send    func(string) error
	}{
		"first sign-in": {d.sign(t, d.claims(t, alice, alicePassword)), func(r string) error { _, err := w.requestPRT(r); return err }},
		"renewal":       {s.sign(t, renewal), func(r string) error { _, err := w.renewPRT(r); return err }},
		"app token":     {s.sign(t, redemption), func(r string) error { _, err := w.redeemPRT(r); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			var claims map[string]any
			token, err := jose.Parse(f.compact)
			if err != nil {
				t.Fatal(err)
			}
			if err := token.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			for claim := range claims {
				for kind, changed := range mutations(t, claims, claim) {
					wantNamed(t, f.send(withPayload(f.compact, changed)))
					if t.Failed() {
						t.Fatalf("claim %s, %s", claim, kind)
					}
				}
			}
			wantNamed(t, f.send(withPayload(f.compact, append([]byte(" "), token.Payload...)))) // the same claims in other bytes
			if err := f.send(f.compact); err != nil {
				t.Errorf("the request itself: %v", err)
			}
		})
	}
}

// mutations are the claim set with one claim changed, emptied or removed.
func mutations(t *testing.T, claims map[string]any, claim string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for kind, value := range map[string]any{"changed": "x", "empty": "", "null": nil, "removed": claim} {
		next := map[string]any{}
		for k, v := range claims {
			next[k] = v
		}
		next[claim] = value
		if s, ok := claims[claim].(string); ok && kind == "changed" {
			next[claim] = s + "x"
		}
		if kind == "removed" {
			delete(next, claim)
		}
		b, err := json.Marshal(next)
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = b
	}
	return out
}

func TestPRO05_SecondPresentationIsRefused(t *testing.T) {
	for _, profile := range []string{"today", "strict"} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			d := w.join(t, alice, alicePassword, 1, 2)
			request := d.sign(t, d.claims(t, alice, alicePassword))
			s := d.open(t, request)
			_, err := w.requestPRT(request)
			wantCode(t, err, aadsts.InvalidNonce)
			renewal := s.sign(t, s.renewal(t))
			if _, err := w.renewPRT(renewal); err != nil {
				t.Fatal(err)
			}
			_, err = w.renewPRT(renewal)
			wantCode(t, err, aadsts.InvalidNonce)
			_, err = w.redeemPRT(renewal) // nor is it good at another door
			wantCode(t, err, aadsts.InvalidNonce)
			// One nonce in two different requests: some clients do that.
			c := s.redemption(t, office, "")
			if _, err := w.redeemPRT(s.sign(t, c)); err != nil {
				t.Fatal(err)
			}
			_, err = w.redeemPRT(s.sign(t, c))
			if want := map[string]aadsts.Code{"today": 0, "strict": aadsts.InvalidNonce}[profile]; prterr.CodeOf(err) != want {
				t.Errorf("same nonce, other request: %v", err)
			}
		})
	}
}

func TestPRO06_A06_KeyDerivationIsBoundToThePayload(t *testing.T) {
	for profile, want := range map[string][2]aadsts.Code{
		// A request derived by version 1, with a PRT that announced 2, and one that did not.
		"2020": {0, 0}, "today": {aadsts.KDFVersionInvalid, 0}, "strict": {aadsts.KDFVersionInvalid, aadsts.KDFVersionInvalid},
	} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			d := w.join(t, alice, alicePassword, 1, 2)
			silent := d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, d.dk, encoded(t, d.claims(t, alice, alicePassword)))
			for i, s := range []*signIn{d.first(t, alice, alicePassword), d.open(t, silent)} {
				for _, ver := range []int{0, 1} {
					old, err := entrawire.SignSession(encoded(t, s.redemption(t, office, "")), s.key, ver)
					if err != nil {
						t.Fatal(err)
					}
					_, err = w.redeemPRT(old)
					wantCode(t, err, want[i])
				}
				if err := s.use(t); err != nil {
					t.Errorf("version 2: %v", err)
				}
			}
		})
	}
	t.Run("A07 a derived key is good for one payload", func(t *testing.T) {
		w := newWorld(t, idp.Config{})
		s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		stolen := encoded(t, s.redemption(t, office, ""))
		h := jose.Header{Typ: "JWT", Ctx: make([]byte, 24), KDFVer: 2}
		derived := kdf.Derive(s.key, kdf.ContextV2(h.Ctx, stolen))
		for range 3 { // A07: the same ctx, another payload
			forged, err := jose.SignHS256(h, encoded(t, s.redemption(t, office, "")), derived)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.redeemPRT(forged)
			wantCode(t, err, aadsts.InvalidSessionKey)
		}
		own, err := jose.SignHS256(h, stolen, derived)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.redeemPRT(own); err != nil {
			t.Errorf("its own payload: %v", err)
		}
		_, err = w.redeemPRT(own)
		wantCode(t, err, aadsts.InvalidNonce)
		// Stripping kdf_ver does not help: what is demanded is in the PRT.
		h.KDFVer = 0
		stripped, err := jose.SignHS256(h, stolen, kdf.Derive(s.key, h.Ctx))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.redeemPRT(stripped)
		wantCode(t, err, aadsts.KDFVersionInvalid)
	})
}

func TestA05_OneNonceRace(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withProfile("strict")})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	c := s.redemption(t, office, "")
	requests := make([]string, 100)
	for i := range requests {
		requests[i] = s.sign(t, c) // each has a ctx of its own
	}
	results := make([]error, len(requests))
	var wg sync.WaitGroup
	for i := range requests {
		wg.Go(func() { _, results[i] = w.redeemPRT(requests[i]) })
	}
	wg.Wait()
	passed := 0
	for _, err := range results {
		if err == nil {
			passed++
		} else {
			wantCode(t, err, aadsts.InvalidNonce)
		}
	}
	if passed != 1 {
		t.Errorf("%d passed", passed)
	}
}

func TestA33_Attack09_AlgorithmIsOfTheStep(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	claims := encoded(t, d.claims(t, alice, alicePassword))
	hmac, err := jose.SignHS256(jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, claims, secret.NewBytes(d.cert))
	if err != nil {
		t.Fatal(err)
	}
	none, err := jose.Unsigned(claims)
	if err != nil {
		t.Fatal(err)
	}
	rsaSigned := d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}, Ctx: make([]byte, 24), KDFVer: 2}, d.dk, encoded(t, s.renewal(t)))
	for name, request := range map[string]string{"certificate as HMAC key": hmac, "none": none, "session-signed": s.sign(t, s.renewal(t))} {
		_, err := w.requestPRT(request)
		if prterr.CodeOf(err) != aadsts.InvalidGrant {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, request := range []string{rsaSigned, none} {
		_, err = w.renewPRT(request)
		wantCode(t, err, aadsts.InvalidGrant)
	}
}

func TestA34_OneSpellingPerToken(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	request := s.sign(t, s.redemption(t, office, ""))
	spellings := []string{request + "=", request + "\n", " " + request, strings.ReplaceAll(request, ".", "..")}
	for i := 0; i < len(request); i += 97 {
		spellings = append(spellings, request[:i]+"\n"+request[i:], request[:i]+"\r"+request[i:])
	}
	for _, text := range slices.Concat(spellings, []string{"", ".", "..", strings.Repeat("A", 70_000)}) {
		_, err := w.redeemPRT(text)
		wantCode(t, err, aadsts.MalformedRequest)
	}
	if _, err := w.redeemPRT(request); err != nil {
		t.Error(err)
	}
	_, err := w.redeemPRT(request)
	wantCode(t, err, aadsts.InvalidNonce)
}
