package idp_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// derivedBy signs claims with a key and a derivation, and says another version.
func derivedBy(t testing.TB, payload []byte, says int, derive func(ctx, payload []byte) []byte) string {
	t.Helper()
	h := jose.Header{Alg: jose.HS256, Typ: "JWT", Ctx: bytes.Repeat([]byte{5}, entrawire.ContextSize), KDFVer: says}
	input, err := jose.SigningInput(h, payload)
	if err != nil {
		t.Fatal(err)
	}
	key := derive(h.Ctx, payload)
	out, err := jose.FinishHS256(input, secret.NewBytes(key))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNative_A06_NoDowngrade: whoever got hold of a native session key, which is in one
// TPM, or can have another derivation made with it, still cannot use it as the
// session keys of before. Not in any profile, not in a renewal, not in a cookie.
func TestNative_A06_NoDowngrade(t *testing.T) {
	for _, profile := range []string{"2020", "today", "strict"} {
		t.Run(profile, func(t *testing.T) {
			p := newPages(t, idp.Config{Tenants: withProfile(profile)})
			w := p.world
			s := w.joinNative(t, alice, alicePassword, 1, 2, nativetest.NewHolder(t, nativetest.Soft(t))).firstNative(t, alice, alicePassword)
			key := s.artefact(t).SessionKey
			for _, ver := range []int{0, entrawire.KDF1, entrawire.KDF2} {
				low := func(c interface{ Encode() ([]byte, error) }) string {
					out, err := entrawire.SignSession(encoded(t, c), key, ver)
					if err != nil {
						t.Fatal(err)
					}
					return out
				}
				_, err := w.redeemPRT(low(s.redemption(t, office, graph)))
				wantCode(t, err, aadsts.KDFVersionInvalid)
				_, err = w.renewPRT(low(s.renewal(t)))
				wantCode(t, err, aadsts.KDFVersionInvalid)
				n := w.nonce(t)
				wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, RefreshTokenCredential: low(s.cookie(n))}), aadsts.KDFVersionInvalid)
				if a := p.visit(t, broker(low(s.cookie(p.nonce(t))), "")); a.GetSignedIn() != nil {
					t.Errorf("signed in by version %d", ver)
				}
			}
			for name, derive := range map[string]func(ctx, payload []byte) []byte{
				"1":                     func(ctx, _ []byte) []byte { return kdf.Derive(key, ctx).Reveal() },
				"2":                     func(ctx, payload []byte) []byte { return kdf.Derive(key, kdf.ContextV2(ctx, payload)).Reveal() },
				"3 without the payload": func(ctx, _ []byte) []byte { return kdf.DeriveV3(key, ctx).Reveal() },
				"no derivation":         func(_, _ []byte) []byte { return bytes.Clone(key.Reveal()) },
			} {
				_, err := w.redeemPRT(derivedBy(t, encoded(t, s.redemption(t, office, graph)), entrawire.KDF3, derive))
				if prterr.CodeOf(err) != aadsts.InvalidSessionKey {
					t.Errorf("says 3 and is derived by %s: %v", name, err)
				}
			}
			if err := s.use(t); err != nil {
				t.Errorf("the honest request: %v", err)
			}
		})
	}
}

// TestNative_NoUpgrade: a session key of before takes no version 3, though its
// holder can compute it. Its device has no TPM that vouches for anything.
func TestNative_NoUpgrade(t *testing.T) {
	for _, profile := range []string{"2020", "today", "strict"} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			d := w.join(t, alice, alicePassword, 1, 2)
			silent := d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, d.dk, encoded(t, d.claims(t, alice, alicePassword)))
			for _, s := range []*signIn{d.first(t, alice, alicePassword), d.open(t, silent)} {
				high, err := entrawire.SignSession(encoded(t, s.redemption(t, office, graph)), s.key, entrawire.KDF3)
				if err != nil {
					t.Fatal(err)
				}
				_, err = w.redeemPRT(high)
				wantCode(t, err, aadsts.KDFVersionInvalid)
				if e := lastEvent(w); e.KDF != s.artefact(t).KDFMin || e.KDF == entrawire.KDF3 {
					t.Errorf("logged as %+v", e)
				}
				// Not even when the device has got a storage key meanwhile.
				w.storageKey(t, d, nativetest.NewHolder(t, nativetest.Soft(t)).StorageKey())
				if high, err = entrawire.SignSession(encoded(t, s.redemption(t, office, graph)), s.key, entrawire.KDF3); err != nil {
					t.Fatal(err)
				}
				_, err = w.redeemPRT(high)
				wantCode(t, err, aadsts.KDFVersionInvalid)
				w.storageKey(t, d, nil)
			}
		})
	}
}

