package flows

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/whatif"
)

// atPages carries out the commands that bring somebody before a sign-in page.
func (r *Runner) atPages(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "hello": // hello user=mia pin=135790 with=code
		return r.hello(ctx, arg), true
	case "pass": // pass user=nora
		return r.pass(ctx, arg), true
	case "policy": // policy file=passwordless-windows
		return r.policy(ctx, arg), true
	case "visit": // visit user=nora [private] [resource=URI] [with=sms]
		return r.visit(ctx, arg), true
	default:
		return "", false
	}
}

// A script says what a person takes in short; a page offers it under its whole name.
func methods() map[string]string {
	return map[string]string{
		"password": pageagent.Password, "code": pageagent.SoftwareOATH, "sms": pageagent.SMS, "push": pageagent.Push,
		"phone": pageagent.PhoneSignIn, "pass": pageagent.AccessPass,
	}
}

// before puts the person of a command before the sign-in pages. Without "with" the
// person has only a password to offer.
func (r *Runner) before(ctx context.Context, arg map[string]string) (pageagent.Config, error) {
	upn, password, err := r.person(arg)
	if err != nil {
		return pageagent.Config{}, err
	}
	pages, err := r.lab.Person(ctx, upn, password)
	if err != nil {
		return pages, err
	}
	pages.Person.Prefer = []string{pageagent.Password}
	if arg["with"] != "" {
		pages.Person.Prefer = nil
		for short := range strings.SplitSeq(arg["with"], ",") {
			m, ok := methods()[short]
			if !ok {
				return pages, fmt.Errorf("there is no method %q", short)
			}
			pages.Person.Prefer = append(pages.Person.Prefer, m)
		}
	}
	pages.Person.AccessPass = r.passes[arg["user"]]
	return pages, nil
}

// asked is a line about what a person had to do.
func asked(who string, prompts []string) string {
	if len(prompts) == 0 {
		return who + " was asked for nothing\n"
	}
	return fmt.Sprintf("%s was asked for: %s\n", who, strings.Join(prompts, ", "))
}

// ask has an app ask for a token; an interactive one with the sign-in window of the
// session open, and the person before it.
func (r *Runner) ask(ctx context.Context, arg map[string]string, app string, w actor.Wish) (*wamv1.RequestTokenResponse, string, trace.TraceID, error) {
	desktop := r.desktops[arg["user"]]
	if !w.Interactive {
		resp, id, err := r.device.App(app).Ask(ctx, desktop, w)
		return resp, "", id, err
	}
	pages, err := r.before(ctx, arg)
	if err != nil {
		return nil, "", trace.TraceID{}, err
	}
	resp, prompts, id, err := r.askAtWindow(ctx, desktop, app, w, pages)
	return resp, asked(desktop.DisplayName, prompts), id, err
}

// askAtWindow has an app ask interactively, with the broker's window open before who is
// at the pages, and answers what they were asked for.
func (r *Runner) askAtWindow(ctx context.Context, d actor.Desktop, app string, w actor.Wish, pages pageagent.Config) (*wamv1.RequestTokenResponse, []string, trace.TraceID, error) {
	window := r.device.Window
	window.Pages = pages
	open, closeIt := context.WithCancel(ctx)
	defer closeIt()
	ledger := make(chan []string, 1)
	go func() {
		prompts, _ := window.Serve(open, d) // what went wrong there reaches the app
		ledger <- prompts
	}()
	resp, id, err := r.device.App(app).Ask(ctx, d, w)
	closeIt()
	return resp, <-ledger, id, err
}

// hello sets up Windows Hello for who is signed in.
func (r *Runner) hello(ctx context.Context, arg map[string]string) string {
	pages, err := r.before(ctx, arg)
	if err != nil {
		return failure(err)
	}
	desktop := r.desktops[arg["user"]]
	prompts, err := r.device.LogonUI.SetUpHello(ctx, desktop, pages, secret.NewText(arg["pin"]))
	return asked(desktop.DisplayName, prompts) + outcome("a Windows Hello key is in the TPM, opened by the PIN, and registered", err)
}

func (r *Runner) atPage(ctx context.Context, arg map[string]string, upn string) (actor.Desktop, []string, trace.TraceID, error) {
	pages, err := r.before(ctx, arg)
	if err != nil {
		return actor.Desktop{}, nil, trace.TraceID{}, err
	}
	return r.device.LogonUI.SignInAtPage(ctx, upn, pages)
}

// pass gives a user a Temporary Access Pass for an hour.
func (r *Runner) pass(ctx context.Context, arg map[string]string) string {
	upn, _, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	conn, err := r.lab.Dial(ctx, "operator", "idp")
	if err != nil {
		return failure(err)
	}
	a, err := directoryv1.NewAdminServiceClient(conn).IssueAccessPass(ctx, &directoryv1.IssueAccessPassRequest{UserPrincipalName: upn})
	r.passes[arg["user"]] = secret.NewText(a.GetAccessPass())
	return outcome(upn+" has a Temporary Access Pass for an hour", err)
}

// policy puts a policy file in the place of all policies of the tenant: one of those
// that are embedded for what-if, or none.
func (r *Runner) policy(ctx context.Context, arg map[string]string) string {
	file, err := whatif.PolicyFile(arg["file"])
	if err != nil {
		return failure(err)
	}
	conn, err := r.lab.Dial(ctx, "operator", "idp")
	if err != nil {
		return failure(err)
	}
	_, err = directoryv1.NewAdminServiceClient(conn).ReplacePolicies(ctx, &directoryv1.ReplacePoliciesRequest{TenantId: computer().TenantID, Document: file})
	return outcome("the policies of the tenant are those of "+arg["file"], err)
}

// commandLine is a client of every tenant. It signs its users in by a browser.
const (
	commandLine    = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	commandLineURI = "http://localhost"
)

// visit has a person open an application in the browser.
func (r *Runner) visit(ctx context.Context, arg map[string]string) string {
	pages, err := r.before(ctx, arg)
	if err != nil {
		return failure(err)
	}
	resource := r.tenant.Resource
	if arg["resource"] != "" {
		resource = arg["resource"]
	}
	challenge := sha256.Sum256([]byte(rand.Text()))
	q := url.Values{
		"client_id": {commandLine}, "redirect_uri": {commandLineURI}, "response_type": {"code"}, "resource": {resource}, "state": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	b, desktop := r.device.Browser, r.desktops[arg["user"]]
	b.Private = arg["private"] != ""
	final, prompts, err := b.Walk(ctx, desktop, lab.SignInOrigin+"/organizations/oauth2/authorize?"+q.Encode(), pages)
	if err == nil {
		_, err = pageagent.Answer(final)
	}
	return asked(desktop.DisplayName, prompts) + outcome("signed in to "+resource, err)
}
