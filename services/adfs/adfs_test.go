package adfs_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

func start(t *testing.T, caller string, cfg adfs.Config) (federationv1.FederationServiceClient, *adfs.Service) {
	t.Helper()
	s, err := adfs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "adfs", Allow: adfs.Allow()}, func(r grpc.ServiceRegistrar) { s.Register(r) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return federationv1.NewFederationServiceClient(conn), s
}

func carol() *federationv1.IssueTokenRequest {
	return &federationv1.IssueTokenRequest{
		EndpointUrl:       "https://sts.adatum.test/adfs/services/trust/13/usernamemixed",
		UserPrincipalName: "carol@adatum.test",
		Password:          "federated horse",
		AppliesTo:         "urn:federation:MicrosoftOnline",
	}
}

func TestFED01_MetadataListsBothPasswordEndpointsAndNoOther(t *testing.T) {
	c, _ := start(t, "lsa-cloudap", adfs.Config{})
	m, err := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "https://sts.adatum.test/adfs/services/trust/13/usernamemixed https://sts.adatum.test/adfs/services/trust/2005/usernamemixed"
	if got := strings.Join(m.GetUsernameMixedUrls(), " "); got != want {
		t.Errorf("got %s", got)
	}
	for _, url := range m.GetUsernameMixedUrls() {
		req := carol()
		req.EndpointUrl = url
		if _, err := c.IssueToken(t.Context(), req); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestIssueToken(t *testing.T) {
	lab := clock.NewLab()
	var log bytes.Buffer
	c, s := start(t, "lsa-cloudap", adfs.Config{Clock: lab, Log: slog.New(slog.NewTextHandler(&log, nil))})
	now := lab.Advance(100 * 24 * time.Hour)
	first, second := issue(t, c), issue(t, c)
	root := first.Root()
	if id := root.SelectAttrValue("AssertionID", ""); !strings.HasPrefix(id, "_") || id == second.Root().SelectAttrValue("AssertionID", "") {
		t.Errorf("assertion id %q is used twice or begins with a digit", id)
	}
	conditions := root.FindElement("./Conditions")
	from, err1 := time.Parse(time.RFC3339, conditions.SelectAttrValue("NotBefore", ""))
	until, err2 := time.Parse(time.RFC3339, conditions.SelectAttrValue("NotOnOrAfter", ""))
	if err1 != nil || err2 != nil || until.Sub(from) != time.Hour || from.Before(now.Add(-time.Millisecond)) {
		t.Errorf("valid %v to %v, the lab's clock is %v", from, until, now)
	}
	block, rest := pem.Decode(s.SigningCertificate())
	if block == nil || len(rest) != 0 {
		t.Fatal("SigningCertificate is not one PEM block")
	}
	if cert, err := x509.ParseCertificate(block.Bytes); err != nil || now.After(cert.NotAfter) {
		t.Errorf("the certificate: %v", err)
	}
	for _, canary := range []string{"federated horse", "carol", "AttributeValue"} {
		if strings.Contains(log.String(), canary) {
			t.Errorf("the log has %q", canary)
		}
	}
	if !strings.Contains(log.String(), "assertion issued") {
		t.Error("the log does not say that an assertion was issued")
	}
}

func issue(t *testing.T, c federationv1.FederationServiceClient) *etree.Document {
	t.Helper()
	resp, err := c.IssueToken(t.Context(), carol())
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromString(resp.GetSamlAssertion()); err != nil {
		t.Fatal(err)
	}
	return doc
}

const integrated = "https://sts.adatum.test/adfs/services/trust/13/windowstransport"

func TestOnlyCloudAPMayAsk(t *testing.T) {
	for _, caller := range []string{"app", "browser", "idp", "wam-broker", "dsreg", "logonui", "operator", "tpm-agent"} {
		c, _ := start(t, caller, adfs.Config{Signer: sharedSigner(t)})
		_, err1 := c.GetMetadata(t.Context(), &federationv1.GetMetadataRequest{})
		_, err2 := c.IssueToken(t.Context(), carol())
		if prterr.KindOf(err1) != prterr.Denied || prterr.KindOf(err2) != prterr.Denied {
			t.Errorf("%s: %v, %v", caller, err1, err2)
		}
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	signer := sharedSigner(t)
	for field, cfg := range map[string]adfs.Config{
		"organisation": {Organisation: []byte("issuer: 1\n")},
		"Signer":       {Signer: &adfs.Signer{Key: signer.Key}},
		"Key":          {Signer: &adfs.Signer{Certificate: signer.Certificate}},
	} {
		if s, err := adfs.New(cfg); err == nil || s != nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestACallThatIsGivenUpEnds(t *testing.T) {
	c, _ := start(t, "lsa-cloudap", adfs.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.IssueToken(ctx, carol()); err == nil {
		t.Error("a token was issued to nobody")
	}
}
