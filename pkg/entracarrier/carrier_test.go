package entracarrier_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// sent is what the server saw of one request.
type sent struct {
	method, path, query, body string
	header                    http.Header
}

// server answers every request with the same bytes and remembers the last one.
type server struct {
	status int
	header http.Header
	body   string
	last   sent
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	s.last = sent{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(b), r.Header}
	for k, v := range s.header {
		w.Header()[k] = v
	}
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

// carrier is a carrier to a server that answers so.
func carrier(t testing.TB, s *server) *entracarrier.Carrier {
	t.Helper()
	if s.status == 0 {
		s.status = http.StatusOK
	}
	front := httptest.NewTLSServer(s)
	t.Cleanup(front.Close)
	roots := x509.NewCertPool()
	roots.AddCert(front.Certificate())
	peer := run.HTTPSPeer{Roots: roots, Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", front.Listener.Addr().String())
	}}
	c, err := entracarrier.New(entracarrier.Config{Login: "https://example.com", Client: peer.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRealm(t *testing.T) {
	s := &server{body: `{"ver":"1.0","account_type":"Federated","domain_name":"adatum.test","federation_protocol":"WSTrust",` +
		`"federation_metadata_url":"https://sts.adatum.test/adfs/services/trust/mex","cloud_instance_name":"microsoftonline.com","cloud_audience_urn":"urn:federation:MicrosoftOnline","unheard":{"of":1}}`}
	realms := idpv1.NewRealmServiceClient(carrier(t, s))
	got, err := realms.DiscoverRealm(t.Context(), &idpv1.DiscoverRealmRequest{UserPrincipalName: "a/b@adatum.test"})
	if err != nil {
		t.Fatal(err)
	}
	if s.last.method != "GET" || s.last.path != "/common/userrealm/a%2Fb@adatum.test" || s.last.query != "api-version=1.0" {
		t.Errorf("asked %s %s?%s", s.last.method, s.last.path, s.last.query)
	}
	if got.GetAccountType() != idpv1.AccountType_ACCOUNT_TYPE_FEDERATED || got.GetDomainName() != "adatum.test" ||
		got.GetFederationMetadataUrl() != "https://sts.adatum.test/adfs/services/trust/mex" || got.GetCloudAudienceUrn() != "urn:federation:MicrosoftOnline" {
		t.Errorf("got %v", got)
	}
	for _, body := range []string{`{}`, `[]`, ``, `{"account_type":"Other"}`, `{"account_type":7}`, `{"account_type":"Managed","account_type":"Federated"}`} {
		s.body = body
		if _, err := realms.DiscoverRealm(t.Context(), &idpv1.DiscoverRealmRequest{}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestNonceAndSignedRequests(t *testing.T) {
	s := &server{body: `{"Nonce":"AQAB.x-y_z"}`}
	c := carrier(t, s)
	n, err := idpv1.NewNonceServiceClient(c).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
	if err != nil || n.GetNonce() != "AQAB.x-y_z" || s.last.body != "grant_type=srv_challenge" || s.last.path != "/common/oauth2/token" {
		t.Errorf("%v, %v, %+v", n, err, s.last)
	}
	s.body = `{"token_type":"Bearer","expires_in":"1209599","ext_expires_in":"0","expires_on":"1708017084","refresh_token":"1.A.b","refresh_token_expires_in":1209599,` +
		`"session_key_jwe":"a.b.c.d.e","id_token":"x.y.","client_info":"e30"}`
	prt, err := idpv1.NewIssuanceServiceClient(c).RequestPRT(t.Context(), &idpv1.RequestPRTRequest{Request: "h.p+/=.s"})
	if err != nil || prt.GetRefreshToken() != "1.A.b" || prt.GetRefreshTokenExpiresIn() != 1209599 || prt.GetSessionKeyJwe() != "a.b.c.d.e" {
		t.Errorf("%v, %v", prt, err)
	}
	form, _ := url.ParseQuery(s.last.body)
	if form.Get("request") != "h.p+/=.s" || form.Get("windows_api_version") != "2.2" || form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		t.Errorf("sent %v", form)
	}
}

// TestAttack31_PlainAnswerToASessionRequest: whoever is on the way and has no
// session key can only answer in the clear.
func TestAttack31_PlainAnswerToASessionRequest(t *testing.T) {
	s := &server{}
	c := carrier(t, s)
	sealed, err := entrawire.SealAnswer(secret.NewBytes(make([]byte, 32)), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	native, err := entrawire.SealNativeAnswer(secret.NewBytes(make([]byte, 32)), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for body, good := range map[string]bool{
		sealed:                          true,
		native:                          true,
		native + ".":                    false,
		sealed + "\n":                   false,
		strings.TrimSuffix(sealed, "."): false,
		`{"token_type":"Bearer","access_token":"x","expires_in":"1"}`: false,
		"":      false,
		"a.b.c": false,
	} {
		s.body = body
		_, renew := idpv1.NewIssuanceServiceClient(c).RenewPRT(t.Context(), &idpv1.RenewPRTRequest{Request: "r"})
		_, prt := idpv1.NewTokenServiceClient(c).RedeemPRT(t.Context(), &idpv1.RedeemPRTRequest{Request: "r"})
		_, rt := idpv1.NewTokenServiceClient(c).RedeemRefreshToken(t.Context(), &idpv1.RedeemRefreshTokenRequest{Request: "r"})
		_, key := idpv1.NewDataKeyServiceClient(c).RequestDataKey(t.Context(), &idpv1.RequestDataKeyRequest{Request: "r"})
		for _, err := range []error{renew, prt, rt, key} {
			if (err == nil) != good {
				t.Errorf("%q: %v", body, err)
			}
		}
	}
}

func TestRefusalsKeepTheirCode(t *testing.T) {
	s := &server{status: http.StatusBadRequest, body: `{"error":"invalid_grant","error_description":"AADSTS50126: Wrong.\r\nTrace ID: 1","error_codes":[50126]}`}
	nonces := idpv1.NewNonceServiceClient(carrier(t, s))
	ask := func() error {
		_, err := nonces.IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
		return err
	}
	err := ask()
	var e *prterr.Error
	if !errors.As(err, &e) || e.Code != aadsts.InvalidCredentials || e.Kind != prterr.Unauthenticated || e.Msg != "Wrong." {
		t.Errorf("%#v", err)
	}
	// The claims challenge goes with the code, when it is one.
	for claims, want := range map[string]string{`{"access_token":{"capolids":{"essential":true}}}`: `{"access_token":{"capolids":{"essential":true}}}`, "not JSON": ""} {
		s.body = fmt.Sprintf(`{"error":"invalid_grant","error_codes":[50076],"error_description":"AADSTS50076: More.","claims":%q}`, claims)
		if err = ask(); !errors.As(err, &e) || e.Code != aadsts.MFARequired || e.Claims != want {
			t.Errorf("%#v", err)
		}
	}
	// Device registration has its code in the text, and error is an object there.
	s.status, s.body = http.StatusForbidden, `{"code":"authorization_error","error":{"code":"authorization_error","message":"x"},"message":"AADSTS240001: Ask an administrator."}`
	if err = ask(); !errors.As(err, &e) || e.Code != aadsts.RegistrationNotAllowed || e.Kind != prterr.Denied || e.Msg != "Ask an administrator." {
		t.Errorf("%#v", err)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		kind   prterr.Kind
	}{
		"a code nobody knows": {400, `{"error_codes":[1]}`, prterr.Invalid},
		"registration":        {400, `{"code":"invalid_request","message":"no\u0007pe"}`, prterr.Invalid},
		"not allowed":         {403, `{"code":"x","error":{"code":"x","message":"no"},"message":"no"}`, prterr.Denied},
		"no JSON":             {502, `<html>`, prterr.Unavailable},
		"not authenticated":   {401, ``, prterr.Unauthenticated},
		"too many":            {429, `{}`, prterr.Exhausted},
		"a redirect":          {302, ``, prterr.Denied},
	} {
		s.status, s.body = c.status, c.body
		s.header = http.Header{"Location": {"https://example.com/elsewhere"}}
		err := ask()
		if prterr.KindOf(err) != c.kind || prterr.CodeOf(err) != 0 || strings.ContainsRune(err.Error(), '\a') {
			t.Errorf("%s: %v (%s)", name, err, prterr.KindOf(err))
		}
		if s.last.path == "/elsewhere" {
			t.Errorf("%s: the redirect was followed", name)
		}
	}
}

func TestBounds(t *testing.T) {
	s := &server{body: `{"Nonce":"` + strings.Repeat("x", 300<<10) + `"}`}
	c := carrier(t, s)
	if _, err := idpv1.NewNonceServiceClient(c).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("an answer of 300 KiB: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := idpv1.NewNonceServiceClient(c).IssueNonce(ctx, &idpv1.IssueNonceRequest{}); prterr.KindOf(err) != prterr.Deadline {
		t.Errorf("no time: %v", err)
	}
	gone, err := entracarrier.New(entracarrier.Config{Login: "https://example.com", Client: run.HTTPSPeer{Dial: func(context.Context, string) (net.Conn, error) {
		return nil, errors.New("the address https://example.com/alice@contoso.test is gone")
	}}.Client()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idpv1.NewNonceServiceClient(gone).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{}); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("no network: %v", err)
	}
	if err := c.Invoke(t.Context(), idpv1.MetadataService_DescribeTenant_FullMethodName, &idpv1.DescribeTenantRequest{}, &idpv1.DescribeTenantResponse{}); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("a method without a form: %v", err)
	}
	for _, login := range []string{"http://example.com", "example.com", "https://a@example.com", "https://example.com/x", "https://example.com/?x"} {
		if _, err := entracarrier.New(entracarrier.Config{Login: login}); err == nil {
			t.Errorf("%s was taken", login)
		}
	}
}

func TestBrowser(t *testing.T) {
	s := &server{status: http.StatusFound}
	c := carrier(t, s)
	visit := func(location string) (*idpv1.AuthorizeResponse, error) {
		s.header = http.Header{"Location": {location}, "Set-Cookie": {"ESTSAUTH=1.c.c; Path=/; Secure; HttpOnly"}}
		return idpv1.NewSessionServiceClient(c).Authorize(t.Context(), &idpv1.AuthorizeRequest{
			ClientId: "c44b4083-3bb0-49c1-b47d-974e53cbdf3c", RedirectUri: "https://portal.test/signin", Nonce: "n", SessionCookie: "1.a.b", RefreshTokenCredential: "h.p.s",
		})
	}
	got, err := visit("https://portal.test/signin#id_token=a.b.c&state=&session_state=s")
	if err != nil || got.GetSignedIn().GetIdToken() != "a.b.c" || got.GetSignedIn().GetSessionCookie() != "1.c.c" {
		t.Errorf("%v, %v", got, err)
	}
	if h := s.last.header; h.Get("x-ms-RefreshTokenCredential") != "h.p.s" || h.Get("Cookie") != "ESTSAUTH=1.a.b" {
		t.Errorf("sent %v", h)
	}
	if got, err = visit("/common/oauth2/v2.0/authorize?client_id=x&sso_nonce=fresh"); err != nil || got.GetNonceChallenge().GetSsoNonce() != "fresh" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err = visit("https://portal.test/signin#error=login_required&error_description=AADSTS50058%3A+Sign+in."); prterr.CodeOf(err) != aadsts.UserInformationMissing {
		t.Errorf("%v", err)
	}
	for _, location := range []string{"https://evil.test/signin#id_token=a.b.c", "https://portal.test/signin", ":", "https://portal.test/signin#%zz"} {
		if got, err = visit(location); err == nil {
			t.Errorf("%s: %v, %v", location, got, err)
		}
	}
	s.status, s.body = http.StatusOK, "<script>//<![CDATA[\n$Config={\"pgid\":\"ConvergedSignIn\"};\n//]]></script>"
	if got, err = visit(""); err != nil || got.GetSignInPage() == nil {
		t.Errorf("%v, %v", got, err)
	}
	s.body = "<script>//<![CDATA[\n$Config={\"sErrorCode\":\"700016\",\"pgid\":\"ConvergedError\"};\n//]]></script>"
	if _, err = visit(""); prterr.CodeOf(err) != aadsts.ApplicationNotFound {
		t.Errorf("%v", err)
	}
}

func TestHybridJoin(t *testing.T) {
	s := &server{body: `{"Certificate":{"Thumbprint":"X","RawBody":"MAA="}}`}
	c := carrier(t, s)
	devices := idpv1.NewDeviceRegistrationServiceClient(c)
	req := &idpv1.JoinHybridDeviceRequest{
		DeviceId: "0f3b2c1d-5e4f-4a6b-8c7d-9e0f1a2b3c4d", TargetTenantId: "t", CertificateRequest: []byte("csr"), TransportKey: []byte("tk"),
		DisplayName: "PC-7", DeviceType: "Windows", OsVersion: "10", TargetDomain: "contoso.test", ClientIdentity: "S-1-5.now", Signature: []byte("sig"),
	}
	for _, body := range []string{s.body, `{}`, `[]`, `{"Certificate":{"RawBody":"%"}}`} {
		s.body = body
		if _, err := devices.JoinHybridDevice(t.Context(), req); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", body, err)
		}
	}
	const want = `{"CertificateRequest":{"Type":"pkcs10","Data":"Y3Ny"},"JoinType":6,"Attributes":{"ReturnClientSid":"true","ReuseDevice":"true"},` +
		`"ServerAdJoinData":{"TransportKey":"dGs=","TargetDomain":"contoso.test","DeviceType":"Windows","OSVersion":"10","DeviceDisplayName":"PC-7",` +
		`"TargetDomainId":"t","ClientIdentity":{"Type":"sha256signed","Sid":"S-1-5.now","SignedBlob":"c2ln"}}}`
	if s.last.method != "PUT" || s.last.path != "/EnrollmentServer/device/0f3b2c1d-5e4f-4a6b-8c7d-9e0f1a2b3c4d" || s.last.query != "api-version=2.0" || s.last.body != want {
		t.Errorf("asked %+v", s.last)
	}
	s.status, s.body = 404, `{"code":"invalid_request","subcode":"error_missing_device","message":"DirectoryError: no device of that device_id waits to join"}`
	if _, err := devices.JoinHybridDevice(t.Context(), req); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("before the sync: %v", err)
	}
}

// TestREG26_AServerWithoutAttestation is any other than ours: the device is told so
// and goes on without, and registers as it always did.
func TestREG26_AServerWithoutAttestation(t *testing.T) {
	s := &server{}
	devices := idpv1.NewDeviceRegistrationServiceClient(carrier(t, s))
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		s.status, s.body = status, "<html>"
		_, err := devices.RequestAttestationChallenge(t.Context(), &idpv1.RequestAttestationChallengeRequest{EndorsementKey: []byte{1}, AttestationKey: []byte{2}, Tenant: "contoso.test"})
		if prterr.KindOf(err) != prterr.NotFound || prterr.CodeOf(err) != 0 {
			t.Errorf("%d: %v", status, err)
		}
	}
	if s.last.method != "POST" || s.last.path != "/EnrollmentServer/lockstep/attestation" || s.last.body != `{"EndorsementKey":"AQ==","AttestationKey":"Ag==","Tenant":"contoso.test"}` {
		t.Errorf("asked %+v", s.last)
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusBadRequest, http.StatusBadGateway} {
		s.status = status
		if _, err := devices.RequestAttestationChallenge(t.Context(), &idpv1.RequestAttestationChallengeRequest{}); err == nil || prterr.KindOf(err) == prterr.NotFound {
			t.Errorf("%d: %v", status, err)
		}
	}
	s.status, s.body = http.StatusOK, `{"Challenge":7}`
	if _, err := devices.RequestAttestationChallenge(t.Context(), &idpv1.RequestAttestationChallengeRequest{}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("a bad answer: %v", err)
	}
	register := func(a *idpv1.Attestation) string {
		_, _ = devices.RegisterDevice(t.Context(), &idpv1.RegisterDeviceRequest{
			AccessToken: "x", JoinType: idpv1.JoinType_JOIN_TYPE_JOIN, CertificateRequest: []byte{1}, TransportKey: []byte{2}, DisplayName: "D",
			DeviceType: "Linux", OsVersion: "1", TargetDomain: "contoso.test", Attestation: a,
		})
		return s.last.body
	}
	const joined = `{"CertificateRequest":{"Type":"pkcs10","Data":"AQ=="},"TransportKey":"Ag==","TargetDomain":"contoso.test","DeviceType":"Linux","OSVersion":"1",` +
		`"DeviceDisplayName":"D","JoinType":0,"Attributes":{"ReturnClientSid":"true","ReuseDevice":"true"}`
	if got := register(nil); got != joined+"}" {
		t.Errorf("sent %s", got)
	}
	statement := &idpv1.KeyStatement{PublicArea: []byte{1}, Attestation: []byte{2}, Signature: []byte{3}}
	const said = `{"PublicArea":"AQ==","Attestation":"Ag==","Signature":"Aw=="}`
	if got := register(&idpv1.Attestation{Challenge: "c", DeviceKey: statement, TransportKey: statement, StorageKey: statement}); got != joined+
		`,"LockstepAttestation":{"Challenge":"c","DeviceKey":`+said+`,"TransportKey":`+said+`,"StorageKey":`+said+`}}` {
		t.Errorf("sent %s", got)
	}
}
