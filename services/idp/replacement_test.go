package idp_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// replacement is an honest request for the keys of next in the place of old's,
// attested. change spoils it before it is sent.
func (w *world) replacement(t testing.TB, old, next *device) *idpv1.ReplaceDeviceKeysRequest {
	t.Helper()
	csr, err := entrawire.CreateCSR(next.dk)
	if err != nil {
		t.Fatal(err)
	}
	return &idpv1.ReplaceDeviceKeysRequest{
		Request: old.sign(t, w.replacing(t, next)), CertificateRequest: csr, TransportKey: rsa1(t, next.tk), Attestation: next.attestation(t, contoso),
	}
}

func (w *world) replacing(t testing.TB, next *device) entrawire.KeyReplacement {
	t.Helper()
	return entrawire.KeyReplacement{
		GrantType: entrawire.GrantKeyReplacement, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t), WinVer: entrawire.WinVer,
		DK: entrawire.KeyThumbprint(spkiOf(t, &next.dk.PublicKey)), TK: entrawire.KeyThumbprint(rsa1(t, next.tk)),
	}
}

func (w *world) replace(t testing.TB, old, next *device, change func(*idpv1.ReplaceDeviceKeysRequest)) (*idpv1.ReplaceDeviceKeysResponse, error) {
	t.Helper()
	r := w.replacement(t, old, next)
	if change != nil {
		change(r)
	}
	return w.devices.ReplaceDeviceKeys(context.Background(), r)
}

