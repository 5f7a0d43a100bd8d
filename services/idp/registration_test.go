package idp_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

func TestREG05_REG07_OnlyPublicHalvesArrive(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	a, err := w.read.ListDevices(context.Background(), &directoryv1.ListDevicesRequest{TenantId: contoso})
	if err != nil || len(a.GetDevices()) != 1 {
		t.Fatalf("%v, %v", a, err)
	}
	got := a.GetDevices()[0]
	spki, _ := x509.MarshalPKIXPublicKey(&d.dk.PublicKey)
	blob, _ := entrawire.MarshalRSA1(&d.tk.PublicKey)
	if got.GetDeviceId() != d.id || !slices.Equal(got.GetDevicePublicKey(), spki) || !slices.Equal(got.GetTransportPublicKey(), blob) ||
		got.GetRegisteredBy() != alice || !got.GetEnabled() || len(got.GetCertificateThumbprint()) != 40 || got.GetDisplayName() != "DESKTOP-1" {
		t.Errorf("%v", got)
	}
	_, err = w.read.ListDevices(context.Background(), &directoryv1.ListDevicesRequest{TenantId: d.id})
	wantKind(t, err, prterr.NotFound)
}

func TestREG06_TheStoredKeyProvesTheDevice(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	id, _ := ids.ParseDevice(d.id)
	otherKey, _ := x509.MarshalPKIXPublicKey(&rsaKeys()[3].PublicKey)
	second := w.join(t, alice, alicePassword, 1, 2) // same keys, another certificate
	for name, change := range map[string]func(*store.Device){
		"device key":  func(r *store.Device) { r.DeviceKey = otherKey },
		"certificate": func(r *store.Device) { r.Certificate = second.cert },
	} {
		t.Run(name, func(t *testing.T) {
			var before store.Device
			swap := func(f func(*store.Device)) {
				err := w.svc.Store().UpdateDevice(context.Background(), id, func(r *store.Device) error { f(r); return nil })
				if err != nil {
					t.Fatal(err)
				}
			}
			swap(func(r *store.Device) { before = *r; change(r) })
			_, err := w.requestPRT(d.sign(t, d.claims(t, alice, alicePassword)))
			wantCode(t, err, aadsts.DeviceAuthenticationFailed)
			if name == "certificate" {
				wantCode(t, s.use(t), aadsts.DeviceAuthenticationFailed) // the PRT is bound to the old one
			}
			swap(func(r *store.Device) { *r = before })
			if err := s.use(t); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestREG18_DeviceCertificate(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	cert, err := x509.ParseCertificate(d.cert)
	if err != nil {
		t.Fatal(err)
	}
	root, ok := w.svc.Authority().DeviceAuthority(contoso)
	if !ok {
		t.Fatal("no device authority")
	}
	ca, err := x509.ParseCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if cert.Subject.String() != "CN="+d.id || cert.Issuer.CommonName != "MS-Organization-Access" || len(cert.Issuer.OrganizationalUnit) != 1 {
		t.Errorf("subject %s, issuer %s", cert.Subject, cert.Issuer)
	}
	if years := cert.NotAfter.Sub(cert.NotBefore).Hours() / 24 / 365; years < 10 || years > 10.1 {
		t.Errorf("valid for %f years", years)
	}
	id, err := entrawire.ParseDeviceCertificate(cert)
	if err != nil || string(id.DeviceID) != d.id || string(id.TenantID) != contoso || id.JoinType != entrawire.JoinJoined {
		t.Errorf("%+v, %v", id, err)
	}
	if fabrikamRoot, _ := w.svc.Authority().DeviceAuthority(fabrikam); slices.Equal(fabrikamRoot, root) {
		t.Error("two tenants share a device authority")
	}
}

func TestREG20_NewRegistrationKillsWhatTheOldOneHeld(t *testing.T) {
	w := newWorld(t, idp.Config{})
	old := w.join(t, alice, alicePassword, 1, 2)
	s := old.first(t, alice, alicePassword)
	cookie := w.signedIn(t, s, "").GetSessionCookie()
	proof := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
	if _, err := w.devices.DeleteDevice(context.Background(), &idpv1.DeleteDeviceRequest{Request: old.sign(t, proof)}); err != nil {
		t.Fatal(err)
	}
	next := w.join(t, alice, alicePassword, 3, 4)
	if next.id == old.id {
		t.Error("the same identity again")
	}
	wantCode(t, s.use(t), aadsts.DeviceAuthenticationFailed)
	_, err := w.renewPRT(s.sign(t, s.renewal(t)))
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	_, err = w.requestPRT(old.sign(t, old.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
	n := w.nonce(t)
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, SessionCookie: cookie, RefreshTokenCredential: s.sign(t, s.cookie(n))}), aadsts.DeviceAuthenticationFailed)
	fresh := next.first(t, alice, alicePassword)
	n = w.nonce(t)
	wantPage(t, w, w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: n, SessionCookie: cookie, RefreshTokenCredential: fresh.sign(t, fresh.cookie(n))}), aadsts.InvalidSessionKey)
	w.signedIn(t, fresh, "")
}

func TestDeviceRemovesItselfAndNoOther(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	w.unchanged(t, func() {
		for name, f := range map[string]struct {
			change func(*entrawire.DeviceProof)
			code   aadsts.Code
		}{
			"a browser's proof": {func(p *entrawire.DeviceProof) { p.GrantType = entrawire.GrantDeviceAuth }, aadsts.InvalidRequest},
			"no nonce":          {func(p *entrawire.DeviceProof) { p.RequestNonce = "" }, aadsts.InvalidNonce},
			"no issuer":         {func(p *entrawire.DeviceProof) { p.Iss = "" }, aadsts.InvalidRequest},
		} {
			p := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
			f.change(&p)
			_, err := w.devices.DeleteDevice(context.Background(), &idpv1.DeleteDeviceRequest{Request: d.sign(t, p)})
			if prterr.CodeOf(err) != f.code {
				t.Errorf("%s: %v", name, err)
			}
		}
		p := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
		h := jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}
		_, err := w.devices.DeleteDevice(context.Background(), &idpv1.DeleteDeviceRequest{Request: d.signAs(t, h, rsaKeys()[3], encoded(t, p))})
		wantCode(t, err, aadsts.InvalidGrant)
	})
}

