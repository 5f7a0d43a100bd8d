package flows

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// everyday carries out what people and operators of a joined device do all the time.
func (r *Runner) everyday(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "join": // join user=alice
		return r.join(ctx, arg), true
	case "hybrid-join": // hybrid-join [tenant=fabrikam]
		return r.hybridJoin(ctx, arg), true
	case "sync": // sync
		return outcome("the domain was synchronised with the tenant", r.device.Operator.Sync(ctx)), true
	case "recover": // recover user=alice
		return r.recoverDevice(ctx, arg), true
	case "device": // device
		return r.deviceState(ctx), true
	case "leave": // leave [untold]
		if arg["untold"] != "" {
			return outcome("the device left, and its tenant was not told", r.device.Operator.LeaveUntold(ctx)), true
		}
		return outcome("the device left its tenant", r.device.Operator.Leave(ctx)), true
	case "sign-in": // sign-in user=alice [password=wrong] [pin=135790] [page with=pass]
		return r.signIn(ctx, arg), true
	case "sign-out": // sign-out user=alice
		return r.signOut(ctx, arg), true
	case "token": // token user=alice [app=CLIENTID] [resource=URI] [fresh] [interactive with=code]
		return r.token(ctx, arg), true
	case "browse": // browse user=alice [private] [prompt=login] [cookie]
		return r.browse(ctx, arg), true
	case "advance": // advance by=4h1m
		return r.advance(ctx, arg), true
	case "clock": // clock freeze|resume|skew=-10m [component=lsa-cloudap]
		return r.clock(ctx, arg), true
	case "offline": // offline
		return outcome("the device has no network", r.device.SetOffline(true)), true
	case "online": // online
		return outcome("the device has its network back", r.device.SetOffline(false)), true
	case "restart": // restart component=lsa-cloudap
		return outcome(arg["component"]+" was restarted", r.device.Restart(ctx, arg["component"])), true
	case "admin", "sign-ins": // see admin.go
		return r.operate(ctx, command, arg), true
	case "state": // state
		return r.state(ctx), true
	default:
		return "", false
	}
}

func (r *Runner) join(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	if err == nil {
		_, err = r.device.Operator.Join(ctx, upn, password, r.seat.computer())
	}
	return outcome("the device joined the tenant of "+upn, err)
}

func (r *Runner) signIn(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	var desktop actor.Desktop
	var id trace.TraceID
	said := ""
	switch {
	case arg["pin"] != "":
		desktop, id, err = r.device.LogonUI.SignInPIN(ctx, upn, secret.NewText(arg["pin"]))
	case arg["page"] != "":
		var prompts []string
		desktop, prompts, id, err = r.atPage(ctx, arg, upn)
		said = asked(desktop.DisplayName, prompts)
	default:
		desktop, id, err = r.device.LogonUI.SignIn(ctx, upn, password)
	}
	if err != nil {
		return r.ladder(ctx, id) + failure(err)
	}
	r.desktops[arg["user"]] = desktop
	if desktop.RenewalStarted {
		if err := r.device.Operator.AwaitSSOState(step.Outside(ctx), nil); err != nil {
			return failure(err)
		}
	}
	from := "by the identity provider"
	switch {
	case desktop.FromCache:
		from = "from the cache"
	case desktop.ByDomain:
		from = "by the domain"
	}
	if desktop.PRTPending {
		return r.ladder(ctx, id) + fmt.Sprintf("%s is in, checked by the domain; the PRT is still to come\n", desktop.DisplayName)
	}
	out := r.ladder(ctx, id) + said + fmt.Sprintf("%s is in, checked %s\n", desktop.DisplayName, from)
	if desktop.Kind != "password" {
		out += fmt.Sprintf("the session is one of %s\n", desktop.Kind)
	}
	return out
}

func (r *Runner) signOut(ctx context.Context, arg map[string]string) string {
	desktop := r.desktops[arg["user"]]
	delete(r.desktops, arg["user"])
	return outcome("signed out", r.device.LogonUI.SignOut(ctx, desktop))
}

func (r *Runner) token(ctx context.Context, arg map[string]string) string {
	app, resource := r.tenant.App, r.tenant.Resource
	if arg["app"] != "" {
		app = arg["app"]
	}
	if arg["resource"] != "" {
		resource = arg["resource"]
	}
	wish := actor.Wish{Resource: resource, Fresh: arg["fresh"] != "", Interactive: arg["interactive"] != ""}
	resp, said, id, err := r.ask(ctx, arg, app, wish)
	if err != nil {
		return r.ladder(ctx, id) + said + failure(err)
	}
	return r.ladder(ctx, id) + said + fmt.Sprintf("access token of %s for %s, scope %s\n", resp.GetUserPrincipalName(), resource, resp.GetScope())
}

func (r *Runner) browse(ctx context.Context, arg map[string]string) string {
	b := r.device.Browser
	b.Private = arg["private"] != ""
	page := r.tenant.Page
	page.Prompt = arg["prompt"]
	var cookie secret.Text
	if arg["cookie"] != "" {
		cookie = r.seat.cookie
	}
	v, err := b.Open(ctx, r.desktops[arg["user"]], page, cookie)
	switch {
	case err != nil:
		return r.ladder(ctx, v.Trace) + failure(err)
	case v.SignInPage:
		return r.ladder(ctx, v.Trace) + "the sign-in page asks for a credential\n"
	}
	r.seat.cookie = v.Cookie
	return r.ladder(ctx, v.Trace) + "signed in to the page without a question\n"
}

// state lists the partitions, with a name for each PRT in place of its digest.
func (r *Runner) state(ctx context.Context) string {
	parts, err := r.device.Operator.SSOState(ctx)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%s %s: %s", p.GetUserPrincipalName(), p.GetCredentialKind(), r.prtName(p.GetPrtDigest()))
		if p.GetLastError() != "" {
			fmt.Fprintf(&b, ", last attempt failed: %s", p.GetLastError())
		}
		b.WriteByte('\n')
	}
	if len(parts) == 0 {
		return "no PRT on this device\n"
	}
	return b.String()
}
