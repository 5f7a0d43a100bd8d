package adfscarrier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/lockstep-sso/lockstep/pkg/adfscarrier"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
)

const (
	mex       = "https://sts.fabrikam.test/mex"
	url13     = "https://sts.fabrikam.test/any/address"
	url2005   = "https://STS.fabrikam.test:443/older"
	audience  = "urn:federation:MicrosoftOnline"
	assertion = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID='_1'> </saml:Assertion>`
	password  = "canary-Pa55word"
)

// provider is a federation provider that does as it is told.
type provider struct {
	mu        sync.Mutex
	endpoints []wstrust.Endpoint
	answer    func(wstrust.Request) (status int, body string)
	mex       func(w http.ResponseWriter)
	headers   []http.Header
	requests  []wstrust.Request
}

func newProvider() *provider {
	return &provider{
		endpoints: []wstrust.Endpoint{{Version: wstrust.Trust13, URL: url13}, {Version: wstrust.Trust2005, URL: url2005}},
		answer:    func(r wstrust.Request) (int, string) { return 200, token(r) },
	}
}

func token(r wstrust.Request, change ...func(*wstrust.Response)) string {
	a := wstrust.Response{
		Version: r.Version, RelatesTo: r.MessageID, Created: r.Created, Expires: r.Expires,
		AppliesTo: r.AppliesTo, TokenType: wstrust.TokenSAML11, Assertion: secret.NewText(assertion),
	}
	for _, c := range change {
		c(&a)
	}
	xml, err := a.Encode()
	if err != nil {
		return err.Error()
	}
	return xml.Reveal()
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.headers = append(p.headers, r.Header.Clone())
	if r.URL.Path == "/mex" {
		if p.mex != nil {
			p.mex(w)
			return
		}
		raw, err := wstrust.Metadata{Endpoints: p.endpoints}.Encode()
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		_, _ = w.Write(raw)
		return
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	req, err := wstrust.ReadRequest(raw)
	if err != nil || req.Version.Action() != r.Header.Get("SOAPAction") || r.Header.Get("Content-Type") != wstrust.ContentType {
		http.Error(w, fmt.Sprint(err), 400)
		return
	}
	p.requests = append(p.requests, req)
	status, body := p.answer(req)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// dial reaches the provider under every name.
func (p *provider) dial(t *testing.T, fallback string) federationv1.FederationServiceClient {
	t.Helper()
	srv := httptest.NewTLSServer(p)
	tr := srv.Client().Transport.(*http.Transport).Clone()
	tr.TLSClientConfig.ServerName = "example.com" // what the server's certificate is for
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}
	t.Cleanup(func() { tr.CloseIdleConnections(); srv.Close() })
	conn, err := adfscarrier.Dial(adfscarrier.Config{MetadataURL: fallback, Client: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatal(err)
	}
	return federationv1.NewFederationServiceClient(conn)
}

func issue(endpoint string) *federationv1.IssueTokenRequest {
	return &federationv1.IssueTokenRequest{EndpointUrl: endpoint, UserPrincipalName: "ada@fabrikam.test", Password: password, AppliesTo: audience}
}

func TestTheVersionOfAnEndpointIsWhatTheMetadataSays(t *testing.T) {
	p := newProvider()
	c := p.dial(t, "")
	if _, err := c.IssueToken(t.Context(), issue(url13)); prterr.KindOf(err) != prterr.Invalid || len(p.headers) != 0 {
		t.Errorf("a password went to an address that nobody named: %v", err)
	}
	m, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{MetadataUrl: mex})
	if err != nil || strings.Join(m.GetUsernameMixedUrls(), " ") != url13+" "+url2005 {
		t.Fatalf("%v, %v", m, err)
	}
	for i, v := range []wstrust.Version{wstrust.Trust13, wstrust.Trust2005} {
		got, err := c.IssueToken(t.Context(), issue(m.GetUsernameMixedUrls()[i]))
		if err != nil || got.GetSamlAssertion() != assertion {
			t.Fatalf("%s: %v, %v", v, got, err)
		}
		r := p.requests[i]
		if r.Version != v || r.Username != "ada@fabrikam.test" || r.Password.Reveal() != password || r.AppliesTo != audience || r.Expires.Sub(r.Created) != 10*time.Minute {
			t.Errorf("%s: sent %+v", v, r)
		}
	}
	if p.requests[0].MessageID == p.requests[1].MessageID {
		t.Error("two requests have one id")
	}
}

func TestThePasswordStaysOnTheHostThatRealmDiscoveryNamed(t *testing.T) {
	for name, url := range map[string]string{
		"plain http":       "http://sts.fabrikam.test/x",
		"another host":     "https://evil.test/x",
		"a host below":     "https://x.sts.fabrikam.test/x",
		"the domain above": "https://fabrikam.test/x",
		"another port":     "https://sts.fabrikam.test:8443/x",
		"a user name":      "https://sts.fabrikam.test@evil.test/x",
		"a user":           "https://u@sts.fabrikam.test/x",
		"a fragment":       "https://sts.fabrikam.test/x#y",
		"a blank":          "https://sts.fabrikam.test/x y",
		"no host":          "https:///x",
		"relative":         "/x",
	} {
		p := newProvider()
		p.endpoints = []wstrust.Endpoint{{Version: wstrust.Trust13, URL: url}}
		c := p.dial(t, mex)
		_, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{})
		var e *prterr.Error
		if !errors.As(err, &e) || e.Kind != prterr.Unavailable || e.HRESULT != 0xC004848B {
			t.Errorf("FED01: %s: %v", name, err)
		}
		if _, err := c.IssueToken(t.Context(), issue(url)); err == nil || len(p.requests) != 0 {
			t.Errorf("%s: the password went there: %v", name, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	p := newProvider()
	c := p.dial(t, mex)
	p.mex = func(w http.ResponseWriter) { w.Header().Set("Location", mex+"2"); w.WriteHeader(302) }
	if _, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{}); prterr.KindOf(err) != prterr.Unavailable || len(p.headers) != 1 {
		t.Errorf("metadata: %v after %d requests", err, len(p.headers))
	}
	p.mex = nil
	p.answer = func(wstrust.Request) (int, string) { return 307, "" }
	if _, err := c.IssueToken(t.Context(), issue(url13)); prterr.KindOf(err) != prterr.Unavailable || len(p.requests) != 1 {
		t.Errorf("token: %v after %d requests", err, len(p.requests))
	}
}

// FED05, FED10: what is not metadata, and what Windows calls it.
func TestFED05_BadMetadataHasAName(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		body    string
		kind    prterr.Kind
		hresult uint32
	}{
		"FED10: HTML of a proxy": {200, "<html><br></body>", prterr.Unavailable, 0xCAA9002C},
		"a DTD":                  {200, `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`, prterr.Unavailable, 0xC00CEE4F},
		"nothing":                {200, "", prterr.Unavailable, 0xCAA9002C},
		"another document":       {200, "<x/>", prterr.Unavailable, 0},
		"no endpoints":           {200, `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"/>`, prterr.Unavailable, 0xC004848B},
		"too long":               {200, strings.Repeat(" ", wstrust.MaxMetadata+1), prterr.Unavailable, 0},
		"not there":              {404, "", prterr.NotFound, 0},
		"not for us":             {403, "", prterr.Denied, 0},
		"busy":                   {429, "", prterr.Exhausted, 0},
		"broken":                 {500, "", prterr.Unavailable, 0},
	} {
		p := newProvider()
		p.mex = func(w http.ResponseWriter) { w.WriteHeader(c.status); _, _ = io.WriteString(w, c.body) }
		_, err := p.dial(t, mex).GetMetadata(t.Context(), &federationv1.GetMetadataRequest{})
		var e *prterr.Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.HRESULT != c.hresult {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := newProvider().dial(t, "")
	for _, url := range []string{"", "http://sts.fabrikam.test/mex", "https://u@sts.fabrikam.test/mex", "x"} {
		if _, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{MetadataUrl: url}); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func fault(code wstrust.Code, sub wstrust.Subcode) func(wstrust.Request) (int, string) {
	return func(wstrust.Request) (int, string) {
		xml, err := wstrust.Fault{Code: code, Subcode: sub, Reason: "no"}.Encode()
		if err != nil {
			return 599, err.Error()
		}
		return 500, string(xml)
	}
}

func TestFED04_AnswersAreReadAsFromAStranger(t *testing.T) {
	with := func(change func(*wstrust.Response)) func(wstrust.Request) (int, string) {
		return func(r wstrust.Request) (int, string) { return 200, token(r, change) }
	}
	for name, c := range map[string]struct {
		answer func(wstrust.Request) (int, string)
		kind   prterr.Kind
		text   string
	}{
		"wrong password":     {fault(wstrust.Sender, wstrust.FailedAuthentication), prterr.Unauthenticated, "wsse:FailedAuthentication: no"},
		"wrong, WS-Trust":    {fault(wstrust.Sender, "wst:FailedAuthentication"), prterr.Unauthenticated, "wst:FailedAuthentication: no"},
		"wrong audience":     {fault(wstrust.Sender, wstrust.InvalidScope), prterr.Invalid, "applies_to"},
		"could not":          {fault(wstrust.Receiver, wstrust.RequestFailed), prterr.Unavailable, "wst:RequestFailed: no"},
		"would not":          {fault(wstrust.Sender, wstrust.RequestFailed), prterr.Denied, "wst:RequestFailed: no"},
		"something else":     {fault(wstrust.Sender, ""), prterr.Denied, "Sender: no"},
		"no fault":           {func(wstrust.Request) (int, string) { return 500, "<html/>" }, prterr.Unavailable, "HTTP 500"},
		"a token with 500":   {func(r wstrust.Request) (int, string) { return 500, token(r) }, prterr.Unavailable, "HTTP 500"},
		"asks for Kerberos":  {func(wstrust.Request) (int, string) { return 401, "" }, prterr.Denied, "HTTP 401"},
		"HTML":               {func(wstrust.Request) (int, string) { return 200, "<html><br></html>" }, prterr.Unavailable, "well-formed"},
		"too long":           {func(wstrust.Request) (int, string) { return 200, strings.Repeat(" ", 1<<20) }, prterr.Unavailable, "longer than"},
		"SAML 2":             {with(func(r *wstrust.Response) { r.TokenType = wstrust.TokenSAML20 }), prterr.Unavailable, "SAML 1.1"},
		"another's answer":   {with(func(r *wstrust.Response) { r.RelatesTo = "urn:uuid:1" }), prterr.Unavailable, "another request"},
		"another's token":    {with(func(r *wstrust.Response) { r.AppliesTo = "urn:other" }), prterr.Unavailable, "another audience"},
		"the other WS-Trust": {with(func(r *wstrust.Response) { r.Version = wstrust.Trust2005 }), prterr.Unavailable, "another version"},
		"A28: two assertions": {func(r wstrust.Request) (int, string) {
			return 200, strings.Replace(token(r), assertion, assertion+assertion, 1)
		}, prterr.Unavailable, "exactly one"},
	} {
		p := newProvider()
		p.answer = c.answer
		got, err := p.dial(t, mex).IssueToken(t.Context(), issue(url13))
		var e *prterr.Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(e.Msg, c.text) || got.GetSamlAssertion() != "" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error has the password: %v", name, err)
		}
	}
}

func TestNothingElseIsCarried(t *testing.T) {
	conn, err := adfscarrier.Dial(adfscarrier.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"", "/prt.federation.v1.FederationService/Other", "/grpc.health.v1.Health/Check", federationv1.FederationService_GetMetadata_FullMethodName} {
		if err := conn.Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%q: %v", method, err)
		}
	}
	if _, err := conn.NewStream(t.Context(), &grpc.StreamDesc{}, federationv1.FederationService_IssueToken_FullMethodName); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("a stream: %v", err)
	}
	for _, url := range []string{"http://x.test/", "x", "https://u:p@x.test/"} {
		if _, err := adfscarrier.Dial(adfscarrier.Config{MetadataURL: url}); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
}

