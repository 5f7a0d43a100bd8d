package state_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"reflect"
	"strings"
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
	two.Protection, two.Administrators = state.Emulated, []string{"S-1-12-1-1-2-3-4"}
	hybrid := *two
	hybrid.JoinedBy, hybrid.Administrators, hybrid.ComputerCertificate = "", nil, []byte{1}
	hybrid.Computer = &state.Computer{ID: two.DeviceID, SID: "S-1-5-21-1-2-3-1104", TargetDomain: "contoso.test"}
	keys := publicKeys(t, two.Certificate)
	waiting := &state.Waiting{
		Computer: *hybrid.Computer, TenantID: two.TenantID, DisplayName: "PC-7", Keys: keys, Certificate: two.Certificate, Asked: true,
	}
	enrolling := &state.Enrolling{Keys: keys, Kind: entrawire.JoinRegistered, User: upn, DisplayName: "PC-7", Since: time.Unix(1<<30, 0).UTC()}
	for name, want := range map[string]state.Record{
		"waiting": {Waiting: waiting}, "recovering": {Current: &hybrid, Waiting: waiting, KeysLost: true}, "hybrid": {Current: &hybrid},
		"lost": {Current: one, KeysLost: true}, "replacing": {Current: one, Replacing: &state.Replacing{Keys: keys}},
		"replaced":  {Current: one, Replacing: &state.Replacing{Keys: keys, Identity: two, Native: true}},
		"enrolling": {Enrolling: enrolling}, "joining again": {Current: one, Enrolling: enrolling},
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
		if !same(got.Current, want.Current) || !same(got.Pending, want.Pending) || got.Leaving != want.Leaving || got.KeysLost != want.KeysLost ||
			!reflect.DeepEqual(got.Waiting, want.Waiting) || !reflect.DeepEqual(got.Replacing, want.Replacing) || !reflect.DeepEqual(got.Enrolling, want.Enrolling) {
			t.Errorf("%s: got %+v", name, got)
		}
		if wantSettled := want.Pending == nil && !want.Leaving; got.Settled() != wantSettled {
			t.Errorf("%s: settled %v", name, got.Settled())
		}
	}
}

// publicKeys are a pending set: the device key is a certificate's.
func publicKeys(tb testing.TB, cert *x509.Certificate) state.Keys {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	blob, err := entrawire.MarshalRSA1(&key.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	return state.Keys{ID: "set-2", Device: cert.RawSubjectPublicKeyInfo, Transport: blob}
}

// Nothing of what is only half there is read.
func TestADamagedWaitingRecordIsRefused(t *testing.T) {
	one, err := state.NewIdentity("set-1", certificate(t, string(ids.NewDevice())), "DESKTOP-1", upn)
	if err != nil {
		t.Fatal(err)
	}
	whole := state.Record{Waiting: &state.Waiting{
		Computer: state.Computer{ID: one.DeviceID, SID: "S-1-5-21-1-2-3-1104", TargetDomain: "contoso.test"}, TenantID: one.TenantID,
		DisplayName: "PC-7", Keys: publicKeys(t, one.Certificate), Certificate: one.Certificate,
	}}
	for name, change := range map[string]func(*state.Waiting){
		"computer_id":     func(w *state.Waiting) { w.Computer.ID = "PC-7" },
		"computer_sid":    func(w *state.Waiting) { w.Computer.SID = "S-1-5-21-1.now" },
		"target_domain":   func(w *state.Waiting) { w.Computer.TargetDomain = "" },
		"tenant_id":       func(w *state.Waiting) { w.TenantID = "" },
		"display_name":    func(w *state.Waiting) { w.DisplayName = "" },
		"key_set_id":      func(w *state.Waiting) { w.Keys.ID = "" },
		"device_key":      func(w *state.Waiting) { w.Keys.Device = []byte{1} },
		"transport_key":   func(w *state.Waiting) { w.Keys.Transport = nil },
		"certificate is":  func(w *state.Waiting) { w.Certificate = &x509.Certificate{Raw: []byte{1}} },
		"for the device ": func(w *state.Waiting) { w.Keys = publicKeysOfAnother(t) },
	} {
		dir, w := t.TempDir(), *whole.Waiting
		change(&w)
		s, err := state.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(state.Record{Waiting: &w}); err != nil {
			t.Fatal(err)
		}
		if _, err := state.Open(dir, nil); !errors.Is(err, state.ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func publicKeysOfAnother(t *testing.T) state.Keys {
	t.Helper()
	cert, err := x509.ParseCertificate(certificate(t, string(ids.NewDevice())))
	if err != nil {
		t.Fatal(err)
	}
	return publicKeys(t, cert)
}

func same(a, b *state.Identity) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.KeySet == b.KeySet && bytes.Equal(a.Certificate.Raw, b.Certificate.Raw) && a.DeviceID == b.DeviceID &&
		reflect.DeepEqual(a, b) && a.TenantID == b.TenantID && a.DisplayName == b.DisplayName && a.JoinedBy == b.JoinedBy && a.Thumbprint() == b.Thumbprint()
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