func TestREG07_BadEnrolmentsChangeNothing(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[2]}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]struct {
		change func(*idpv1.RegisterDeviceRequest)
		kind   prterr.Kind
	}{
		"no token":       {func(r *idpv1.RegisterDeviceRequest) { r.AccessToken = "" }, prterr.Unauthenticated},
		"altered token":  {func(r *idpv1.RegisterDeviceRequest) { r.AccessToken = flipSignature(t, r.AccessToken, 0) }, prterr.Unauthenticated},
		"unsigned token": {func(r *idpv1.RegisterDeviceRequest) { r.AccessToken = mustUnsigned(t, payloadOf(t, r.AccessToken)) }, prterr.Unauthenticated},
		"self-made token": {func(r *idpv1.RegisterDeviceRequest) {
			r.AccessToken = d.signAs(t, jose.Header{Typ: "JWT"}, d.dk, payloadOf(t, r.AccessToken))
		}, prterr.Unauthenticated},
		"no join type":     {func(r *idpv1.RegisterDeviceRequest) { r.JoinType = 0 }, prterr.Invalid},
		"no CSR":           {func(r *idpv1.RegisterDeviceRequest) { r.CertificateRequest = nil }, prterr.Invalid},
		"altered CSR":      {func(r *idpv1.RegisterDeviceRequest) { r.CertificateRequest[len(r.CertificateRequest)-1] ^= 1 }, prterr.Invalid},
		"no transport key": {func(r *idpv1.RegisterDeviceRequest) { r.TransportKey = nil }, prterr.Invalid},
		"small key": {func(r *idpv1.RegisterDeviceRequest) {
			header := slices.Concat(r.TransportKey[:4], []byte{0, 4}, r.TransportKey[6:12], []byte{128, 0}, r.TransportKey[14:27])
			r.TransportKey = append(header, small.N.Bytes()...)
		}, prterr.Invalid},
		"no name":          {func(r *idpv1.RegisterDeviceRequest) { r.DisplayName = "" }, prterr.Invalid},
		"long name":        {func(r *idpv1.RegisterDeviceRequest) { r.DisplayName = strings.Repeat("x", 65) }, prterr.Invalid},
		"unprintable name": {func(r *idpv1.RegisterDeviceRequest) { r.DisplayName = "a\x00b" }, prterr.Invalid},
		"foreign domain":   {func(r *idpv1.RegisterDeviceRequest) { r.TargetDomain = "fabrikam.test" }, prterr.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() {
				r := d.enrolment(t, alice, alicePassword)
				f.change(r)
				_, err := w.devices.RegisterDevice(context.Background(), r)
				wantKind(t, err, f.kind)
			})
		})
	}
}

