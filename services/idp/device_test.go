package idp_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
)

// device is a device whose keys are in memory.
type device struct {
	w      *world
	dk, tk *rsa.PrivateKey
	cert   []byte
	id     string
	holder *nativetest.Holder // the TPM of a device with native session keys, else nil
}

// join registers a device for a user. The keys are numbers of the pool.
func (w *world) join(t testing.TB, upn, password string, dk, tk int) *device {
	t.Helper()
	d := &device{w: w, dk: rsaKeys()[dk], tk: rsaKeys()[tk]}
	a, err := w.devices.RegisterDevice(context.Background(), d.enrolment(t, upn, password))
	if err != nil {
		t.Fatal(err)
	}
	d.adopt(t, a.GetCertificate())
	return d
}

func (d *device) adopt(t testing.TB, der []byte) {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	d.cert, d.id = der, cert.Subject.CommonName
}

func (d *device) enrolment(t testing.TB, upn, password string) *idpv1.RegisterDeviceRequest {
	t.Helper()
	a, err := d.w.devices.RequestRegistrationToken(context.Background(), &idpv1.RequestRegistrationTokenRequest{UserPrincipalName: upn, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := entrawire.CreateCSR(d.dk)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := entrawire.MarshalRSA1(&d.tk.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	r := &idpv1.RegisterDeviceRequest{
		AccessToken: a.GetAccessToken(), JoinType: idpv1.JoinType_JOIN_TYPE_JOIN, CertificateRequest: csr, TransportKey: blob,
		DisplayName: "DESKTOP-1", DeviceType: "Linux", OsVersion: "1",
	}
	if d.w.attest {
		_, domain, _ := strings.Cut(upn, "@")
		r.Attestation = d.attestation(t, domain)
	}
	return r
}

// attestation is what a TPM of the maker that every world trusts says of the keys.
// It lies, so that a device of a test can have its keys in memory.
func (d *device) attestation(t testing.TB, tenant string) *idpv1.Attestation {
	t.Helper()
	rogue := attestationtest.NewRogue(t, tpmMaker())
	c, err := d.w.devices.RequestAttestationChallenge(context.Background(), rogue.Request(tenant))
	if err != nil {
		t.Fatal(err)
	}
	return rogue.Answer(t, c, &d.dk.PublicKey, &d.tk.PublicKey)
}

// claims are an honest request for a PRT.
func (d *device) claims(t testing.TB, upn, password string) entrawire.PRTRequest {
	t.Helper()
	return entrawire.PRTRequest{
		ClientID: entrawire.SignInClientID, RequestNonce: d.w.nonce(t), Scope: entrawire.ScopePRT, WinVer: entrawire.WinVer,
		GrantType: entrawire.GrantPassword, Username: upn, Password: secret.NewText(password),
	}
}

func encoded(t testing.TB, c interface{ Encode() ([]byte, error) }) []byte {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign makes a device-signed request as version 2 devices do.
func (d *device) sign(t testing.TB, c interface{ Encode() ([]byte, error) }) string {
	t.Helper()
	return d.signAs(t, jose.Header{Typ: "JWT", KDFVer: 2, X5C: [][]byte{d.cert}}, d.dk, encoded(t, c))
}

func (d *device) signAs(t testing.TB, h jose.Header, key *rsa.PrivateKey, payload []byte) string {
	t.Helper()
	s, err := jose.SignRS256(h, payload, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) requestPRT(request string) (*idpv1.RequestPRTResponse, error) {
	return w.issuance.RequestPRT(context.Background(), &idpv1.RequestPRTRequest{Request: request})
}

// signIn is a PRT with its session key, on a device. A native session key is in
// the TPM of the device.
type signIn struct {
	d      *device
	prt    string
	key    secret.Bytes
	native *nativetest.SessionKey
}

// first signs a user in.
func (d *device) first(t testing.TB, upn, password string) *signIn {
	t.Helper()
	return d.open(t, d.sign(t, d.claims(t, upn, password)))
}

func (d *device) open(t testing.TB, request string) *signIn {
	t.Helper()
	a, err := d.w.requestPRT(request)
	if err != nil {
		t.Fatal(err)
	}
	key, err := entrawire.UnwrapSessionKey(d.tk, a.GetSessionKeyJwe())
	if err != nil {
		t.Fatal(err)
	}
	return &signIn{d: d, prt: a.GetRefreshToken(), key: key}
}

func (s *signIn) sign(t testing.TB, c interface{ Encode() ([]byte, error) }) string {
	t.Helper()
	if s.native != nil {
		out, err := s.native.SignSession(encoded(t, c))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	out, err := entrawire.SignSession(encoded(t, c), s.key, 2)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// renewal are the claims of an honest renewal.
func (s *signIn) renewal(t testing.TB) entrawire.SessionRequest {
	t.Helper()
	return s.renewalWith(s.d.w.nonce(t))
}

func (s *signIn) renewalWith(nonce string) entrawire.SessionRequest {
	return entrawire.SessionRequest{
		ClientID: entrawire.SignInClientID, Scope: entrawire.ScopePRT, RefreshToken: secret.NewText(s.prt), GrantType: entrawire.GrantRefreshToken,
		Iss: entrawire.BrokerIssuer, Aud: entrawire.SessionAudience, RequestNonce: nonce, WinVer: entrawire.WinVer,
	}
}

func (w *world) renewPRT(request string) (string, error) {
	a, err := w.issuance.RenewPRT(context.Background(), &idpv1.RenewPRTRequest{Request: request})
	return a.GetAnswer(), err
}

// renew renews and returns the successor with the answer it came in.
func (s *signIn) renew(t testing.TB, c entrawire.SessionRequest) (*signIn, entrawire.PRTAnswer) {
	t.Helper()
	text, err := s.d.w.renewPRT(s.sign(t, c))
	if err != nil {
		t.Fatal(err)
	}
	var answer entrawire.PRTAnswer
	s.decrypt(t, text, &answer)
	next := &signIn{d: s.d, prt: answer.RefreshToken.Reveal(), key: s.key, native: s.native}
	switch {
	case answer.SessionKeyJWE == "":
	case s.native != nil:
		next.native = s.d.imported(t, answer.SessionKeyJWE)
	default:
		if next.key, err = entrawire.UnwrapSessionKey(s.d.tk, answer.SessionKeyJWE); err != nil {
			t.Fatal(err)
		}
	}
	return next, answer
}

func (s *signIn) decrypt(t testing.TB, text string, into interface{ UnmarshalJSON([]byte) error }) {
	t.Helper()
	open := func() ([]byte, error) { return entrawire.OpenAnswer(text, s.key) }
	if s.native != nil {
		open = func() ([]byte, error) { return s.native.OpenAnswer(text) }
	}
	plain, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if err := into.UnmarshalJSON(plain); err != nil {
		t.Fatal(err)
	}
}

// redemption are the claims of an honest app-token request with the PRT.
func (s *signIn) redemption(t testing.TB, client, resource string) entrawire.SessionRequest {
	t.Helper()
	c := s.renewal(t)
	c.ClientID, c.Scope, c.Resource, c.RedirectURI = client, entrawire.ScopeToken, resource, redirectOf(client)
	return c
}

func (w *world) redeemPRT(request string) (string, error) {
	a, err := w.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: request})
	return a.GetAnswer(), err
}

func (w *world) redeemRT(request string) (string, error) {
	a, err := w.tokens.RedeemRefreshToken(context.Background(), &idpv1.RedeemRefreshTokenRequest{Request: request})
	return a.GetAnswer(), err
}

// tokens redeems the PRT and opens the answer.
func (s *signIn) tokens(t testing.TB, c entrawire.SessionRequest) entrawire.TokenAnswer {
	t.Helper()
	text, err := s.d.w.redeemPRT(s.sign(t, c))
	if err != nil {
		t.Fatal(err)
	}
	var answer entrawire.TokenAnswer
	s.decrypt(t, text, &answer)
	return answer
}

// use is the shortest way to see whether the PRT still works.
func (s *signIn) use(t testing.TB) error {
	t.Helper()
	_, err := s.d.w.redeemPRT(s.sign(t, s.redemption(t, office, "")))
	return err
}

// cookie are the claims of an honest PRT cookie.
func (s *signIn) cookie(nonce string) entrawire.Cookie {
	return entrawire.Cookie{RefreshToken: secret.NewText(s.prt), IsPrimary: true, RequestNonce: nonce}
}
