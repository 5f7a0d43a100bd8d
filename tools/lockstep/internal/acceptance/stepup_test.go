package acceptance_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

const management = "https://management.core.windows.net/"

// at puts a person of the embedded tenants before the pages, who takes these methods.
func (w *world) at(who string, takes ...string) pageagent.Config {
	w.t.Helper()
	p := demo.People()[who]
	pages, err := w.lab.Person(w.t.Context(), p.UPN, p.Password)
	if err != nil {
		w.t.Fatal(err)
	}
	pages.Person.Prefer = takes
	return pages
}

// in signs a person in to the device with the password.
func (w *world) in(who string) actor.Desktop {
	w.t.Helper()
	p := demo.People()[who]
	d, _, err := w.device.LogonUI.SignIn(w.t.Context(), p.UPN, p.Password)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// ask has an app ask interactively, with the window of the session open.
func (w *world) ask(d actor.Desktop, app, resource string, pages pageagent.Config) (string, []string, error) {
	w.t.Helper()
	window := w.device.Window
	window.Pages = pages
	ctx, closeIt := context.WithCancel(w.t.Context())
	defer closeIt()
	ledger := make(chan []string, 1)
	go func() {
		prompts, _ := window.Serve(ctx, d) // what went wrong there reaches the app
		ledger <- prompts
	}()
	resp, _, err := w.device.App(app).Ask(w.t.Context(), d, actor.Wish{Resource: resource, Fresh: true, Interactive: true})
	closeIt()
	return resp.GetAccessToken(), <-ledger, err
}

func (w *world) admin() directoryv1.AdminServiceClient {
	w.t.Helper()
	conn, err := w.lab.Dial(w.t.Context(), "operator", "idp")
	if err != nil {
		w.t.Fatal(err)
	}
	return directoryv1.NewAdminServiceClient(conn)
}

// policies puts these in the place of all of the tenant.
func (w *world) policies(document string) {
	w.t.Helper()
	if _, err := w.admin().ReplacePolicies(w.t.Context(), &directoryv1.ReplacePoliciesRequest{TenantId: contoso, Document: []byte(document)}); err != nil {
		w.t.Fatal(err)
	}
}

// setUpHello gives a person a key and a session with it.
func (w *world) setUpHello(who string, pages pageagent.Config) actor.Desktop {
	w.t.Helper()
	if prompts, err := w.device.LogonUI.SetUpHello(w.t.Context(), w.in(who), pages, secret.NewText(helloPIN)); err != nil {
		w.t.Fatalf("%q, %v", prompts, err)
	}
	d, _, err := w.device.LogonUI.SignInPIN(w.t.Context(), demo.People()[who].UPN, secret.NewText(helloPIN))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// TestAPP11_MFA04_ASecondFactorAtTheWindow: a silent request says what is missing; an
// interactive one asks for it once, and the next app is not asked.
func TestAPP11_MFA04_ASecondFactorAtTheWindow(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: true})
	w.join(w.device)
	d := w.in("mia")
	before, _ := w.prt(w.device)
	_, err := w.token(w.device, d)
	var e *prterr.Error
	if !errors.As(err, &e) || e.Code != aadsts.MFARequired || e.Kind != prterr.Interaction || e.Claims == "" || e.HRESULT != 0xCAA2000C {
		t.Fatalf("silently: %#v", e)
	}
	token, prompts, err := w.ask(d, w.tenant.App, w.tenant.Resource, w.at("mia", pageagent.SoftwareOATH))
	if err != nil || !slices.Equal(prompts, []string{pageagent.SoftwareOATH}) {
		t.Fatalf("%q, %v", prompts, err)
	}
	amr := claims[struct{ AMR []string }](t, token).AMR
	if after, _ := w.prt(w.device); !slices.Contains(amr, "mfa") || after == before {
		t.Errorf("amr %v, PRT replaced: %v", amr, after != before)
	}
	if resp, _, err := w.device.App(teams).Token(t.Context(), d, w.tenant.Resource, false); err != nil || resp.GetAccessToken() == "" {
		t.Errorf("the next app: %v", err)
	}
}