func payloadOf(t testing.TB, compact string) []byte {
	t.Helper()
	token, err := jose.Parse(compact)
	if err != nil {
		t.Fatal(err)
	}
	return token.Payload
}

func TestRegistrationTokenIsForRegistrationOnly(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[2]}
	r := d.enrolment(t, alice, alicePassword)
	if c := w.accessToken(t, secretText(r.GetAccessToken())); c.Aud != entrawire.RegistrationResource || c.UPN != alice {
		t.Errorf("%+v", c)
	}
	r.AccessToken = s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal()
	_, err := w.devices.RegisterDevice(context.Background(), r)
	wantKind(t, err, prterr.Unauthenticated)
	for upn, code := range map[string]aadsts.Code{alice: aadsts.InvalidCredentials, "nobody@contoso.test": aadsts.UserAccountNotFound, carol: aadsts.NoPassword} {
		_, err := w.devices.RequestRegistrationToken(context.Background(), &idpv1.RequestRegistrationTokenRequest{UserPrincipalName: upn, Password: "wrong"})
		wantCode(t, err, code)
	}
	_, err = w.devices.RegisterDevice(context.Background(), d.enrolment(t, "dave@contoso.test", "no devices for dave"))
	wantCode(t, err, aadsts.RegistrationNotAllowed)
	late := d.enrolment(t, bob, bobPassword)
	setUser(t, w, bob, false)
	_, err = w.devices.RegisterDevice(context.Background(), late)
	wantCode(t, err, aadsts.UserDisabled)
}

func TestA41_Attack29_QuotaPerUser(t *testing.T) {
	b := newBurst(t)
	w := b.w
	for n := range 50 {
		if n == 20 || n == 40 { // more at once are throttled
			b.lab.Advance(5 * time.Minute)
		}
		b.next(t)
		if err := b.register(); err != nil {
			t.Fatal(err)
		}
	}
	b.lab.Advance(5 * time.Minute)
	b.next(t)
	w.unchanged(t, func() {
		err := b.register()
		wantKind(t, err, prterr.Exhausted)
		if prterr.RetryAfterOf(err) != 0 {
			t.Errorf("waiting does not help: %v", err)
		}
	})
	w.join(t, bob, bobPassword, 3, 4)
	franks := &device{w: w, dk: rsaKeys()[3], tk: rsaKeys()[4]}
	r := franks.enrolment(t, frank, frankPassword)
	u := w.userOf(t, frank)
	if err := w.svc.Store().UpdateUser(context.Background(), u.Tenant, u.ID, func(u *store.User) error { u.MayJoin = false; return nil }); err != nil {
		t.Fatal(err)
	}
	w.unchanged(t, func() {
		_, err := w.devices.RegisterDevice(context.Background(), r)
		wantCode(t, err, aadsts.RegistrationNotAllowed)
	})
}

func TestRegistrationTokenExpires(t *testing.T) {
	lab := newLab()
	w := newWorld(t, idp.Config{Clock: lab})
	d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[2]}
	r := d.enrolment(t, alice, alicePassword)
	lab.Advance(91 * time.Minute)
	_, err := w.devices.RegisterDevice(context.Background(), r)
	wantKind(t, err, prterr.Unauthenticated)
}