// TestNative_NeedsAStorageKey: the announcement alone gives nothing, and no password
// is tried by it. A device that has one and does not announce is as before.
func TestNative_NeedsAStorageKey(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	w.unchanged(t, func() {
		for _, password := range []string{alicePassword, "wrong"} {
			_, err := w.requestPRT(d.signNative(t, d.claims(t, alice, password)))
			wantCode(t, err, aadsts.KDFVersionInvalid)
		}
	})
	if e := lastEvent(w); e.Flow != signinlog.IssuePRT || e.Outcome != signinlog.Refused || e.KDF != 0 {
		t.Errorf("logged as %+v", e)
	}
	w.storageKey(t, d, nativetest.NewHolder(t, nativetest.Soft(t)).StorageKey())
	s := d.first(t, alice, alicePassword) // unwraps Entra's form
	if a := s.artefact(t); a.KDFMin != entrawire.KDF2 {
		t.Errorf("demands version %d", a.KDFMin)
	}
	if next, _ := s.renew(t, s.renewal(t)); next.use(t) != nil {
		t.Error("the session of before does not work beside a storage key")
	}
	// In version 4 of the protocol there is no session key to wrap.
	_, err := w.issuance.RequestPRT(context.Background(), &idpv1.RequestPRTRequest{
		Request: d.signNative(t, d.claims(t, alice, alicePassword)), Protocol: idpv1.PRTProtocol_PRT_PROTOCOL_V4,
	})
	wantCode(t, err, aadsts.InvalidGrant) // RS256 where ES256 is due
}

// TestNative_OnlyForTheKeyOfTheDirectory: what is no storage key gets no session
// key, however it came into the directory, and no PRT either.
func TestNative_OnlyForTheKeyOfTheDirectory(t *testing.T) {
	w := newWorld(t, idp.Config{})
	holder := nativetest.NewHolder(t, nativetest.Soft(t))
	d := w.joinNative(t, alice, alicePassword, 1, 2, holder)
	pub, err := tpm2.Unmarshal[tpm2.TPMTPublic](holder.StorageKey())
	if err != nil {
		t.Fatal(err)
	}
	pub.ObjectAttributes.Restricted = false
	for name, key := range map[string][]byte{"not restricted": tpm2.Marshal(*pub), "garbage": {1, 2, 3}} {
		w.storageKey(t, d, key)
		a, err := w.requestPRT(d.signNative(t, d.claims(t, alice, alicePassword)))
		if prterr.KindOf(err) != prterr.Internal || a.GetRefreshToken() != "" {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	// A session whose storage key is gone goes on and gets its key wrapped for no other.
	w.storageKey(t, d, holder.StorageKey())
	s := d.firstNative(t, alice, alicePassword)
	w.storageKey(t, d, nil)
	if _, answer := s.renew(t, s.renewal(t)); answer.SessionKeyJWE != "" {
		t.Errorf("wrapped for %s", answer.SessionKeyJWE)
	}
}

// TestNative_A11_OneTPMOnly: the PRT answer of a device is of no use to another TPM, nor
// to who has the transport key.
func TestNative_A11_OneTPMOnly(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.joinNative(t, alice, alicePassword, 1, 2, nativetest.NewHolder(t, nativetest.Soft(t)))
	a, err := w.requestPRT(d.signNative(t, d.claims(t, alice, alicePassword)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nativetest.NewHolder(t, nativetest.Soft(t)).Import(a.GetSessionKeyJwe()); !errors.Is(err, tpm2.TPMRCIntegrity) {
		t.Errorf("another TPM: %v", err)
	}
	if _, err := nativetest.NewHolder(t, d.holder.TPM()).Import(a.GetSessionKeyJwe()); !errors.Is(err, tpm2.TPMRCIntegrity) {
		t.Errorf("another storage key of the same TPM: %v", err)
	}
	if _, err := entrawire.UnwrapSessionKey(d.tk, a.GetSessionKeyJwe()); !errors.Is(err, entrawire.ErrSessionKeyJWE) {
		t.Errorf("the transport key: %v", err)
	}
	if _, err := d.holder.Import(a.GetSessionKeyJwe()); err != nil {
		t.Errorf("its own TPM: %v", err)
	}
}

// TestNative_PRO03_AnswersBelongToTheirSession: one session's answer opens in no other,
// and a changed one in none; a PRT of one session is not used with the key of
// another.
func TestNative_PRO03_AnswersBelongToTheirSession(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.joinNative(t, alice, alicePassword, 1, 2, nativetest.NewHolder(t, nativetest.Soft(t)))
	one, other := d.firstNative(t, alice, alicePassword), d.firstNative(t, alice, alicePassword)
	text, err := w.redeemPRT(one.sign(t, one.redemption(t, office, graph)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.native.OpenAnswer(text); !errors.Is(err, entrawire.ErrAnswer) {
		t.Errorf("replayed into another session: %v", err)
	}
	for _, i := range []int{10, len(text) / 2, len(text) - 2} { // the header, the ciphertext, the tag
		changed := []byte(text)
		changed[i] = 'A' + (changed[i]-'A'+1)%2
		if _, err := one.native.OpenAnswer(string(changed)); !errors.Is(err, entrawire.ErrAnswer) {
			t.Errorf("changed at %d: %v", i, err)
		}
	}
	if _, err := entrawire.ParseAnswer(text); err == nil {
		t.Error("an answer of a native session in the form of CBC, which has no tag")
	}
	if _, err := one.native.OpenAnswer(text); err != nil {
		t.Errorf("its own session: %v", err)
	}
	mixed := &signIn{d: d, prt: one.prt, native: other.native}
	wantCode(t, mixed.use(t), aadsts.InvalidSessionKey)
}