// TestAPP10_ARevokedPRTIsReplacedAtTheWindow: silently the app hears that the user is
// needed; after the sign-in there is a new PRT, and the silent way is open again.
func TestAPP10_ARevokedPRTIsReplacedAtTheWindow(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	d := w.in("alice")
	if _, err := w.token(w.device, d); err != nil {
		t.Fatal(err)
	}
	before, _ := w.prt(w.device)
	if _, err := w.admin().RevokeSessions(t.Context(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: demo.People()["alice"].UPN}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.token(w.device, d); prterr.KindOf(err) != prterr.Interaction || prterr.CodeOf(err) != aadsts.FreshTokenNeeded {
		t.Fatalf("silently: %v", err)
	}
	if _, prompts, err := w.ask(d, w.tenant.App, w.tenant.Resource, w.at("bob", pageagent.Password)); err == nil {
		t.Fatalf("another user at the page: %q", prompts)
	}
	if _, prompts, err := w.ask(d, w.tenant.App, w.tenant.Resource, w.at("alice", pageagent.Password)); err != nil || !slices.Equal(prompts, []string{pageagent.Password}) {
		t.Fatalf("%q, %v", prompts, err)
	}
	if after, _ := w.prt(w.device); after == before {
		t.Error("the PRT is the old one")
	}
	if _, err := w.token(w.device, d); err != nil {
		t.Errorf("silently, afterwards: %v", err)
	}
}

const policyA = `policies:
  - {id: a1f0c3d2-7b64-4e59-8d21-5c9e3f7b6a01, name: Policy A, state: enabled, include_users: [All], include_resources: [All],
     exclude_resources: [https://management.core.windows.net/], platforms: [windows], grants: {strength: Passwordless MFA}}
`

const anyFactor = `  - {id: a1f0c3d2-7b64-4e59-8d21-5c9e3f7b6a02, name: A second factor, state: enabled, include_users: [All], include_resources: [All], grant: mfa}
`

// TestCA09_CA10_PasswordAndHelloUnderThePasswordlessPolicy: with the password the
// desktop opens and every app fails; with Windows Hello nothing is asked anywhere.
func TestCA09_CA10_PasswordAndHelloUnderThePasswordlessPolicy(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	hello := w.setUpHello("mia", w.at("mia", pageagent.SoftwareOATH))
	w.policies(strings.Replace(policyA, "exclude_resources: ["+management+"]", "exclude_resources: []", 1))
	password := w.in("mia")
	for _, app := range []string{w.tenant.App, azureCLI, teams} {
		if _, _, err := w.device.App(app).Token(t.Context(), password, w.tenant.Resource, true); prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("CA09, %s with the password: %v", app, err)
		}
		if resp, _, err := w.device.App(app).Token(t.Context(), hello, w.tenant.Resource, true); err != nil || resp.GetAccessToken() == "" {
			t.Errorf("CA10, %s with Windows Hello: %v", app, err)
		}
	}
	for _, resource := range []string{w.tenant.Resource, management} {
		if prompts, err := w.visit(hello, resource, false, w.at("mia")); err != nil || len(prompts) != 0 {
			t.Errorf("CA10, %s in the browser: %q, %v", resource, prompts, err)
		}
	}
}

// visit opens an application in the browser.
func (w *world) visit(d actor.Desktop, resource string, private bool, pages pageagent.Config) ([]string, error) {
	w.t.Helper()
	b := w.device.Browser
	b.Private = private
	address := authorizeURL(url.Values{"resource": {resource}, "scope": nil})
	final, prompts, err := b.Walk(w.t.Context(), d, strings.Replace(address, "/oauth2/v2.0/", "/oauth2/", 1), pages)
	if err == nil {
		_, err = pageagent.Answer(final)
	}
	return prompts, err
}

// TestA36_Attack37_ACopiedCookieJarIsRefusedAtTheNextNavigation: the session cookie of a PRT is
// bound to its session key. The browser that can have the key prove itself goes on
// without a question; who took its cookies, all of them, is asked to sign in.
func TestA36_Attack37_ACopiedCookieJarIsRefusedAtTheNextNavigation(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	d := w.in("alice")
	pages := w.at("alice", "nothing")
	for range 2 { // the second visit has the cookie of the first
		if prompts, err := w.visit(d, w.tenant.Resource, false, pages); err != nil || len(prompts) != 0 {
			t.Fatalf("the owner: %q, %v", prompts, err)
		}
	}
	origin, err := url.Parse(lab.SignInOrigin)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(pages.HTTP.Jar.Cookies(origin), func(c *http.Cookie) bool { return c.Name == "ESTSAUTH" }) {
		t.Fatal("the browser has no session cookie to steal")
	}
	thief := w.at("alice", "nothing")
	thief.HTTP.Jar.SetCookies(origin, pages.HTTP.Jar.Cookies(origin))
	if prompts, err := w.visit(d, w.tenant.Resource, true, thief); prterr.KindOf(err) != prterr.Interaction {
		t.Errorf("the thief: %q, %v", prompts, err)
	}
	agent, err := pageagent.New(thief)
	if err != nil {
		t.Fatal(err)
	}
	final, _, err := agent.Run(t.Context(), authorizeURL(url.Values{"prompt": {"none"}}), nil)
	if _, said := pageagent.Answer(final); err != nil || prterr.CodeOf(said) != aadsts.UserInformationMissing {
		t.Errorf("the thief, silently: %v, %v", err, said)
	}
}
