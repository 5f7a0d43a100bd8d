package tpmagenttest

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const (
	clientID = "d3590ed6-52b3-4102-aeff-aad2292ab01c"
	prt      = "1.AAA.prt-of-the-suite"
	nonce    = "AQAB.nonce"
	resource = "https://graph.microsoft.com"
)

// Run holds any implementation of the agent's contract to what callers rely on, with
// session keys in both forms.
func Run(t *testing.T, dial func(caller string) grpc.ClientConnInterface) {
	for name, native := range map[string]bool{"wrapped to tkpub": false, "native": true} {
		t.Run(name, func(t *testing.T) { run(t, &Agent{t: t, Dial: dial, Native: native}) })
	}
}

func run(t *testing.T, a *Agent) {
	t.Run("nothing works before registration", a.unregistered)
	id := a.Register()
	t.Run("REG01 two key pairs", func(t *testing.T) { a.twoKeyPairs(t, id) })
	t.Run("certificate request", func(t *testing.T) { a.certificateRequest(t) })
	t.Run("ISS05 PRT request", func(t *testing.T) { a.prtRequest(t, id) })
	t.Run("ISS22 PRT request with a refresh token", func(t *testing.T) { a.refreshTokenRequest(t, id) })
	key, sealed := a.Import(id, UserA)
	rests := a.Protect(t, Partition(UserA), prt)
	t.Run("session signatures", func(t *testing.T) { a.sessionSignatures(t, key, sealed) })
	t.Run("PRO10 data keys", func(t *testing.T) { a.dataKeys(t, id) })
	a.CreateDataKey(NewProvider(), UserA, key, sealed)
	t.Run("Attack11 answers", func(t *testing.T) { a.answers(t, key, sealed) })
	t.Run("bad input names the field", func(t *testing.T) { a.badInput(t, sealed) })
	t.Run("device proofs", func(t *testing.T) { a.deviceProofs(t, id) })
	t.Run("PRT answer", func(t *testing.T) { a.prtAnswer(t, key, sealed) })
	t.Run("REG26 attestation", a.attestation)
	t.Run("the other form of session key", func(t *testing.T) { a.otherForm(t, id) })
	t.Run("hello", func(t *testing.T) { a.hello(t, id) })
	t.Run("REG23 self-test", a.selfTest)
	t.Run("sealed PRT", func(t *testing.T) { a.sealedPRT(t, key, sealed) })
	t.Run("state record", a.stateRecord)
	t.Run("T3 another partition", func(t *testing.T) { a.otherPartition(t, sealed) })
	t.Run("sealed keys are bound", func(t *testing.T) { a.flippedSeal(t, sealed) })
	t.Run("REG13 the certificate names the authority", a.authorities)
	t.Run("REG20 a new registration retires the old keys", func(t *testing.T) { a.reRegister(t, sealed, rests) })
}

func (a *Agent) unregistered(t *testing.T) {
	_, err := a.PRT().SignPRTRequest(t.Context(), &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: "a@b.test", RequestNonce: nonce, Credential: password("x"),
	})
	if prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("got %v", err)
	}
}

func password(p string) *tpmv1.Credential {
	return &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: p}}
}

func (a *Agent) twoKeyPairs(t *testing.T, id Identity) {
	list, err := a.Devices().ListKeys(t.Context(), &tpmv1.ListKeysRequest{})
	if err != nil || len(list.GetKeys()) != 4 {
		t.Fatalf("%v, %v", list, err)
	}
	seen := map[tpmv1.KeyPurpose][]byte{}
	for _, k := range list.GetKeys() {
		seen[k.GetPurpose()] = k.GetPublicKey()
		if !k.GetInstalled() || !k.GetFixedTpm() || !k.GetFixedParent() || !k.GetSensitiveDataOrigin() || k.GetKeySetId() != id.KeySetID {
			t.Errorf("%v", k)
		}
	}
	dk, tk := seen[tpmv1.KeyPurpose_KEY_PURPOSE_DEVICE], seen[tpmv1.KeyPurpose_KEY_PURPOSE_TRANSPORT]
	if len(dk) == 0 || len(tk) == 0 || bytes.Equal(dk, tk) {
		t.Error("device key and transport key are not two keys")
	}
	if want, _ := x509.MarshalPKIXPublicKey(id.DeviceKey); !bytes.Equal(dk, want) {
		t.Error("the listed device key is not the one created")
	}
}

func (a *Agent) certificateRequest(t *testing.T) {
	id := a.Create()
	resp, err := a.Devices().CreateCertificateRequest(t.Context(), &tpmv1.CreateCertificateRequestRequest{KeySetId: id.KeySetID})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := entrawire.ParseCSR(resp.GetCertificateRequest())
	if err != nil || !id.DeviceKey.Equal(csr.PublicKey) {
		t.Errorf("certificate request: %v", err)
	}
	if _, err := a.Devices().CreateCertificateRequest(t.Context(), &tpmv1.CreateCertificateRequestRequest{KeySetId: "no"}); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("an unknown set: %v", err)
	}
	other := Certificate(t, id.Transport)
	_, err = a.Devices().InstallDeviceCertificate(t.Context(), &tpmv1.InstallDeviceCertificateRequest{KeySetId: id.KeySetID, Certificate: other})
	if prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("a certificate for another key: %v", err)
	}
	if _, err := a.Devices().DeleteDeviceKeys(t.Context(), &tpmv1.DeleteDeviceKeysRequest{KeySetId: id.KeySetID}); err != nil {
		t.Error(err)
	}
}

