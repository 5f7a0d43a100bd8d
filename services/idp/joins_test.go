package idp_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
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

// roadtxJoin is its request: one RSA key for everything, and a domain it made up.
func (f *foreign) roadtxJoin(t testing.TB, upn, password string, kind idpv1.JoinType) *idpv1.RegisterDeviceRequest {
	t.Helper()
	d := &device{w: f.w, dk: rsaKeys()[1], tk: rsaKeys()[1]}
	r := d.enrolment(t, upn, password)
	r.JoinType, r.TargetDomain, r.Caller = kind, "iminyour.cloud", &idpv1.Caller{}
	r.DisplayName, r.DeviceType, r.OsVersion, r.ReturnClientSid = "DESKTOP-ABCD1234", "Windows", "10.0.19041.928", true
	return r
}

// TestREG07_REG08_REG09_KindsOfRegistration is the matrix of join types: trust,
// what the certificate says, and who becomes an administrator.
func TestREG07_REG08_REG09_KindsOfRegistration(t *testing.T) {
	w := newWorld(t, idp.Config{})
	f := w.foreign(t)
	for kind, want := range map[idpv1.JoinType]struct {
		trust store.Trust
		join  entrawire.JoinType
	}{
		idpv1.JoinType_JOIN_TYPE_JOIN:         {store.TrustJoined, entrawire.JoinJoined},
		idpv1.JoinType_JOIN_TYPE_JOIN_VARIANT: {store.TrustJoined, entrawire.JoinJoined},
		idpv1.JoinType_JOIN_TYPE_REGISTER:     {store.TrustRegistered, entrawire.JoinRegistered},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			a, err := f.devices.RegisterDevice(context.Background(), f.roadtxJoin(t, alice, alicePassword, kind))
			if err != nil {
				t.Fatal(err)
			}
			cert, err := x509.ParseCertificate(a.GetCertificate())
			if err != nil {
				t.Fatal(err)
			}
			id, err := entrawire.ParseDeviceCertificate(cert)
			if err != nil || id.JoinType != want.join || id.Region != "EU" || string(id.TenantID) != contoso || id.UserID != w.userOf(t, alice).ID {
				t.Errorf("%+v, %v", id, err)
			}
			rec, err := w.svc.Store().Device(context.Background(), id.DeviceID)
			if err != nil || rec.Trust != want.trust || len(rec.ObjectID) != 36 || !slices.Equal(rec.AuthMethods, []string{"pwd"}) || !rec.Enabled {
				t.Errorf("%+v, %v", rec, err)
			}
			if sids := a.GetAdministratorSids(); len(sids) != 2 || !strings.HasPrefix(sids[0], "S-1-12-1-") || sids[0] == sids[1] {
				t.Errorf("administrators %v", sids)
			}
			d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[1]}
			d.adopt(t, a.GetCertificate())
			if err := d.first(t, alice, alicePassword).use(t); err != nil {
				t.Error(err)
			}
		})
	}
	for _, kind := range []idpv1.JoinType{idpv1.JoinType_JOIN_TYPE_HYBRID, idpv1.JoinType_JOIN_TYPE_UNSPECIFIED, 4} {
		_, err := f.devices.RegisterDevice(context.Background(), f.roadtxJoin(t, alice, alicePassword, kind))
		wantKind(t, err, prterr.Invalid)
	}
	bare := f.roadtxJoin(t, alice, alicePassword, idpv1.JoinType_JOIN_TYPE_JOIN)
	bare.OsVersion, bare.DeviceType, bare.TargetDomain, bare.ReturnClientSid = "", "", "", false
	if a, err := f.devices.RegisterDevice(context.Background(), bare); err != nil || len(a.GetAdministratorSids()) != 0 {
		t.Errorf("%v, %v", a, err)
	}
}

func TestREG18_Issuer(t *testing.T) {
	w := newWorld(t, idp.Config{})
	cert, err := x509.ParseCertificate(w.join(t, alice, alicePassword, 1, 2).cert)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, n := range cert.Issuer.Names {
		parts = append(parts, n.Type.String()+"="+n.Value.(string))
	}
	if len(parts) != 4 || parts[0] != "0.9.2342.19200300.100.1.25=net" || parts[1] != "0.9.2342.19200300.100.1.25=windows" ||
		parts[2] != "2.5.4.3=MS-Organization-Access" || !strings.HasPrefix(parts[3], "2.5.4.11=") || len(parts[3]) != len("2.5.4.11=")+36 {
		t.Errorf("issuer %v", parts)
	}
	var region []byte
	for _, e := range cert.Extensions {
		if e.Id.Equal(entrawire.OIDRegion()) {
			region = e.Value
		}
	}
	if !bytes.Equal(region, []byte("\x04\x02EU")) {
		t.Errorf("region %x", region)
	}
}

