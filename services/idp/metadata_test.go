package idp_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// overFront is a connection as the HTTPS front has it.
func overFront(t testing.TB, w *world) *grpc.ClientConn {
	t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "idp", Server: "idp", Allow: idp.FrontAllow()}, w.svc.RegisterForFront)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return conn
}

func TestDEP09_TenantsByTheirNames(t *testing.T) {
	w := newWorld(t, idp.Config{})
	meta := idpv1.NewMetadataServiceClient(overFront(t, w))
	for name, want := range map[string]string{
		contoso: contoso, strings.ToUpper(contoso): contoso, "contoso.test": contoso, "CONTOSO.Test": contoso,
		"fabrikam.test": fabrikam, "adatum.test": fabrikam, "common": "", "Organizations": "", "consumers": "",
	} {
		a, err := meta.DescribeTenant(context.Background(), &idpv1.DescribeTenantRequest{Tenant: name})
		if err != nil || a.GetTenantId() != want || a.GetFederated() != (name == "adatum.test") || (want != "") != (a.GetDisplayName() != "" && len(a.GetDomains()) > 0) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	for _, name := range []string{"", "contoso", "contoso.test.", "6babcaad-604b-40ac-a9d7-9fd97c0b779e", "../common", strings.Repeat("x", 1000)} {
		_, err := meta.DescribeTenant(context.Background(), &idpv1.DescribeTenantRequest{Tenant: name})
		wantCode(t, err, aadsts.TenantNotFound)
	}
}

func TestRealmNamesTheFederationProvider(t *testing.T) {
	ask := func(w *world, upn string) *idpv1.DiscoverRealmResponse {
		t.Helper()
		a, err := w.realm.DiscoverRealm(context.Background(), &idpv1.DiscoverRealmRequest{UserPrincipalName: upn})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	w := newWorld(t, idp.Config{})
	if a := ask(w, alice); a.GetBrandName() != "Contoso" || a.GetTenantId() != contoso || a.GetFederationActiveAuthUrl() != "" {
		t.Errorf("%v", a)
	}
	if a := ask(w, carol); a.GetTenantId() != fabrikam || a.GetFederationActiveAuthUrl() != "https://sts.adatum.test/adfs/services/trust/2005/usernamemixed" ||
		a.GetFederationPassiveAuthUrl() != "https://sts.adatum.test/adfs/ls/" {
		t.Errorf("%v", a)
	}
	if a := ask(w, "x@nowhere.test"); a.GetTenantId() != "" || a.GetBrandName() != "" {
		t.Errorf("%v", a)
	}
	mex := "mex_url: https://sts.adatum.test/adfs/services/trust/mex\n"
	file := strings.Replace(string(idp.DefaultTenants()), mex, mex+"          active_url: https://a.adatum.test/in\n          passive_url: https://p.adatum.test/page\n", 1)
	w = newWorld(t, idp.Config{Tenants: []byte(file)})
	if a := ask(w, carol); a.GetFederationActiveAuthUrl() != "https://a.adatum.test/in" || a.GetFederationPassiveAuthUrl() != "https://p.adatum.test/page" {
		t.Errorf("%v", a)
	}
	if _, err := idp.New(idp.Config{Tenants: []byte(strings.Replace(file, "https://p.", "http://p.", 1))}); err == nil || !strings.Contains(err.Error(), "passive_url") {
		t.Errorf("%v", err)
	}
}

// signingKeys are the keys as a verifier reads them, by id, and the first one's.
func signingKeys(t testing.TB, meta idpv1.MetadataServiceClient) (keys map[string]*rsa.PublicKey, inUse string) {
	t.Helper()
	a, err := meta.ListSigningKeys(context.Background(), &idpv1.ListSigningKeysRequest{})
	if err != nil || len(a.GetKeys()) == 0 {
		t.Fatalf("%v, %v", a, err)
	}
	keys = map[string]*rsa.PublicKey{}
	for _, k := range a.GetKeys() {
		parsed, err := x509.ParsePKIXPublicKey(k.GetPublicKey())
		if err != nil {
			t.Fatal(err)
		}
		keys[k.GetKid()] = parsed.(*rsa.PublicKey)
	}
	return keys, a.GetKeys()[0].GetKid()
}

func TestSigningKeysCarryTheirCertificate(t *testing.T) {
	w := newWorld(t, idp.Config{})
	meta := idpv1.NewMetadataServiceClient(overFront(t, w))
	a, err := meta.ListSigningKeys(context.Background(), &idpv1.ListSigningKeysRequest{})
	if err != nil || len(a.GetKeys()) != 2 {
		t.Fatalf("want the key in use and the next one: %v, %v", a, err)
	}
	for _, k := range a.GetKeys() {
		cert, err := x509.ParseCertificate(k.GetCertificate())
		if err != nil || !bytes.Equal(cert.RawSubjectPublicKeyInfo, k.GetPublicKey()) || cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil {
			t.Errorf("%s: not a self-signed certificate of the key: %v", k.GetKid(), err)
		}
	}
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	token, err := jose.Parse(s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	thumb := sha1.Sum(a.GetKeys()[0].GetCertificate())
	if token.Header.Kid != a.GetKeys()[0].GetKid() || token.Header.X5T != jose.EncodeSegment(thumb[:]) {
		t.Errorf("%+v", token.Header)
	}
	again := newWorld(t, idp.Config{}) // the same key in another process
	b, err := idpv1.NewMetadataServiceClient(overFront(t, again)).ListSigningKeys(context.Background(), &idpv1.ListSigningKeysRequest{})
	if err != nil || !bytes.Equal(b.GetKeys()[0].GetCertificate(), a.GetKeys()[0].GetCertificate()) {
		t.Error("another process with the key has another certificate")
	}
}
