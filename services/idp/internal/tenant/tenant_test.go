package tenant_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

func TestDefault(t *testing.T) {
	s, err := tenant.Parse(tenant.Default())
	if err != nil {
		t.Fatal(err)
	}
	home, ok := s.Home("contoso.test")
	if !ok || home.Tenant.DisplayName != "Contoso" || home.Tenant.Profile.Name != profile.Today || home.Domain.Federated != nil {
		t.Errorf("%+v", home)
	}
	if l := home.Tenant.Lifetimes; l.PRT != 14*24*time.Hour || l.AccessToken != time.Hour || l.RefreshToken != 90*24*time.Hour {
		t.Errorf("%+v", l)
	}
	fed, ok := s.Home("adatum.test")
	if !ok || fed.Domain.Federated == nil || fed.Tenant.DisplayName != "Fabrikam" {
		t.Errorf("%+v", fed)
	}
	app, ok := home.Tenant.Application("d3590ed6-52b3-4102-aeff-aad2292ab01c")
	if !ok || !app.Redirects("ms-appx-web://Microsoft.AAD.BrokerPlugin/d3590ed6-52b3-4102-aeff-aad2292ab01c") || app.Redirects("ms-appx-web://microsoft.aad.brokerplugin/d3590ed6-52b3-4102-aeff-aad2292ab01c") {
		t.Errorf("%+v", app)
	}
}

// small is a good file, to be spoiled.
const small = `tenants:
  - id: 6babcaad-604b-40ac-a9d7-9fd97c0b779f
    display_name: Contoso
    domains:
      - name: contoso.test
      - name: fed.test
        federated:
          issuer: http://sts.fed.test/
          mex_url: https://sts.fed.test/mex
    users:
      - id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01
        upn: alice@contoso.test
        display_name: Alice
        password: canary-password
      - id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a02
        upn: erin@fed.test
        display_name: Erin
        immutable_id: AQID
    resources:
      - https://graph.test
    applications:
      - client_id: d3590ed6-52b3-4102-aeff-aad2292ab01c
        name: App
        redirect_uris: ["https://app.test/"]
        resources: ["https://graph.test"]
`

func TestErrorsNameLineAndField(t *testing.T) {
	if _, err := tenant.Parse([]byte(small)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, line, field string }{
		"unknown field":        {"display_name: Alice", "displayname: Alice", "line 13", "displayname"},
		"twice the same field": {"display_name: Alice", "display_name: Alice\n        display_name: A", "line 14", "display_name"},
		"tenant id":            {"6babcaad-604b", "xbabcaad-604b", "line 2", "tenants[0].id"},
		"profile":              {"display_name: Contoso", "display_name: Contoso\n    profile: lax", "line 4", "tenants[0].profile"},
		"domain":               {"- name: contoso.test", "- name: con toso", "line 5", "domains[0].name"},
		"domain twice":         {"- name: fed.test", "- name: CONTOSO.test", "line 6", "domains[1].name"},
		"mex":                  {"https://sts.fed.test/mex", "http://sts.fed.test/mex", "line 9", "federated.mex_url"},
		"certificate":          {"mex_url: https://sts.fed.test/mex", "mex_url: https://sts.fed.test/mex\n          certificate: x", "line 10", "federated.certificate"},
		"user's id":            {"1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01", "1", "line 11", "users[0].id"},
		"user's domain":        {"alice@contoso.test", "alice@other.test", "line 12", "users[0].upn"},
		"no password":          {"        password: canary-password\n", "", "line 11", "users[0].password"},
		"both passwords":       {"password: canary-password", "password: canary-password\n        password_hash: x", "line 14", "users[0].password"},
		"weak hash":            {"password: canary-password", "password_hash: $argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "line 14", "users[0].password_hash"},
		"federated password":   {"immutable_id: AQID", "immutable_id: AQID\n        password: canary-password", "line 19", "users[1].password"},
		"no immutable id":      {"        immutable_id: AQID\n", "", "line 15", "users[1].immutable_id"},
		"user twice":           {"1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a02", "1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01", "line 16", "users[1].upn"},
		"resource":             {"- https://graph.test", "- graph", "line 20", "resources[0]"},
		"unknown resource":     {`resources: ["https://graph.test"]`, `resources: ["https://other.test"]`, "line 25", "applications[0].resources[0]"},
		"redirect":             {`"https://app.test/"`, `"/signin"`, "line 24", "redirect_uris[0]"},
		"lifetime":             {"display_name: Contoso", "display_name: Contoso\n    lifetimes: {prt: 1s}", "line 4", "lifetimes.prt"},
		"alias":                {"display_name: Contoso", "display_name: &n Contoso", "line 3", "anchors"},
		"wrong type":           {"display_name: Contoso", "display_name: [x]", "line 3", ""},
		"not YAML":             {"tenants:", "tenants: [", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tenant.Parse([]byte(strings.Replace(small, c.old, c.new, 1)))
			if err == nil {
				t.Fatal("taken")
			}
			if text := err.Error(); !strings.Contains(text, c.line) || !strings.Contains(text, c.field) || strings.Contains(text, "canary") {
				t.Errorf("%q: want %s and %s", text, c.line, c.field)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	for name, file := range map[string]string{
		"empty": "", "no tenants": "tenants: []", "two documents": small + "---\n" + small, "large": strings.Repeat("#\n", tenant.MaxFile),
		"deep flow": "tenants: " + strings.Repeat("[", 100_000), "deep block": strings.Repeat("- ", 8000), "long line": "x: " + strings.Repeat("y", 20_000),
		"scalar": "hello", "null": "~", "same tenant twice": small + strings.TrimPrefix(small, "tenants:\n"),
	} {
		if _, err := tenant.Parse([]byte(file)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzTenantYAML(f *testing.F) {
	f.Add([]byte(small))
	f.Add(tenant.Default())
	f.Add([]byte("tenants: [{id: &a x, users: *a}]"))
	f.Add([]byte("tenants:\n- <<: {id: 1}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := tenant.Parse(data)
		if err != nil {
			return
		}
		for _, home := range s.All() {
			if got, ok := s.Tenant(home.ID); !ok || got != home || len(home.Domains) == 0 {
				t.Errorf("a tenant cannot be found again: %+v", home)
			}
		}
	})
}

func TestTrustAddsACertificateOnce(t *testing.T) {
	der, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	good := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s, err := tenant.Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for domain, certificate := range map[string][]byte{"fed.test": []byte("x"), "contoso.test": good, "nowhere.test": good} {
		if s.Trust(domain, certificate) == nil {
			t.Errorf("%s took a certificate", domain)
		}
	}
	if err := s.Trust("fed.test", good); err != nil {
		t.Fatal(err)
	}
	if home, _ := s.Home("fed.test"); home.Domain.Federated.Certificate == nil || home.Tenant.Domains[1].Federated.Certificate == nil {
		t.Error("the certificate is not there")
	}
	if s.Trust("fed.test", good) == nil {
		t.Error("a certificate was replaced")
	}
}

func selfSigned() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	return x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
}