func (a *Agent) prtRequest(t *testing.T, id Identity) {
	resp, err := a.PRT().SignPRTRequest(t.Context(), &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: "Alice@Contoso.Test", RequestNonce: nonce, Credential: password(`p"w\`),
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := jose.Parse(resp.GetRequest())
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.VerifyRS256(id.DeviceKey); err != nil {
		t.Error(err)
	}
	var c entrawire.PRTRequest
	if err := tok.Claims(&c); err != nil || c.Validate() != nil {
		t.Fatal(err, c.Validate())
	}
	if c.RequestNonce != nonce || c.Username != "alice@contoso.test" || c.Password.Reveal() != `p"w\` || !entrawire.HasScope(c.Scope, "aza") {
		t.Errorf("claims %+v", c)
	}
	if len(tok.Header.X5C) != 1 || !bytes.Equal(tok.Header.X5C[0], id.Certificate) || tok.Header.KDFVer != a.kdfVer() {
		t.Errorf("header %+v", tok.Header)
	}
}

// refreshTokenRequest: the broker's refresh token takes the place of a credential,
// and the request is the broker's then.
func (a *Agent) refreshTokenRequest(t *testing.T, id Identity) {
	resp, err := a.PRT().SignPRTRequest(t.Context(), &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: "alice@contoso.test", RequestNonce: nonce, Credential: refreshToken("1.broker.canary"),
	})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := jose.Parse(resp.GetRequest())
	if err != nil {
		t.Fatal(err)
	}
	var c entrawire.PRTRequest
	if err := errors.Join(tok.VerifyRS256(id.DeviceKey), tok.Claims(&c), c.Validate()); err != nil {
		t.Fatal(err)
	}
	if c.GrantType != entrawire.GrantRefreshToken || c.ClientID != entrawire.BrokerClientID || c.RefreshToken.Reveal() != "1.broker.canary" || c.RequestNonce != nonce {
		t.Errorf("claims %+v", c)
	}
}

func refreshToken(s string) *tpmv1.Credential {
	return &tpmv1.Credential{Kind: &tpmv1.Credential_RefreshToken{RefreshToken: s}}
}

func (a *Agent) sessionSignatures(t *testing.T, key secret.Bytes, sealed *tpmv1.SealedSessionKey) {
	check := func(token string, err error) *jose.Token {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		tok, err := jose.Parse(token)
		if err != nil {
			t.Fatal(err)
		}
		if err := entrawire.VerifySession(tok, key); err != nil || tok.Header.KDFVer != a.kdfVer() {
			t.Errorf("kdf_ver %d: %v", tok.Header.KDFVer, err)
		}
		return tok
	}
	r, err := a.PRT().SignPRTRenewal(t.Context(), &tpmv1.SignPRTRenewalRequest{
		Partition: Partition(UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce, UserPrincipalName: "alice@contoso.test", Credential: password("pw"),
	})
	var renewal entrawire.SessionRequest
	if err := check(r.GetRequest(), err).Claims(&renewal); err != nil || renewal.RefreshToken.Reveal() != prt || renewal.Password.Reveal() != "pw" || !renewal.WantsPRT() {
		t.Errorf("renewal %+v, %v", renewal, err)
	}
	q, err := a.PRT().SignTokenRequest(t.Context(), &tpmv1.SignTokenRequestRequest{
		Partition: Partition(UserA), SessionKey: sealed, ClientId: clientID, Resource: resource, RequestNonce: nonce,
		Grant: &tpmv1.SignTokenRequestRequest_Prt{Prt: prt},
	})
	var token entrawire.SessionRequest
	if err := check(q.GetRequest(), err).Claims(&token); err != nil || token.ClientID != clientID || token.Resource != resource || token.WantsPRT() {
		t.Errorf("token request %+v, %v", token, err)
	}
	c, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: Partition(UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce})
	var cookie entrawire.Cookie
	if err := check(c.GetCookie(), err).Claims(&cookie); err != nil || !cookie.IsPrimary || cookie.RequestNonce != nonce || cookie.RefreshToken.Reveal() != prt {
		t.Errorf("cookie %+v, %v", cookie, err)
	}
}

