package idp_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	firefoxLinux  = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
)

// pages is a world with the doors that the HTTPS front uses.
type pages struct {
	*world
	visits idpv1.SessionServiceClient
	forms  idpv1.SignInServiceClient
	grants idpv1.GrantServiceClient
	person directoryv1.PersonServiceClient
}

func newPages(t testing.TB, cfg idp.Config) *pages {
	t.Helper()
	cfg.Persons = true
	w := newWorld(t, cfg)
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "idp", Server: "idp", Allow: idp.FrontAllow()}, w.svc.RegisterFront)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &pages{
		world: w, visits: idpv1.NewSessionServiceClient(conn), forms: idpv1.NewSignInServiceClient(conn),
		grants: idpv1.NewGrantServiceClient(conn),
		person: directoryv1.NewPersonServiceClient(connect(t, w.svc, "operator")),
	}
}

// visit goes to the authorization endpoint as the front would; what r leaves out
// is an honest request for a code.
func (p *pages) visit(t testing.TB, r *idpv1.AuthorizeRequest) *idpv1.AuthorizeResponse {
	t.Helper()
	if r.Caller == nil {
		r.Caller = &idpv1.Caller{UserAgent: firefoxLinux, CorrelationId: "b0d5f3a4-1c1e-4f0f-9a3e-2f7d1a9c0b11"}
	}
	if r.ClientId == "" {
		r.ClientId, r.RedirectUri = office, redirectOf(office)
	}
	if r.ResponseType == "" {
		r.ResponseType = "code"
	}
	if r.State == "" {
		r.State = "s1"
	}
	a, err := p.visits.Authorize(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// page is the page that a visit must end on.
func (p *pages) page(t testing.TB, r *idpv1.AuthorizeRequest, kind idpv1.PageKind, code aadsts.Code) *idpv1.SignInPage {
	t.Helper()
	a := p.visit(t, r)
	return wantKindOfPage(t, a.GetSignInPage(), kind, code, a)
}

func wantKindOfPage(t testing.TB, page *idpv1.SignInPage, kind idpv1.PageKind, code aadsts.Code, got any) *idpv1.SignInPage {
	t.Helper()
	if page.GetKind() != kind || aadsts.Code(page.GetErrorCode()) != code {
		t.Fatalf("got %v, want page %v with %v", got, kind, code)
	}
	return page
}

// code is what the code of an answer holds.
func (p *pages) code(t testing.TB, s *idpv1.SignedIn, got any) sealed.Artefact {
	t.Helper()
	if s.GetCode() == "" {
		t.Fatalf("no code: %v; %+v", got, lastEvent(p.world))
	}
	if !entrawire.IsOpaque(s.GetCode()) {
		t.Errorf("clients do not escape codes: %s", s.GetCode())
	}
	a, err := p.svc.Authority().Open(sealed.Code, secret.NewText(s.GetCode()))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// silent is a visit that must be answered with a code at once.
func (p *pages) silent(t testing.TB, r *idpv1.AuthorizeRequest) (sealed.Artefact, *idpv1.SignedIn) {
	t.Helper()
	a := p.visit(t, r)
	return p.code(t, a.GetSignedIn(), a), a.GetSignedIn()
}

// password fills in the form of a sign-in page.
func (p *pages) password(t testing.TB, page *idpv1.SignInPage, upn, password string) *idpv1.NextAction {
	t.Helper()
	a, err := p.forms.SubmitPassword(context.Background(), &idpv1.SubmitPasswordRequest{
		FlowToken: page.GetFlowToken(), Canary: page.GetCanary(), UserPrincipalName: upn, Password: password,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNext()
}

// typed signs a user in by password, from visit to code.
func (p *pages) typed(t testing.TB, r *idpv1.AuthorizeRequest, upn, password string) (sealed.Artefact, *idpv1.SignedIn) {
	t.Helper()
	next := p.password(t, p.page(t, r, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0), upn, password)
	return p.code(t, next.GetSignedIn(), next), next.GetSignedIn()
}

// refused is the error that a visit must end with at the application.
func (p *pages) refused(t testing.TB, r *idpv1.AuthorizeRequest, code aadsts.Code) *idpv1.RedirectError {
	t.Helper()
	a := p.visit(t, r)
	e := a.GetRedirectError()
	if aadsts.Code(e.GetCode()) != code {
		t.Fatalf("got %v, want %v for the application", a, code)
	}
	return e
}

// withPolicy is the default tenant file with one policy more for Contoso.
func withPolicy(lines ...string) []byte {
	policy := "    policies:\n      - id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a99\n        name: For a test\n        state: enabled\n"
	for _, l := range lines {
		policy += "        " + l + "\n"
	}
	return []byte(strings.Replace(string(idp.DefaultTenants()), "    policies:\n", policy, 1))
}

// withLine is the default tenant file with one line more in each tenant.
func withLine(line string) []byte {
	return []byte(strings.ReplaceAll(string(idp.DefaultTenants()), "    profile: today\n", "    profile: today\n    "+line+"\n"))
}

// deviceType changes what a device says it is.
func (p *pages) deviceType(t testing.TB, id, kind string) {
	t.Helper()
	err := p.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(id), func(d *store.Device) error {
		d.Type = kind
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// withUser is the default tenant file with one user more for Contoso.
func withUser(lines ...string) []byte {
	user := "    users:\n      - id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a77\n        upn: eve@contoso.test\n        display_name: Eve Evans\n"
	for _, l := range lines {
		user += "        " + l + "\n"
	}
	return []byte(strings.Replace(string(idp.DefaultTenants()), "    users:\n", user, 1))
}

// passive checks an address of a federation provider and gives its wctx.
func passive(t testing.TB, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host != "sts.adatum.test" || u.Path != "/adfs/ls/" {
		t.Fatalf("%q, %v", address, err)
	}
	q := u.Query()
	if q.Get("wa") != "wsignin1.0" || q.Get("wtrealm") != "urn:federation:MicrosoftOnline" || q.Get("wctx") == "" {
		t.Errorf("%s", address)
	}
	return q.Get("wctx")
}
