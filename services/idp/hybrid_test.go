package idp_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	hybridID  = "0f3b2c1d-5e4f-4a6b-8c7d-9e0f1a2b3c4d"
	hybridSID = "S-1-5-21-1111111111-2222222222-3333333333-1104"
)

// withHybrid is the default tenant file with a synchronised device in contoso. Its
// key is number 5 of the pool.
func withHybrid(t testing.TB) []byte {
	t.Helper()
	der := computerCertificate(t, rsaKeys()[5])
	text := indent(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "          ")
	const at = "    applications:\n"
	return []byte(strings.Replace(string(idp.DefaultTenants()), at, "    devices:\n      - id: "+hybridID+"\n        display_name: HYBRID-1\n        sid: "+hybridSID+
		"\n        certificate: |\n"+text+at, 1))
}

// computerCertificate is what a computer writes to its object.
func computerCertificate(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hybridID}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// hybridJoin is roadtx's request.
func (w *world) hybridJoin(t testing.TB, now time.Time, identity string, key *rsa.PrivateKey) *idpv1.JoinHybridDeviceRequest {
	t.Helper()
	csr, err := entrawire.CreateCSR(rsaKeys()[1])
	if err != nil {
		t.Fatal(err)
	}
	if identity == "" {
		identity = hybridSID + "." + now.UTC().Format("2006-01-02 15:04:05") + "Z"
	}
	digest := sha256.Sum256([]byte(identity))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return &idpv1.JoinHybridDeviceRequest{
		DeviceId: hybridID, CertificateRequest: csr, TransportKey: rsa1(t, rsaKeys()[1]), DisplayName: "HYBRID-1", DeviceType: "Windows",
		OsVersion: "10.0.19041.928", TargetDomain: contoso, TargetTenantId: contoso, ClientIdentity: identity, Signature: sig, Caller: &idpv1.Caller{},
	}
}

func TestHybridDeviceJoins(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withHybrid(t)})
	f := w.foreign(t)
	a, err := f.devices.JoinHybridDevice(context.Background(), w.hybridJoin(t, time.Now(), "", rsaKeys()[5]))
	if err != nil {
		t.Fatal(err)
	}
	d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[1]}
	d.adopt(t, a.GetCertificate())
	if d.id != hybridID || a.GetTenantId() != contoso || len(a.GetThumbprint()) != 40 {
		t.Errorf("%s, %v", d.id, a)
	}
	rec, err := w.svc.Store().Device(context.Background(), hybridID)
	if err != nil || rec.Trust != store.TrustHybrid || rec.Pending || !rec.Enabled || rec.OnPremises.SID != hybridSID || rec.RegisteredBy != "" {
		t.Errorf("%+v, %v", rec, err)
	}
	if err := d.first(t, alice, alicePassword).use(t); err != nil {
		t.Error(err)
	}
}

