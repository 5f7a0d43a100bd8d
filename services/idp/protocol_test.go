package idp_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

const (
	v3 = idpv1.PRTProtocol_PRT_PROTOCOL_V3
	v4 = idpv1.PRTProtocol_PRT_PROTOCOL_V4
)

// ecDevice is a device whose one key is on P-256, as roadtx makes them.
type ecDevice struct {
	f    *foreign
	key  *ecdsa.PrivateKey
	cert []byte
	id   string
}

func (f *foreign) joinEC(t testing.TB, upn, password string) *ecDevice {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &ecDevice{f: f, key: key}
	a, err := f.devices.RegisterDevice(context.Background(), d.enrolment(t, upn, password))
	if err != nil {
		t.Fatal(err)
	}
	var named device
	named.adopt(t, a.GetCertificate())
	d.cert, d.id = named.cert, named.id
	return d
}

func (d *ecDevice) enrolment(t testing.TB, upn, password string) *idpv1.RegisterDeviceRequest {
	t.Helper()
	csr, err := entrawire.CreateECCSR(d.key)
	if err != nil {
		t.Fatal(err)
	}
	pub := d.private(t).PublicKey().Bytes()
	std := base64.StdEncoding.EncodeToString
	jwk, err := json.Marshal(map[string]string{"kty": "EC", "crv": "P-256", "x": std(pub[1:33]), "y": std(pub[33:]), "kid": "A"})
	if err != nil {
		t.Fatal(err)
	}
	return &idpv1.RegisterDeviceRequest{
		AccessToken: registrationTokenOf(t, d.f.w, upn, password), JoinType: idpv1.JoinType_JOIN_TYPE_JOIN, CertificateRequest: csr,
		TransportKeyJwk: string(jwk), DisplayName: "Mac", DeviceType: "MacOS", OsVersion: "14.5.0", TargetDomain: "iminyour.cloud", Caller: &idpv1.Caller{},
	}
}

