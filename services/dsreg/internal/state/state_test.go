package state_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

const upn = ids.UPN("alice@contoso.test")

// certificate is a whole device certificate.
func certificate(tb testing.TB, name string) []byte {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	template.ExtraExtensions, err = entrawire.DeviceExtensions(name, string(ids.NewUser()), string(ids.NewTenant()), entrawire.JoinJoined)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}}, &key.PublicKey, ca)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func TestRecordsComeBack(t *testing.T) {
	one, err := state.NewIdentity("set-1", certificate(t, string(ids.NewDevice())), "DESKTOP-1", upn)
	if err != nil {
		t.Fatal(err)
	}
	two, err := state.NewIdentity("set-2", certificate(t, string(ids.NewDevice())), "Schreibtisch ä", upn)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]state.Record{
		"nothing": {}, "joined": {Current: one}, "first join": {Pending: two}, "join again": {Current: one, Pending: two}, "leaving": {Current: one, Leaving: true},
		"join while leaving": {Current: one, Pending: two, Leaving: true},
	} {
		dir := t.TempDir()
		s, err := state.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(want); err != nil {
			t.Fatal(err)
		}
		if s, err = state.Open(dir, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := s.Get()
		if !same(got.Current, want.Current) || !same(got.Pending, want.Pending) || got.Leaving != want.Leaving {
			t.Errorf("%s: got %+v", name, got)
		}
		if wantSettled := name == "nothing" || name == "joined"; got.Settled() != wantSettled {
			t.Errorf("%s: settled %v", name, got.Settled())
		}
	}
}

func same(a, b *state.Identity) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.KeySet == b.KeySet && bytes.Equal(a.Certificate.Raw, b.Certificate.Raw) && a.DeviceID == b.DeviceID &&
		a.TenantID == b.TenantID && a.DisplayName == b.DisplayName && a.JoinedBy == b.JoinedBy && a.Thumbprint() == b.Thumbprint()
}

// The bytes come from the network: nothing that is not a device certificate of
// its own device id becomes an identity.
func FuzzNewIdentity(f *testing.F) {
	whole := certificate(f, string(ids.NewDevice()))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		id, err := state.NewIdentity("set-1", der, "DESKTOP-1", upn)
		if err != nil {
			return
		}
		if d, err := ids.ParseDevice(id.Certificate.Subject.CommonName); err != nil || d != id.DeviceID || !bytes.Equal(id.Certificate.Raw, der) {
			t.Errorf("device id %q of a certificate for %q", id.DeviceID, id.Certificate.Subject.CommonName)
		}
	})
}