func TestAProviderThatIsNotThere(t *testing.T) {
	down := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}}
	conn, err := adfscarrier.Dial(adfscarrier.Config{MetadataURL: mex, Client: down})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := federationv1.NewFederationServiceClient(conn).GetMetadata(ctx, &federationv1.GetMetadataRequest{}); prterr.KindOf(err) != prterr.Deadline {
		t.Errorf("no answer: %v", err)
	}
	down.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }}
	conn, err = adfscarrier.Dial(adfscarrier.Config{MetadataURL: mex, Client: down})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := federationv1.NewFederationServiceClient(conn).GetMetadata(t.Context(), &federationv1.GetMetadataRequest{}); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("refused: %v", err)
	}
}

func TestTraceAndFlowTravelWithTheCall(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tp := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	p := newProvider()
	c := p.dial(t, mex)
	ctx, root := tp.Tracer("test").Start(step.In(t.Context(), step.FirstSignIn), "root")
	if _, err := c.IssueToken(ctx, issue(url13)); err != nil {
		t.Fatal(err)
	}
	root.End()
	for i, h := range p.headers {
		if !strings.Contains(h.Get("traceparent"), root.SpanContext().TraceID().String()) || !strings.Contains(h.Get("baggage"), string(step.FirstSignIn)) {
			t.Errorf("request %d: %v", i, h)
		}
	}
	ended := spans.Ended()
	if len(ended) != 2 || ended[0].Name() != "prt.federation.v1.FederationService/IssueToken" || ended[0].Parent().SpanID() != root.SpanContext().SpanID() {
		t.Errorf("spans %v", ended)
	}
}