func (d *ecDevice) private(t testing.TB) *ecdh.PrivateKey {
	t.Helper()
	k, err := d.key.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (d *ecDevice) sign(t testing.TB, c claims) string {
	t.Helper()
	s, err := jose.SignES256(jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, encoded(t, c), d.key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (d *ecDevice) open(t testing.TB, answer string, into interface{ UnmarshalJSON([]byte) error }) {
	t.Helper()
	plain, err := entrawire.OpenDeviceAnswer(d.private(t), "HOI", answer)
	if err != nil {
		t.Fatal(err)
	}
	if err := into.UnmarshalJSON(plain); err != nil {
		t.Fatal(err)
	}
}

// upgrade are roadtx's claims of a first request in version 4.
func (d *ecDevice) upgrade(t testing.TB, token string) claims {
	t.Helper()
	return claims{
		"refresh_token": token, "client_id": entrawire.BrokerClientID, "scope": "openid aza", "grant_type": "refresh_token", "request_nonce": d.f.w.nonce(t),
		"jwe_crypto": map[string]string{"apv": "HOI", "alg": "ECDH-ES", "enc": "A256GCM"},
	}
}

// usage are its claims of a request that uses the PRT.
func (d *ecDevice) usage(t testing.TB, prt, client, scope string) claims {
	t.Helper()
	return d.upgrade(t, prt).with(claims{
		"iat": "1700000000", "nbf": "1700000000", "exp": "1700003600", "purpose": "prt_usage", "iss": entrawire.BrokerClientID, "client_id": client,
		"scope": scope, "redirect_uri": native + client, "aud": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
	})
}

func (d *ecDevice) request(t testing.TB, c claims) (string, error) {
	t.Helper()
	a, err := d.f.issuance.RequestPRT(context.Background(), &idpv1.RequestPRTRequest{Request: d.sign(t, c), Protocol: v4})
	return a.GetEncrypted(), err
}

func (d *ecDevice) redeem(t testing.TB, c claims) (string, error) {
	t.Helper()
	a, err := d.f.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: d.sign(t, c), Protocol: v4})
	return a.GetAnswer(), err
}

func TestISS23_Version4HasNoSessionKey(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.foreign(t).joinEC(t, alice, alicePassword)
	text, err := d.request(t, d.upgrade(t, w.brokerToken(t, alice, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var first entrawire.PRTAnswer
	d.open(t, text, &first)
	prt := first.RefreshToken.Reveal()
	if a := w.artefact(t, sealed.PRT, prt); first.SessionKeyJWE != "" || !a.SessionKey.Empty() || a.Protocol != 4 || string(a.Device) != d.id {
		t.Errorf("session key of %d bytes, protocol %d, device %s", a.SessionKey.Len(), a.Protocol, a.Device)
	}
	if err := first.Validate(); err != nil {
		t.Error(err)
	}

	if text, err = d.redeem(t, d.usage(t, prt, office, graph+"/.default openid")); err != nil {
		t.Fatal(err)
	}
	var tokens entrawire.TokenAnswer
	d.open(t, text, &tokens)
	if c := w.accessToken(t, tokens.AccessToken); c.Aud != graph || c.DeviceID != d.id || c.AppID != office {
		t.Errorf("%+v", c)
	}

	a, err := d.f.issuance.RenewPRT(context.Background(), &idpv1.RenewPRTRequest{
		Request: d.sign(t, d.usage(t, prt, entrawire.BrokerClientID, "aza openid").with(claims{"redirect_uri": "msauth://Microsoft.AAD.BrokerPlugin"})), Protocol: v4,
	})
	if err != nil {
		t.Fatal(err)
	}
	var next entrawire.PRTAnswer
	d.open(t, a.GetAnswer(), &next)
	if _, err := d.redeem(t, d.usage(t, next.RefreshToken.Reveal(), office, "openid")); err != nil {
		t.Errorf("the renewed PRT: %v", err)
	}

	rt := d.usage(t, tokens.RefreshToken.Reveal(), office, graph+"/User.Read")
	again, err := d.f.tokens.RedeemRefreshToken(context.Background(), &idpv1.RedeemRefreshTokenRequest{Request: d.sign(t, rt), Protocol: v4})
	if err != nil {
		t.Fatal(err)
	}
	d.open(t, again.GetAnswer(), &tokens)
}

func TestISS23_Version4SingleFaults(t *testing.T) {
	w := newWorld(t, idp.Config{})
	f := w.foreign(t)
	d, other := f.joinEC(t, alice, alicePassword), f.joinEC(t, alice, alicePassword)
	text, err := d.request(t, d.upgrade(t, w.brokerToken(t, alice, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var first entrawire.PRTAnswer
	d.open(t, text, &first)
	prt := first.RefreshToken.Reveal()
	two := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)

	two4 := w.artefact(t, sealed.PRT, prt) // this device's in everything but the version
	two4.Protocol = 2
	sealed2, err := w.svc.Authority().Seal(two4)
	if err != nil {
		t.Fatal(err)
	}

	for name, f := range map[string]struct {
		with   *ecDevice
		change claims
		code   aadsts.Code
	}{
		"attack 7: another device of the user": {other, nil, aadsts.InvalidGrant},
		"no purpose":                           {d, claims{"purpose": nil}, aadsts.InvalidRequest},
		"no way to encrypt":                    {d, claims{"jwe_crypto": nil}, aadsts.InvalidRequest},
		"another way to encrypt":               {d, claims{"jwe_crypto": map[string]string{"alg": "dir", "enc": "none"}}, aadsts.InvalidRequest},
		"no nonce":                             {d, claims{"request_nonce": nil}, aadsts.InvalidNonce},
		"another issuer":                       {d, claims{"iss": entrawire.BrokerIssuer}, aadsts.InvalidRequest},
		"a PRT of version 2":                   {d, claims{"refresh_token": two.prt}, aadsts.InvalidGrant},
		"its own PRT of version 2":             {d, claims{"refresh_token": sealed2.Reveal()}, aadsts.InvalidGrant},
		"no PRT":                               {d, claims{"refresh_token": "0.a.b"}, aadsts.InvalidGrant},
		"an unknown resource":                  {d, claims{"scope": "https://evil.test/.default"}, aadsts.InvalidScope},
		"two resources":                        {d, claims{"scope": graph + "/a https://graph.windows.net/b"}, aadsts.InvalidScope},
		"a foreign redirect":                   {d, claims{"redirect_uri": "https://evil.test/"}, aadsts.InvalidReplyTo},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.with.redeem(t, d.usage(t, prt, office, graph+"/.default").with(f.change))
			wantCode(t, err, f.code)
		})
	}

	t.Run("a refresh token of an older certificate", func(t *testing.T) {
		a := two4
		a.Type, a.Client, a.Protocol = sealed.RefreshToken, office, 4
		a.Certificate[0] ^= 1
		old, err := w.svc.Authority().Seal(a)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.tokens.RedeemRefreshToken(context.Background(), &idpv1.RedeemRefreshTokenRequest{Request: d.sign(t, d.usage(t, old.Reveal(), office, "openid")), Protocol: v4})
		wantCode(t, err, aadsts.InvalidGrant)
	})
	t.Run("attack 9: each version keeps its algorithm", func(t *testing.T) {
		good := d.sign(t, d.usage(t, prt, office, "openid"))
		_, err := w.redeemPRT(good) // in version 2
		wantCode(t, err, aadsts.InvalidGrant)
		_, err = w.requestPRT(d.sign(t, d.upgrade(t, w.brokerToken(t, alice, nil))))
		wantCode(t, err, aadsts.InvalidGrant)
		rs := two.d.sign(t, d.upgrade(t, w.brokerToken(t, alice, nil)))
		_, err = f.issuance.RequestPRT(context.Background(), &idpv1.RequestPRTRequest{Request: rs, Protocol: v4})
		wantCode(t, err, aadsts.InvalidGrant)
		hs := two.sign(t, d.usage(t, prt, office, "openid"))
		_, err = f.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: hs, Protocol: v4})
		wantCode(t, err, aadsts.InvalidGrant)
		_, err = w.redeemPRT(hs) // a PRT of version 4 has no session key to sign with
		wantCode(t, err, aadsts.InvalidSessionKey)
	})
	t.Run("attack 8: another device's certificate", func(t *testing.T) {
		mixed := &ecDevice{f: f, key: d.key, cert: other.cert}
		_, err := mixed.redeem(t, d.usage(t, prt, office, "openid"))
		wantCode(t, err, aadsts.InvalidGrant)
	})
	t.Run("once", func(t *testing.T) {
		good := d.sign(t, d.usage(t, prt, office, "openid"))
		send := func() error {
			_, err := f.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: good, Protocol: v4})
			return err
		}
		if err := send(); err != nil {
			t.Fatal(err)
		}
		wantCode(t, send(), aadsts.InvalidNonce)
	})
	setDevice(t, w, d.id, false)
	_, err = d.redeem(t, d.usage(t, prt, office, "openid"))
	wantCode(t, err, aadsts.DeviceDisabled)
}

