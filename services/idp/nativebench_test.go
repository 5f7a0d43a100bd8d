package idp_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tpmwrap"
)

// nativeWorld has a device with a storage key and a federated user, so that no
// password is hashed.
func nativeWorld(b *testing.B) (*world, *device) {
	b.Helper()
	w := newWorld(b, idp.Config{Tenants: federated(b), Assertions: oneAssertion{idp.Subject{ImmutableID: "zK4iG3pNEkWyVd0kX8a2jQ==", UPN: carol}}})
	return w, w.joinNative(b, frank, frankPassword, 1, 2, nativetest.NewHolder(b, nativetest.Soft(b)))
}

func (d *device) assertion(b *testing.B) entrawire.PRTRequest {
	b.Helper()
	c := d.claims(b, carol, "")
	c.GrantType, c.Assertion = entrawire.GrantSAML1, entrawire.EncodeSAML("<good/>")
	return c
}

// BenchmarkIssueNativePRT is BenchmarkIssuePRT with a session key for a TPM, against
// the cryptography that it cannot do without: verify certificate and request, seal
// the PRT, wrap its key for the storage key.
func BenchmarkIssueNativePRT(b *testing.B) {
	w, d := nativeWorld(b)
	request := d.signNative(b, d.assertion(b))
	a, err := w.requestPRT(request)
	if err != nil {
		b.Fatal(err)
	}
	s := &signIn{d: d, prt: a.GetRefreshToken(), native: d.imported(b, a.GetSessionKeyJwe())}
	ring, prt := ringAndPRT(b, w, s)
	storage := d.holder.StorageKey()
	floor := timed(b, func() error {
		t, err := jose.Parse(request)
		if err != nil {
			return err
		}
		for range 2 { // the authority's signature and the device's
			if err := t.VerifyRS256(&d.dk.PublicKey); err != nil {
				return err
			}
		}
		if _, err := ring.Seal(prt); err != nil {
			return err
		}
		_, err = tpmwrap.Wrap(storage, prt.SessionKey)
		return err
	})
	for _, r := range prepared(b, func() string { return d.signNative(b, d.assertion(b)) }) {
		if _, err := w.requestPRT(r); err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, floor)
}

// BenchmarkNativeRenewal is a renewal that wraps the session key once more.
func BenchmarkNativeRenewal(b *testing.B) {
	w, d := nativeWorld(b)
	a, err := w.requestPRT(d.signNative(b, d.assertion(b)))
	if err != nil {
		b.Fatal(err)
	}
	s := &signIn{d: d, prt: a.GetRefreshToken(), native: d.imported(b, a.GetSessionKeyJwe())}
	ring, prt := ringAndPRT(b, w, s)
	storage, request := d.holder.StorageKey(), s.sign(b, s.renewal(b))
	_, answer := s.renew(b, s.renewal(b))
	plain := encoded(b, answer)
	floor := timed(b, func() error {
		t, err := jose.Parse(request)
		if err != nil {
			return err
		}
		if err := entrawire.VerifySession(t, prt.SessionKey); err != nil {
			return err
		}
		if _, err := ring.Seal(prt); err != nil {
			return err
		}
		if _, err := tpmwrap.Wrap(storage, prt.SessionKey); err != nil {
			return err
		}
		_, err = entrawire.SealNativeAnswer(prt.SessionKey, plain)
		return err
	})
	for _, r := range prepared(b, func() string { return s.sign(b, s.renewal(b)) }) {
		if _, err := w.renewPRT(r); err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, floor)
}