// TestAttack27_HybridJoinReplay is every way in which a join is not that of the
// device that waits, now, for the first time.
func TestAttack27_HybridJoinReplay(t *testing.T) {
	w, lab := labWorld(t, idp.Config{Tenants: withHybrid(t)})
	f := w.foreign(t)
	join := func(r *idpv1.JoinHybridDeviceRequest) error {
		_, err := f.devices.JoinHybridDevice(context.Background(), r)
		return err
	}
	now := lab.Now()
	stamp := now.UTC().Format("2006-01-02 15:04:05") + "Z"
	changed := func(change func(*idpv1.JoinHybridDeviceRequest)) *idpv1.JoinHybridDeviceRequest {
		r := w.hybridJoin(t, now, "", rsaKeys()[5])
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		r    *idpv1.JoinHybridDeviceRequest
		kind prterr.Kind
	}{
		"another key":       {w.hybridJoin(t, now, "", rsaKeys()[4]), prterr.Unauthenticated},
		"six minutes old":   {w.hybridJoin(t, now.Add(-6*time.Minute), "", rsaKeys()[5]), prterr.Unauthenticated},
		"six minutes ahead": {w.hybridJoin(t, now.Add(6*time.Minute), "", rsaKeys()[5]), prterr.Unauthenticated},
		"another SID":       {w.hybridJoin(t, now, "S-1-5-21-1-2-3-4."+stamp, rsaKeys()[5]), prterr.Unauthenticated},
		"no time":           {w.hybridJoin(t, now, hybridSID, rsaKeys()[5]), prterr.Unauthenticated},
		"no signature":      {changed(func(r *idpv1.JoinHybridDeviceRequest) { r.Signature = nil }), prterr.Unauthenticated},
		"another text":      {changed(func(r *idpv1.JoinHybridDeviceRequest) { r.ClientIdentity += " " }), prterr.Unauthenticated},
		"another tenant":    {changed(func(r *idpv1.JoinHybridDeviceRequest) { r.TargetTenantId = fabrikam }), prterr.NotFound},
		"not synchronised":  {changed(func(r *idpv1.JoinHybridDeviceRequest) { r.DeviceId = fabrikam }), prterr.NotFound},
		"no device":         {changed(func(r *idpv1.JoinHybridDeviceRequest) { r.DeviceId = "" }), prterr.Invalid},
		"no tenant":         {changed(func(r *idpv1.JoinHybridDeviceRequest) { r.TargetTenantId = "" }), prterr.Invalid},
		"an altered CSR": {func() *idpv1.JoinHybridDeviceRequest {
			r := w.hybridJoin(t, now.Add(time.Second), "", rsaKeys()[5])
			r.CertificateRequest[9] ^= 1
			return r
		}(), prterr.Invalid},
		"no transport key": {func() *idpv1.JoinHybridDeviceRequest {
			r := w.hybridJoin(t, now.Add(2*time.Second), "", rsaKeys()[5])
			r.TransportKey = nil
			return r
		}(), prterr.Invalid},
		"no name of the machine": {func() *idpv1.JoinHybridDeviceRequest {
			r := w.hybridJoin(t, now.Add(3*time.Second), "", rsaKeys()[5])
			r.DisplayName = ""
			return r
		}(), prterr.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() { wantKind(t, join(c.r), c.kind) })
		})
	}
	good := w.hybridJoin(t, now, "", rsaKeys()[5])
	if err := join(good); err != nil {
		t.Fatal(err)
	}
	wantKind(t, join(good), prterr.NotFound) // it does not wait any more
	pend := func(r *store.Device) error { r.Pending = true; return nil }
	if err := w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(hybridID), pend); err != nil {
		t.Fatal(err)
	}
	wantKind(t, join(good), prterr.Unauthenticated) // and if it did, the same text once more is no good
}

// TestHybridDeviceJoinsOnce, however many ask at once.
func TestHybridDeviceJoinsOnce(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withHybrid(t)})
	f, now := w.foreign(t), time.Now()
	var joined atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		r := w.hybridJoin(t, now.Add(time.Duration(i)*time.Second), "", rsaKeys()[5])
		wg.Go(func() {
			if _, err := f.devices.JoinHybridDevice(context.Background(), r); err == nil {
				joined.Add(1)
			} else if prterr.KindOf(err) != prterr.NotFound {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := joined.Load(); n != 1 {
		t.Errorf("%d joined", n)
	}
}

// TestPendingDeviceIsGoodForNothing: the object of a device that has not joined
// signs nothing.
func TestPendingDeviceIsGoodForNothing(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withHybrid(t)})
	d := w.join(t, alice, alicePassword, 1, 2)
	err := w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(d.id), func(r *store.Device) error {
		r.Certificate, r.DeviceKey, r.Pending = nil, nil, true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.requestPRT(d.sign(t, d.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	_, err = w.foreign(t).connected.RemoveDevice(context.Background(), &idpv1.RemoveDeviceRequest{DeviceId: d.id, Certificate: d.cert})
	wantKind(t, err, prterr.Unauthenticated)
}

// TestADisabledHybridDeviceDoesNotEnableItself by joining, the first time or again.
func TestADisabledHybridDeviceDoesNotEnableItself(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withHybrid(t)})
	disable := func(r *store.Device) error { r.Enabled = false; return nil }
	if err := w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(hybridID), disable); err != nil {
		t.Fatal(err)
	}
	if _, err := w.foreign(t).devices.JoinHybridDevice(context.Background(), w.hybridJoin(t, time.Now(), "", rsaKeys()[5])); err != nil {
		t.Fatal(err)
	}
	rec, err := w.svc.Store().Device(context.Background(), hybridID)
	if err != nil || rec.Pending || rec.Enabled {
		t.Errorf("%+v, %v", rec, err)
	}
}
