package tpmagenttest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const (
	computerID  = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	computerSID = "S-1-5-21-1004336348-1177238915-682003330-1105"
)

// deviceProofs has the installed device key prove a removal, a check and a
// replacement of keys; what is signed is read back.
func (a *Agent) deviceProofs(t *testing.T, id Identity) {
	a.deviceProof(t, id, entrawire.GrantDeviceRemoval, func(r string) (string, error) {
		p, err := a.Devices().SignDeviceRemoval(t.Context(), &tpmv1.SignDeviceRemovalRequest{RequestNonce: r})
		return p.GetRequest(), err
	})
	a.deviceProof(t, id, entrawire.GrantDeviceCheck, func(r string) (string, error) {
		p, err := a.Devices().SignDeviceCheck(t.Context(), &tpmv1.SignDeviceCheckRequest{RequestNonce: r})
		return p.GetRequest(), err
	})
	fresh := a.Create()
	replacement, err := a.Devices().SignKeyReplacement(t.Context(), &tpmv1.SignKeyReplacementRequest{KeySetId: fresh.KeySetID, RequestNonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	cookie, err := a.PRT().SignDeviceCookie(t.Context(), &tpmv1.SignDeviceCookieRequest{RequestNonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	var page entrawire.DeviceProof
	if err := parsed(t, cookie.GetCookie(), id).Claims(&page); err != nil || page.Validate() != nil || page.GrantType != entrawire.GrantDeviceAuth || page.RequestNonce != nonce {
		t.Errorf("device cookie %+v, %v, %v", page, err, page.Validate())
	}
	if _, err := a.PRT().SignDeviceCookie(t.Context(), &tpmv1.SignDeviceCookieRequest{RequestNonce: `x","a":"y`}); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("a nonce that is none: %v", err)
	}
	var k entrawire.KeyReplacement
	if err := parsed(t, replacement.GetRequest(), id).Claims(&k); err != nil || k.Validate() != nil {
		t.Fatal(err, k.Validate())
	}
	spki := must(t, func() ([]byte, error) { return x509.MarshalPKIXPublicKey(fresh.DeviceKey) })
	tk := must(t, func() ([]byte, error) { return entrawire.MarshalRSA1(fresh.Transport) })
	if !k.Names(spki, tk) || k.RequestNonce != nonce {
		t.Errorf("replacement %+v", k)
	}
	a.computer(t, fresh)
}

// deviceProof has a proof of the device for one thing signed, with a nonce and nothing
// that is none.
func (a *Agent) deviceProof(t *testing.T, id Identity, grant string, sign func(nonce string) (string, error)) {
	t.Helper()
	request, err := sign(nonce)
	if err != nil {
		t.Fatal(err)
	}
	var proof entrawire.DeviceProof
	if err := parsed(t, request, id).Claims(&proof); err != nil || proof.Validate() != nil || proof.GrantType != grant || proof.RequestNonce != nonce {
		t.Errorf("proof for %s: %+v, %v", grant, proof, err)
	}
	if _, err := sign(`x","a":"y`); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("proof for %s: a nonce that is none: %v", grant, err)
	}
}

// parsed checks the signature and the header of what the device key signed.
func parsed(t *testing.T, request string, id Identity) *jose.Token {
	t.Helper()
	tok, err := jose.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.VerifyRS256(id.DeviceKey); err != nil || len(tok.Header.X5C) != 1 {
		t.Fatalf("%v, header %+v", err, tok.Header)
	}
	return tok
}

// computer makes what a computer of a domain needs to become hybrid joined.
func (a *Agent) computer(t *testing.T, fresh Identity) {
	made, err := a.Devices().CreateComputerCertificate(t.Context(), &tpmv1.CreateComputerCertificateRequest{KeySetId: fresh.KeySetID, ComputerId: computerID})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(made.GetCertificate())
	if err != nil {
		t.Fatal(err)
	}
	if cert.Subject.CommonName != computerID || !fresh.DeviceKey.Equal(cert.PublicKey) || cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil {
		t.Errorf("certificate of %q", cert.Subject)
	}
	sign := func(sid string, unix int64) (*tpmv1.SignComputerIdentityResponse, error) {
		return a.Devices().SignComputerIdentity(t.Context(), &tpmv1.SignComputerIdentityRequest{KeySetId: fresh.KeySetID, ComputerSid: sid, UnixTime: unix})
	}
	id, err := sign(computerSID, 1700000000)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(id.GetClientIdentity()))
	if rsa.VerifyPKCS1v15(fresh.DeviceKey, crypto.SHA256, digest[:], id.GetSignature()) != nil || id.GetClientIdentity() != computerSID+".2023-11-14 22:13:20Z" {
		t.Errorf("identity %q", id.GetClientIdentity())
	}
	for _, bad := range []string{"", "S-1-", "S-1-5-", "S-1-5-x", "S-1-5-21 1", strings.Repeat("S-1-5", 50), `{"alg":"none"}`} {
		if _, err := sign(bad, 1700000000); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("SID %q: %v", bad, err)
		}
	}
	if _, err := sign(computerSID, -1); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("a time before 1970: %v", err)
	}
}

// prtAnswer opens the answer to a renewal, and nothing that only looks like one.
func (a *Agent) prtAnswer(t *testing.T, key secret.Bytes, sealed *tpmv1.SealedSessionKey) {
	plain := []byte(`{"token_type":"Bearer","expires_in":"1209599","ext_expires_in":"0","expires_on":"1700000000","refresh_token":"1.new.prt","refresh_token_expires_in":1209599,"id_token":"h.p."}`)
	answer, err := a.seal(key, plain)
	if err != nil {
		t.Fatal(err)
	}
	open := func(answer string) (*tpmv1.OpenPRTAnswerResponse, error) {
		return a.PRT().OpenPRTAnswer(t.Context(), &tpmv1.OpenPRTAnswerRequest{Partition: Partition(UserA), SessionKey: sealed, Answer: answer})
	}
	resp, err := open(answer)
	if err != nil || resp.GetPrt() != "1.new.prt" || resp.GetPrtExpiresIn() != 1209599 {
		t.Errorf("%v, %v", resp, err)
	}
	other, err := a.seal(secret.NewBytes(random(32)), plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(other); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("an answer of another session: %v", err)
	}
}