func TestISS23_Version3IsVersion2OnTheOtherEndpoint(t *testing.T) {
	w := newWorld(t, idp.Config{})
	f, d := w.foreign(t), w.join(t, alice, alicePassword, 1, 1)
	h := jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}} // no kdf_ver
	request := d.signAs(t, h, d.dk, encoded(t, w.roadtxUpgrade(t, w.brokerToken(t, alice, nil)).with(claims{"scope": "openid aza", "win_ver": nil, "group_sids": nil})))
	issued, err := f.issuance.RequestPRT(context.Background(), &idpv1.RequestPRTRequest{Request: request, Protocol: v3})
	if err != nil {
		t.Fatal(err)
	}
	key, err := entrawire.UnwrapSessionKey(d.tk, issued.GetSessionKeyJwe())
	if err != nil {
		t.Fatal(err)
	}
	s := &signIn{d: d, prt: issued.GetRefreshToken(), key: key}
	if a := w.artefact(t, sealed.PRT, s.prt); a.Protocol != 3 || a.KDFMin != 1 {
		t.Errorf("protocol %d, kdf_min %d", a.Protocol, a.KDFMin)
	}
	usage := func(client, scope string) claims {
		return claims{
			"scope": scope, "request_nonce": w.nonce(t), "refresh_token": s.prt, "grant_type": "refresh_token", "client_id": client,
			"redirect_uri": "msauth://Microsoft.AAD.BrokerPlugin", "aud": "https://login.windows.net/common/oauth2/v2.0/token", "iss": entrawire.BrokerClientID,
		}
	}
	redeem := func(c claims) (string, error) {
		a, err := f.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: s.sign(t, c), Protocol: v3})
		return a.GetAnswer(), err
	}
	text, err := redeem(usage(entrawire.BrokerClientID, "https://graph.windows.net/.default"))
	if err != nil {
		t.Fatal(err)
	}
	var tokens entrawire.TokenAnswer
	s.decrypt(t, text, &tokens)
	if c := w.accessToken(t, tokens.AccessToken); c.Aud != "https://graph.windows.net" || c.DeviceID != d.id {
		t.Errorf("%+v", c)
	}
	a, err := f.issuance.RenewPRT(context.Background(), &idpv1.RenewPRTRequest{Request: s.sign(t, usage(entrawire.BrokerClientID, "aza openid")), Protocol: v3})
	if err != nil {
		t.Fatal(err)
	}
	var next entrawire.PRTAnswer
	s.decrypt(t, a.GetAnswer(), &next)
	if next.SessionKeyJWE != "" {
		t.Error("another session key came, which the client would not take")
	}
	_, err = redeem(usage(office, "openid")) // not the broker's address
	wantCode(t, err, aadsts.InvalidReplyTo)
	_, err = w.redeemPRT(s.sign(t, usage(entrawire.BrokerClientID, "openid"))) // version 2 has another issuer
	wantCode(t, err, aadsts.InvalidRequest)
}
