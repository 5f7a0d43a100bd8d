package idp_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// The native device is a device of these tests whose session keys are in a TPM: it
// says kdf_ver 3, imports what the answer wraps for its storage key, and has the TPM
// derive, sign and decrypt. Everything else it does as every device.

// joinNative registers a device and gives it a storage key. That it was attested is
// the registration's to find out; here it is written down.
func (w *world) joinNative(t testing.TB, upn, password string, dk, tk int, holder *nativetest.Holder) *device {
	t.Helper()
	d := w.join(t, upn, password, dk, tk)
	d.holder = holder
	w.storageKey(t, d, holder.StorageKey())
	return d
}

func (w *world) storageKey(t testing.TB, d *device, key []byte) {
	t.Helper()
	err := w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(d.id), func(r *store.Device) error {
		r.StorageKey = bytes.Clone(key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// signNative makes a device-signed request that asks for a native session key.
func (d *device) signNative(t testing.TB, c interface{ Encode() ([]byte, error) }) string {
	t.Helper()
	return d.signAs(t, jose.Header{Typ: "JWT", KDFVer: entrawire.KDF3, X5C: [][]byte{d.cert}}, d.dk, encoded(t, c))
}

// firstNative signs a user in.
func (d *device) firstNative(t testing.TB, upn, password string) *signIn {
	t.Helper()
	a, err := d.w.requestPRT(d.signNative(t, d.claims(t, upn, password)))
	if err != nil {
		t.Fatal(err)
	}
	return &signIn{d: d, prt: a.GetRefreshToken(), native: d.imported(t, a.GetSessionKeyJwe())}
}

func (d *device) imported(t testing.TB, text string) *nativetest.SessionKey {
	t.Helper()
	k, err := d.holder.Import(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// print tells session keys in a TPM apart: an HMAC that both can make.
func (s *signIn) print(t testing.TB) []byte {
	t.Helper()
	mac, err := s.native.HMAC(make([]byte, 32), []byte("which key is this"))
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

// artefact is what the PRT holds.
func (s *signIn) artefact(t testing.TB) sealed.Artefact {
	t.Helper()
	a, err := s.d.w.svc.Authority().Open(sealed.PRT, secret.NewText(s.prt))
	if err != nil {
		t.Fatal(err)
	}
	return a
}