func TestADeviceReplacesItsKeys(t *testing.T) {
	w := newWorld(t, idp.Config{})
	old, next := w.join(t, alice, alicePassword, 1, 2), w.newDevice(3, 4)
	signedIn := old.first(t, alice, alicePassword)
	before := devicesOf(t, w, contoso)[0]
	a, err := w.replace(t, old, next, nil)
	if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_EMULATED || !a.GetNativeSessionKeys() || a.GetTenantId() != contoso {
		t.Fatalf("%v, %v", a, err)
	}
	next.adopt(t, a.GetCertificate())
	after := devicesOf(t, w, contoso)
	if len(after) != 1 || next.id != old.id || after[0].GetDeviceId() != old.id || after[0].GetCertificateThumbprint() != a.GetThumbprint() {
		t.Errorf("%s became %s: %v", old.id, next.id, after)
	}
	if after[0].GetRegisteredBy() != before.GetRegisteredBy() || after[0].GetDisplayName() != before.GetDisplayName() || after[0].GetTrustType() != before.GetTrustType() {
		t.Errorf("%v became %v", before, after[0])
	}
	was, is := identityOf(t, old.cert), identityOf(t, next.cert)
	if was != is {
		t.Errorf("the certificate of %+v became one of %+v", was, is)
	}
	// What was issued for the old certificate is over, by name.
	wantCode(t, signedIn.use(t), aadsts.DeviceAuthenticationFailed)
	_, err = w.renewPRT(signedIn.sign(t, signedIn.renewal(t)))
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	_, err = w.requestPRT(old.sign(t, old.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	_, err = w.replace(t, old, w.newDevice(4, 3), nil)
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	if err := next.first(t, alice, alicePassword).use(t); err != nil {
		t.Error(err)
	}
	events := w.svc.SignIns()
	var logged bool
	for _, e := range events {
		logged = logged || e.Flow == "replace_device_keys" && e.Outcome == "success" && string(e.Device) == old.id && e.Protection == "emulated"
	}
	if !logged {
		t.Error("the log does not say that the keys are others")
	}
}

func TestKeysThatAreNotReplaced(t *testing.T) {
	w, lab := labWorld(t, idp.Config{})
	d, other := w.join(t, alice, alicePassword, 1, 2), w.join(t, bob, bobPassword, 3, 4)
	next := w.newDevice(4, 5)
	signed := func(change func(*entrawire.KeyReplacement)) func(*idpv1.ReplaceDeviceKeysRequest) {
		return func(r *idpv1.ReplaceDeviceKeysRequest) {
			c := w.replacing(t, next)
			change(&c)
			r.Request = d.sign(t, c)
		}
	}
	used := w.replacement(t, d, next)
	used.Attestation.Challenge = ""
	for name, c := range map[string]struct {
		change func(*idpv1.ReplaceDeviceKeysRequest)
		code   aadsts.Code
		kind   prterr.Kind
	}{
		"a proof for removal": {func(r *idpv1.ReplaceDeviceKeysRequest) {
			r.Request = d.sign(t, entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)})
		}, aadsts.InvalidRequest, prterr.Invalid},
		"no nonce":              {signed(func(k *entrawire.KeyReplacement) { k.RequestNonce = "" }), aadsts.InvalidNonce, prterr.Denied},
		"other keys in it":      {signed(func(k *entrawire.KeyReplacement) { k.DK = k.TK }), aadsts.InvalidRequest, prterr.Invalid},
		"another transport key": {signed(func(k *entrawire.KeyReplacement) { k.TK = k.DK }), aadsts.InvalidRequest, prterr.Invalid},
		"another key sent":      {func(r *idpv1.ReplaceDeviceKeysRequest) { r.TransportKey = rsa1(t, rsaKeys()[3]) }, aadsts.InvalidRequest, prterr.Invalid},
		"signed by the new key": {func(r *idpv1.ReplaceDeviceKeysRequest) {
			r.Request = (&device{w: w, dk: next.dk, cert: d.cert}).sign(t, w.replacing(t, next))
		}, aadsts.InvalidGrant, prterr.Denied},
		"another's certificate": {func(r *idpv1.ReplaceDeviceKeysRequest) {
			r.Request = (&device{w: w, dk: d.dk, cert: other.cert}).sign(t, w.replacing(t, next))
		}, aadsts.InvalidGrant, prterr.Denied},
		"no request":             {func(r *idpv1.ReplaceDeviceKeysRequest) { r.Request = "" }, aadsts.MalformedRequest, prterr.Invalid},
		"no certificate request": {func(r *idpv1.ReplaceDeviceKeysRequest) { r.CertificateRequest = nil }, 0, prterr.Invalid},
		"a wrong attestation":    {func(r *idpv1.ReplaceDeviceKeysRequest) { r.Attestation = d.attestation(t, contoso) }, 0, prterr.Invalid},
		"an old nonce": {func(r *idpv1.ReplaceDeviceKeysRequest) {
			c := w.replacing(t, next)
			lab.Advance(time.Hour)
			r.Request = d.sign(t, c)
		}, aadsts.InvalidNonce, prterr.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() {
				_, err := w.replace(t, d, next, c.change)
				wantCode(t, err, c.code)
				wantKind(t, err, c.kind)
			})
		})
	}
	w.unchanged(t, func() {
		_, err := w.devices.ReplaceDeviceKeys(context.Background(), used)
		wantKind(t, err, prterr.Denied) // its nonce is an hour old by now
	})
	if _, err := w.admin.SetDeviceEnabled(context.Background(), &directoryv1.SetDeviceEnabledRequest{DeviceId: d.id}); err != nil {
		t.Fatal(err)
	}
	_, err := w.replace(t, d, next, nil)
	wantCode(t, err, aadsts.DeviceDisabled)
}