// TestTransportKeysOfOtherSystems are macOS and Android, and what does not go
// together.
func TestTransportKeysOfOtherSystems(t *testing.T) {
	w := newWorld(t, idp.Config{})
	f := w.foreign(t)
	std := base64.StdEncoding.EncodeToString
	jwk := func(m map[string]string) string { b, _ := json.Marshal(m); return string(b) }
	rsaJWK := jwk(map[string]string{"kty": "RSA", "e": "AQAB", "n": std(rsaKeys()[2].N.Bytes()), "alg": "RS256", "kid": "A"})
	r := f.roadtxJoin(t, alice, alicePassword, idpv1.JoinType_JOIN_TYPE_JOIN)
	r.TransportKey, r.TransportKeyJwk = nil, rsaJWK
	a, err := f.devices.RegisterDevice(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[2]}
	d.adopt(t, a.GetCertificate())
	d.first(t, alice, alicePassword) // unwraps with the key of the JWK
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecRequest := (&ecDevice{f: f, key: ec}).enrolment(t, alice, alicePassword)
	for name, change := range map[string]func(*idpv1.RegisterDeviceRequest){
		"both forms": func(r *idpv1.RegisterDeviceRequest) { r.TransportKeyJwk = rsaJWK },
		"neither":    func(r *idpv1.RegisterDeviceRequest) { r.TransportKey = nil },
		"a private key": func(r *idpv1.RegisterDeviceRequest) {
			r.TransportKey, r.TransportKeyJwk = nil, `{"kty":"RSA","d":"AQAB"}`
		},
		"RSA device, EC to wrap": func(r *idpv1.RegisterDeviceRequest) {
			r.TransportKey, r.TransportKeyJwk = nil, ecRequest.TransportKeyJwk
		},
		"EC device, RSA to wrap": func(r *idpv1.RegisterDeviceRequest) { r.CertificateRequest = ecRequest.CertificateRequest },
		"a name of 65 letters":   func(r *idpv1.RegisterDeviceRequest) { r.DisplayName = strings.Repeat("x", 65) },
		"a domain of 256":        func(r *idpv1.RegisterDeviceRequest) { r.TargetDomain = strings.Repeat("x", 256) },
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() {
				r := f.roadtxJoin(t, alice, alicePassword, idpv1.JoinType_JOIN_TYPE_JOIN)
				change(r)
				_, err := f.devices.RegisterDevice(context.Background(), r)
				wantKind(t, err, prterr.Invalid)
			})
		})
	}
}

// TestAttack12_TheSessionKeyIsForTheRegisteredKey, whatever the request brings.
func TestAttack12_TheSessionKeyIsForTheRegisteredKey(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	std := base64.StdEncoding.EncodeToString
	c := claims{
		"client_id": entrawire.SignInClientID, "request_nonce": w.nonce(t), "scope": "openid aza ugs", "grant_type": "password", "username": alice, "password": alicePassword,
		"stk_jwk": map[string]string{"kty": "RSA", "e": "AQAB", "n": std(rsaKeys()[3].N.Bytes())}, "transport_key": std(rsa1(t, rsaKeys()[3])),
	}
	a, err := w.requestPRT(d.sign(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entrawire.UnwrapSessionKey(rsaKeys()[3], a.GetSessionKeyJwe()); err == nil {
		t.Error("the session key is wrapped for a key of the request")
	}
	if _, err := entrawire.UnwrapSessionKey(d.tk, a.GetSessionKeyJwe()); err != nil {
		t.Error(err)
	}
}

// TestREG19_Attack28_OnlyTheOwnCertificateRemoves is removal over a connection
// that a device certificate authenticated.
func TestREG19_Attack28_OnlyTheOwnCertificateRemoves(t *testing.T) {
	w := newWorld(t, idp.Config{})
	f := w.foreign(t)
	d, other := w.join(t, alice, alicePassword, 1, 1), w.join(t, alice, alicePassword, 1, 2)
	remove := func(id string, cert []byte) error {
		_, err := f.connected.RemoveDevice(context.Background(), &idpv1.RemoveDeviceRequest{DeviceId: id, Certificate: cert, Caller: &idpv1.Caller{}})
		return err
	}
	w.unchanged(t, func() {
		for name, c := range map[string]struct {
			id   string
			cert []byte
		}{
			"another device of the user": {d.id, other.cert},
			"one that does not exist":    {contoso, d.cert},
			"self-made":                  {d.id, selfSigned(t, d)},
			"none":                       {d.id, nil},
			"garbage":                    {d.id, []byte("x")},
		} {
			if err := remove(c.id, c.cert); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("%s: %v", name, err)
			}
		}
		wantKind(t, remove("x", d.cert), prterr.Invalid)
	})
	setDevice(t, w, d.id, false)
	wantCode(t, remove(d.id, d.cert), aadsts.DeviceDisabled)
	setDevice(t, w, d.id, true)
	if err := remove(strings.ToUpper(d.id), d.cert); err != nil {
		t.Fatal(err)
	}
	wantKind(t, remove(d.id, d.cert), prterr.Unauthenticated)
	if left := devicesOf(t, w, contoso); len(left) != 1 || left[0].GetDeviceId() != other.id {
		t.Errorf("%d devices are left", len(left))
	}
	err := w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(other.id), func(r *store.Device) error { r.Certificate = d.cert; return nil })
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, remove(other.id, other.cert), prterr.Unauthenticated) // not the one in force
}

// TestREG24_BulkTokens register, whoever made them and however many.
func TestREG24_BulkTokens(t *testing.T) {
	w := newWorld(t, idp.Config{})
	f := w.foreign(t)
	r := f.roadtxJoin(t, alice, alicePassword, idpv1.JoinType_JOIN_TYPE_JOIN)
	r.AccessToken = w.registrationToken(t, "dave@contoso.test", "", time.Now(), claims{"appid": bulkClient, "amr": []string{"pwd"}, "deviceid": nil})
	for range 51 {
		if _, err := f.devices.RegisterDevice(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	r.AccessToken = w.registrationToken(t, "dave@contoso.test", "", time.Now(), claims{"deviceid": nil})
	_, err := f.devices.RegisterDevice(context.Background(), r)
	wantCode(t, err, aadsts.RegistrationNotAllowed)
	byID := f.roadtxJoin(t, alice, alicePassword, idpv1.JoinType_JOIN_TYPE_JOIN)
	byID.AccessToken = w.registrationToken(t, alice, "", time.Now(), claims{"aud": entrawire.RegistrationClientID, "deviceid": nil})
	if _, err := f.devices.RegisterDevice(context.Background(), byID); err != nil {
		t.Errorf("the resource by its id: %v", err)
	}
}
