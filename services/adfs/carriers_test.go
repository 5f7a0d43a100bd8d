package adfs_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/adfscarrier"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

// client reaches a TLS server under every name.
func client(t testing.TB, srv *httptest.Server) *http.Client {
	t.Helper()
	tr := srv.Client().Transport.(*http.Transport).Clone()
	tr.TLSClientConfig.ServerName = "example.com" // what the server's certificate is for
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

const mexURL = "https://sts.adatum.test/adfs/services/trust/mex"

// carriers are the ways to one and the same contract.
func carriers(t *testing.T, cfg adfs.Config) map[string]grpc.ClientConnInterface {
	t.Helper()
	s, err := adfs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	direct, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "lsa-cloudap", Server: "adfs", Allow: adfs.Allow()}, s.Register)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	srv := httptest.NewTLSServer(s.Handler())
	t.Cleanup(srv.Close)
	wire, err := adfscarrier.Dial(adfscarrier.Config{MetadataURL: mexURL, Client: client(t, srv)})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]grpc.ClientConnInterface{"gRPC": direct, "HTTPS": wire}
}

// One contract, two carriers: the same questions get the same answers.
func TestWire_BothCarriersGiveTheSameAnswers(t *testing.T) {
	for name, conn := range carriers(t, adfs.Config{}) {
		t.Run(name, func(t *testing.T) { conforms(t, federationv1.NewFederationServiceClient(conn)) })
	}
}

func conforms(t *testing.T, c federationv1.FederationServiceClient) {
	const want = "https://sts.adatum.test/adfs/services/trust/13/usernamemixed https://sts.adatum.test/adfs/services/trust/2005/usernamemixed"
	var endpoints []string
	for _, url := range []string{"", mexURL} {
		m, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{MetadataUrl: url})
		if err != nil || strings.Join(m.GetUsernameMixedUrls(), " ") != want {
			t.Fatalf("FED01: metadata at %q: %v, %v", url, m, err)
		}
		endpoints = m.GetUsernameMixedUrls()
	}
	for _, url := range endpoints {
		req := carol()
		req.EndpointUrl = url
		resp, err := c.IssueToken(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		checkAssertion(t, resp.GetSamlAssertion())
	}
	_, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{MetadataUrl: "https://sts.adatum.test/other/mex"})
	if prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("metadata of another: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.IssueToken(gone, carol()); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("a call that was given up: %v", err)
	}
}

func TestFED04_RefusalsCarryAFaultWithCodeAndText(t *testing.T) {
	for name, conn := range carriers(t, adfs.Config{}) {
		t.Run(name, func(t *testing.T) { refuses(t, federationv1.NewFederationServiceClient(conn)) })
	}
}

func refuses(t *testing.T, c federationv1.FederationServiceClient) {
	const fault = "wsse:FailedAuthentication: ID3242: The security token could not be authenticated or authorized"
	for name, row := range map[string]struct {
		change func(*federationv1.IssueTokenRequest)
		kind   prterr.Kind
		text   string
	}{
		"wrong password":     {func(r *federationv1.IssueTokenRequest) { r.Password = "horse" }, prterr.Unauthenticated, fault},
		"no password":        {func(r *federationv1.IssueTokenRequest) { r.Password = "" }, prterr.Unauthenticated, fault},
		"a blank more":       {func(r *federationv1.IssueTokenRequest) { r.Password += " " }, prterr.Unauthenticated, fault},
		"a word of markup":   {func(r *federationv1.IssueTokenRequest) { r.Password = "</wsse:Password>]]>&<!--" }, prterr.Unauthenticated, fault},
		"an unknown user":    {func(r *federationv1.IssueTokenRequest) { r.UserPrincipalName = "dave@adatum.test" }, prterr.Unauthenticated, fault},
		"no user name":       {func(r *federationv1.IssueTokenRequest) { r.UserPrincipalName = "carol" }, prterr.Unauthenticated, fault},
		"an empty user name": {func(r *federationv1.IssueTokenRequest) { r.UserPrincipalName = "" }, prterr.Unauthenticated, ""},
		"a control code":     {func(r *federationv1.IssueTokenRequest) { r.Password = "a\x01" }, prterr.Unauthenticated, ""},
		"another audience":   {func(r *federationv1.IssueTokenRequest) { r.AppliesTo = "urn:other" }, prterr.Invalid, "applies_to is not a relying party"},
		"no audience":        {func(r *federationv1.IssueTokenRequest) { r.AppliesTo = "" }, prterr.Invalid, "applies_to"},
		"windowstransport":   {func(r *federationv1.IssueTokenRequest) { r.EndpointUrl = integrated }, prterr.Invalid, "endpoint_url is not a password endpoint: take one from the metadata"},
		"no endpoint":        {func(r *federationv1.IssueTokenRequest) { r.EndpointUrl = "" }, prterr.Invalid, "endpoint_url"},
		"another host": {func(r *federationv1.IssueTokenRequest) {
			r.EndpointUrl = strings.Replace(r.EndpointUrl, "sts", "evil", 1)
		}, prterr.Invalid, "endpoint_url is not a password endpoint: take one from the metadata"},
	} {
		req := carol()
		row.change(req)
		resp, err := c.IssueToken(t.Context(), req)
		var e *prterr.Error
		if !errors.As(err, &e) || e.Kind != row.kind || !strings.HasPrefix(e.Msg, row.text) || resp.GetSamlAssertion() != "" {
			t.Errorf("%s: %v", name, err)
		}
		if row.text == fault && e.Msg != fault {
			t.Errorf("%s: the fault tells more than the others: %q", name, e.Msg)
		}
	}
}

func checkAssertion(t *testing.T, xml string) {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xml); err != nil {
		t.Fatal(err)
	}
	if a := doc.FindElement("/Assertion/Conditions//Audience"); a == nil || a.Text() != "urn:federation:MicrosoftOnline" {
		t.Errorf("the assertion says %s", xml)
	}
	if !strings.HasPrefix(xml, "<saml:Assertion ") || !strings.HasSuffix(xml, "</saml:Assertion>") {
		t.Error("there is more than the assertion")
	}
}