func (a *Agent) answers(t *testing.T, key secret.Bytes, sealed *tpmv1.SealedSessionKey) {
	plain := []byte(`{"token_type":"Bearer","scope":"user_impersonation","expires_in":"3600","ext_expires_in":"3600","expires_on":"1700000000","resource":"` + resource + `","access_token":"at.at.at","refresh_token":"1.app.canary-rt"}`)
	jwe, err := a.seal(key, plain)
	if err != nil {
		t.Fatal(err)
	}
	open := func(jwe string) (*tpmv1.OpenTokenAnswerResponse, error) {
		return a.PRT().OpenTokenAnswer(t.Context(), &tpmv1.OpenTokenAnswerRequest{Partition: Partition(UserA), SessionKey: sealed, ClientId: clientID, Answer: jwe})
	}
	resp, err := open(jwe)
	if err != nil || resp.GetAccessToken() != "at.at.at" || strings.Contains(resp.String(), "canary-rt") {
		t.Fatalf("%v, %v", resp, err)
	}
	use := func(user, client string) (string, error) {
		q, err := a.PRT().SignTokenRequest(t.Context(), &tpmv1.SignTokenRequestRequest{
			Partition: Partition(user), SessionKey: sealed, ClientId: client, Resource: resource, RequestNonce: nonce,
			Grant: &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: resp.GetRefreshToken()},
		})
		return q.GetRequest(), err
	}
	request, err := use(UserA, clientID)
	if err != nil {
		t.Fatal(err)
	}
	tok, _ := jose.Parse(request)
	var claims entrawire.SessionRequest
	if err := tok.Claims(&claims); err != nil || claims.RefreshToken.Reveal() != "1.app.canary-rt" {
		t.Errorf("the refresh token did not come back: %v", err)
	}
	if _, err := use(UserA, "04b07795-8ddb-461a-bbee-02f9e1bf7b46"); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("another client used the refresh token: %v", err)
	}
	var texts []string
	for _, bad := range []string{"", "x", jwe[:len(jwe)-9] + ".", jwe + "A", strings.Replace(jwe, ".", ".A", 1), jwe[:80] + flip(jwe[80:]), "e30.." + strings.SplitN(jwe, ".", 3)[2]} {
		_, err := open(bad)
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%.30q: %v", bad, err)
			continue
		}
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("two texts: %q and %q", text, texts[0])
		}
	}
}

// flip changes the first letter that is not a dot.
func flip(s string) string {
	for i, r := range s {
		if r != '.' {
			c := "A"
			if r == 'A' {
				c = "B"
			}
			return s[:i] + c + s[i+1:]
		}
	}
	return s
}

func (a *Agent) otherPartition(t *testing.T, sealed *tpmv1.SealedSessionKey) {
	for name, p := range map[string]*tpmv1.Partition{
		"another user": Partition(UserB),
		"another tenant": {
			TenantId: "22222222-2222-2222-2222-222222222222", UserId: UserA, CredentialKind: "password",
		},
		"another kind of credential": {TenantId: Partition(UserA).GetTenantId(), UserId: UserA, CredentialKind: "hello"},
	} {
		_, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: p, SessionKey: sealed, Prt: prt, RequestNonce: nonce})
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (a *Agent) flippedSeal(t *testing.T, sealed *tpmv1.SealedSessionKey) {
	for i := 0; i < len(sealed.GetSealed()); i += 7 {
		b := bytes.Clone(sealed.GetSealed())
		b[i] ^= 1
		_, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{
			Partition: Partition(UserA), SessionKey: &tpmv1.SealedSessionKey{Sealed: b}, Prt: prt, RequestNonce: nonce,
		})
		if k := prterr.KindOf(err); k != prterr.Denied && k != prterr.KeysLost {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	if _, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: Partition(UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce}); err != nil {
		t.Errorf("the good one stopped working: %v", err)
	}
}

func (a *Agent) reRegister(t *testing.T, sealed *tpmv1.SealedSessionKey, rests *tpmv1.SealedPRT) {
	before, err := a.Devices().ListKeys(t.Context(), &tpmv1.ListKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	a.Register()
	after, err := a.Devices().ListKeys(t.Context(), &tpmv1.ListKeysRequest{})
	if err != nil || len(after.GetKeys()) != 4 {
		t.Fatalf("%v, %v", after, err)
	}
	for i := range after.GetKeys() {
		if bytes.Equal(after.GetKeys()[i].GetPublicKey(), before.GetKeys()[i].GetPublicKey()) {
			t.Error("a key of the old registration is still there")
		}
	}
	_, err = a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: Partition(UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce})
	if prterr.KindOf(err) != prterr.KeysLost {
		t.Errorf("an old session key: %v", err)
	}
	_, err = a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: Partition(UserA), SessionKey: sealed, SealedPrt: rests, RequestNonce: nonce})
	if prterr.KindOf(err) != prterr.KeysLost {
		t.Errorf("an old sealed PRT: %v", err)
	}
	if _, err := a.Devices().DeleteDeviceKeys(t.Context(), &tpmv1.DeleteDeviceKeysRequest{}); err != nil {
		t.Error(err)
	}
	if _, err := a.Devices().DeleteDeviceKeys(t.Context(), &tpmv1.DeleteDeviceKeysRequest{}); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("a second delete: %v", err)
	}
}

// OtherPartitions asks with a session key of one user for another one, another tenant and
// another kind of credential: each is denied.
func OtherPartitions(t *testing.T, a *Agent) {
	t.Helper()
	_, sealed := a.Import(a.Register(), UserA)
	a.otherPartition(t, sealed)
}