// TestKeysAreReplacedOnce, however many ask at once: there is one certificate.
func TestKeysAreReplacedOnce(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	var mu sync.Mutex
	given := map[string]bool{}
	var wg sync.WaitGroup
	for range 6 {
		r := w.replacement(t, d, w.newDevice(3, 4))
		wg.Go(func() {
			a, err := w.devices.ReplaceDeviceKeys(context.Background(), r)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				given[a.GetThumbprint()] = true
			} else if prterr.CodeOf(err) != aadsts.DeviceAuthenticationFailed {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if now := devicesOf(t, w, contoso)[0].GetCertificateThumbprint(); len(given) != 1 || !given[now] {
		t.Errorf("certificates %v, in force %s", given, now)
	}
}

// TestAnotherCertificateMeansAnotherJoin: a computer that lost its keys writes
// another certificate to its object, and what it joined with is good no more.
func TestPRO08_AnotherCertificateMeansAnotherJoin(t *testing.T) {
	w, lab := labWorld(t, idp.Config{Tenants: withHybrid(t)})
	join := func(second int, key int) (*device, error) {
		r := w.hybridJoin(t, lab.Now().Add(time.Duration(second)*time.Second), "", rsaKeys()[key])
		a, err := w.devices.JoinHybridDevice(context.Background(), r)
		if err != nil {
			return nil, err
		}
		d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[1]}
		d.adopt(t, a.GetCertificate())
		return d, nil
	}
	d, err := join(0, 5)
	if err != nil {
		t.Fatal(err)
	}
	signedIn := d.first(t, alice, alicePassword)
	sync := func(key int) {
		t.Helper()
		_, err := w.admin.PutHybridDevice(context.Background(), &directoryv1.PutHybridDeviceRequest{
			TenantId: contoso, DeviceId: hybridID, DisplayName: "HYBRID-1", Sid: hybridSID, Certificate: computerCertificate(t, rsaKeys()[key]),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rec, err := w.svc.Store().Device(context.Background(), ids.DeviceID(hybridID))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.admin.PutHybridDevice(context.Background(), &directoryv1.PutHybridDeviceRequest{
		TenantId: contoso, DeviceId: hybridID, DisplayName: "RENAMED", Sid: hybridSID, Certificate: rec.OnPremises.Certificate,
	})
	if err != nil || signedIn.use(t) != nil {
		t.Errorf("the same certificate again did harm: %v", err)
	}
	sync(4)
	wantCode(t, signedIn.use(t), aadsts.DeviceAuthenticationFailed)
	if _, err := join(1, 5); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("the old computer key joins: %v", err)
	}
	again, err := join(2, 4)
	if err != nil || again.id != hybridID {
		t.Fatalf("%v", err)
	}
	wantCode(t, signedIn.use(t), aadsts.DeviceAuthenticationFailed)
	if err := again.first(t, alice, alicePassword).use(t); err != nil {
		t.Error(err)
	}
}

func spkiOf(t testing.TB, k *rsa.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func identityOf(t testing.TB, der []byte) entrawire.DeviceIdentity {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	id, err := entrawire.ParseDeviceCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestPRO13_ALostAnswerIsGivenAgain: who asks once more for the same keys, with the key
// they were exchanged for, is answered once more. The former key is good for nothing else.
func TestPRO13_ALostAnswerIsGivenAgain(t *testing.T) {
	w := newWorld(t, idp.Config{})
	old, next := w.join(t, alice, alicePassword, 1, 2), w.newDevice(3, 4)
	first, err := w.replace(t, old, next, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.unchanged(t, func() {
		for range 2 {
			again, err := w.replace(t, old, next, nil)
			if err != nil || again.GetThumbprint() != first.GetThumbprint() || !bytes.Equal(again.GetCertificate(), first.GetCertificate()) ||
				again.GetKeyProtection() != first.GetKeyProtection() || again.GetNativeSessionKeys() != first.GetNativeSessionKeys() {
				t.Errorf("%v, %v", again, err)
			}
		}
		_, err := w.replace(t, old, w.newDevice(4, 5), nil)
		wantCode(t, err, aadsts.DeviceAuthenticationFailed)
		_, err = w.replace(t, old, w.newDevice(3, 5), nil) // one key of two
		wantCode(t, err, aadsts.DeviceAuthenticationFailed)
		_, err = w.replace(t, old, next, func(r *idpv1.ReplaceDeviceKeysRequest) {
			r.Request = (&device{w: w, dk: rsaKeys()[5], cert: old.cert}).sign(t, w.replacing(t, next))
		})
		wantCode(t, err, aadsts.InvalidGrant)
		_, err = w.requestPRT(old.sign(t, old.claims(t, alice, alicePassword)))
		wantCode(t, err, aadsts.DeviceAuthenticationFailed)
		wantCode(t, w.checks(t, old, w.devices, entrawire.GrantDeviceCheck), aadsts.DeviceAuthenticationFailed)
		p := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
		_, err = w.devices.DeleteDevice(context.Background(), &idpv1.DeleteDeviceRequest{Request: old.sign(t, p)})
		wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	})
	// The exchange after it forgets the first key.
	next.adopt(t, first.GetCertificate())
	if _, err := w.replace(t, next, w.newDevice(5, 4), nil); err != nil {
		t.Fatal(err)
	}
	_, err = w.replace(t, old, next, nil)
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	// A device that is disabled is not answered.
	if _, err := w.admin.SetDeviceEnabled(context.Background(), &directoryv1.SetDeviceEnabledRequest{DeviceId: old.id}); err != nil {
		t.Fatal(err)
	}
	_, err = w.replace(t, next, w.newDevice(5, 4), nil)
	wantCode(t, err, aadsts.DeviceDisabled)
}
