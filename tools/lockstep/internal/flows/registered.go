package flows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// A public client of every tenant that knows of no broker, with its address.
const (
	plainClient   = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	plainRedirect = "http://localhost"
)

// atWork carries out the commands about work accounts on registered devices. In them
// "by" is the user of the device, who has an account of the device's own, and "account"
// the work account.
func (r *Runner) atWork(ctx context.Context, command string, arg map[string]string) (string, bool) {
	switch command {
	case "owner": // owner name=maria
		return r.owner(ctx, arg), true
	case "connect": // connect account=alice by=maria [password=wrong] [briefly], which is without its ladder
		out := r.connect(ctx, arg)
		if arg["briefly"] != "" {
			out = unladdered(out)
		}
		return out, true
	case "prompt": // prompt account=alice by=maria [no-consent]
		return r.prompt(ctx, arg), true
	case "disconnect": // disconnect account=alice by=maria
		return r.disconnect(ctx, arg), true
	case "prefer": // prefer account=bob by=maria
		upn, _, err := r.person(map[string]string{"user": arg["account"]})
		if err == nil {
			err = r.device.Settings.Prefer(ctx, r.desktops[arg["by"]], upn)
		}
		return outcome(upn+" is the default account of "+arg["by"], err), true
	case "accounts": // accounts by=maria
		return r.accounts(ctx, arg), true
	case "work-state": // work-state
		return r.workState(ctx), true
	case "work-token": // work-token by=maria [account=alice] [app=CLIENTID] [fresh] [interactive as=alice with=code] [claims]
		return r.workToken(ctx, arg), true
	case "office": // office by=maria for=24h [as=alice]
		return r.office(ctx, arg), true
	case "plain-app": // plain-app user=alice [rests=241h]
		return r.plainApp(ctx, arg), true
	case "await-renewal": // await-renewal
		return r.awaitRenewal(ctx), true
	case "idp-log": // idp-log
		return r.idpLog(ctx), true
	case "offer-forged": // offer-forged user=alice
		return r.offerForged(ctx, arg), true
	default:
		return "", false
	}
}

// owner makes an account of the device's own and signs in to it.
func (r *Runner) owner(ctx context.Context, arg map[string]string) string {
	password := secret.NewText("local " + arg["name"])
	sid, err := r.device.Operator.PutLocalAccount(ctx, arg["name"], password)
	if err != nil {
		return failure(err)
	}
	desktop, _, err := r.device.LogonUI.SignIn(ctx, arg["name"], password)
	r.desktops[arg["name"]] = desktop
	r.names[sid] = arg["name"]
	return outcome(arg["name"]+" is in, with an account of the device's own", err)
}

// traced runs something as the first span of a trace.
func (r *Runner) traced(ctx context.Context, what string, do func(context.Context) error) (trace.TraceID, error) {
	ctx, span := r.device.App("").Tracer.Start(ctx, what)
	defer span.End()
	return span.SpanContext().TraceID(), do(ctx)
}

func (r *Runner) connect(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(map[string]string{"user": arg["account"], "password": arg["password"]})
	if err != nil {
		return failure(err)
	}
	var resp *wamv1.ConnectAccountResponse
	id, err := r.traced(ctx, "connect account", func(ctx context.Context) (err error) {
		resp, err = r.device.Settings.Connect(ctx, r.desktops[arg["by"]], upn, password)
		return err
	})
	return r.ladder(ctx, id) + outcome(added(upn, resp.GetPrtObtained()), err)
}

func (r *Runner) prompt(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(map[string]string{"user": arg["account"]})
	if err != nil {
		return failure(err)
	}
	var resp *wamv1.AddWorkAccountResponse
	id, err := r.traced(ctx, "add work account", func(ctx context.Context) (err error) {
		resp, err = r.device.App(r.tenant.App).AddWorkAccount(ctx, r.desktops[arg["by"]], upn, password, arg["no-consent"] == "")
		return err
	})
	switch {
	case err != nil:
		return r.ladder(ctx, id) + failure(err)
	case !resp.GetRegistered():
		return r.ladder(ctx, id) + "nothing was registered: the app signs " + upn + " in by itself\n"
	}
	return r.ladder(ctx, id) + added(upn, resp.GetPrtObtained()) + "\n"
}

func added(upn string, prt bool) string {
	if prt {
		return upn + " is a work account of this device now, and its PRT is there"
	}
	return upn + " is a work account of this device now, and its PRT is not there yet"
}

func (r *Runner) disconnect(ctx context.Context, arg map[string]string) string {
	upn, _, err := r.person(map[string]string{"user": arg["account"]})
	if err != nil {
		return failure(err)
	}
	resp, err := r.device.Settings.Disconnect(ctx, r.desktops[arg["by"]], upn)
	if err == nil && resp.GetDeviceLeft() {
		return outcome(upn+" was disconnected, and the device left its tenant", nil)
	}
	return outcome(upn+" was disconnected", err)
}

func (r *Runner) accounts(ctx context.Context, arg map[string]string) string {
	all, err := r.device.App(r.tenant.App).Accounts(ctx, r.desktops[arg["by"]])
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%s, authority %s", a.GetUserPrincipalName(), strings.TrimPrefix(a.GetAuthority().String(), "AUTHORITY_"))
		if a.GetDefault() {
			b.WriteString(", the default one")
		}
		b.WriteByte('\n')
	}
	if len(all) == 0 {
		return arg["by"] + " has no account\n"
	}
	return b.String()
}

// workState is what an operator sees of all work accounts of the device.
func (r *Runner) workState(ctx context.Context) string {
	all, err := r.device.Operator.WorkAccounts(ctx)
	if err != nil {
		return failure(err)
	}
	var b strings.Builder
	for _, a := range all {
		fmt.Fprintf(&b, "%s of %s: %s", a.GetAccount().GetUserPrincipalName(), r.names[a.GetSid()], r.prtName(a.GetPrtDigest()))
		if a.GetPrtDigest() != "" {
			fmt.Fprintf(&b, ", %s", strings.ToLower(strings.TrimPrefix(a.GetValidity().String(), "PRT_VALIDITY_")))
		}
		if last := a.GetLastAttempt(); last != nil {
			fmt.Fprintf(&b, ", last attempt failed with 0x%08x: %s", last.GetStatus(), last.GetMessage())
		}
		b.WriteByte('\n')
	}
	if len(all) == 0 {
		return "no work account on this device\n"
	}
	return b.String()
}

// prtName is a stable name for a PRT in place of its digest.
func (r *Runner) prtName(digest string) string {
	return cmp.Or(r.named("PRT", digest), "no PRT")
}

// workToken has an app of a user of the device ask for a token of a work account. The
// renewal that may follow behind it is waited for.
func (r *Runner) workToken(ctx context.Context, arg map[string]string) string {
	w := actor.Wish{Resource: r.tenant.Resource, Fresh: arg["fresh"] != "", Interactive: arg["interactive"] != ""}
	if arg["account"] != "" {
		upn, _, err := r.person(map[string]string{"user": arg["account"]})
		if err != nil {
			return failure(err)
		}
		w.Account = upn
	}
	app := r.tenant.App
	if arg["app"] != "" {
		app = arg["app"]
	}
	resp, prompts, id, err := r.askFor(ctx, arg, app, w)
	said := ""
	if w.Interactive {
		said = asked(arg["by"], prompts)
	}
	if err != nil {
		return r.ladder(ctx, id) + said + failure(err)
	}
	out := r.ladder(ctx, id) + said + fmt.Sprintf("access token of %s for %s, scope %s\n", resp.GetUserPrincipalName(), w.Resource, resp.GetScope())
	if arg["claims"] != "" {
		out += r.claims(ctx, resp.GetAccessToken(), app)
	}
	return out
}

// askFor asks with the window of a session open, and with somebody before it where the
// app lets the broker ask.
func (r *Runner) askFor(ctx context.Context, arg map[string]string, app string, w actor.Wish) (*wamv1.RequestTokenResponse, []string, trace.TraceID, error) {
	desktop := r.desktops[arg["by"]]
	if !w.Interactive {
		resp, id, err := r.device.App(app).Ask(ctx, desktop, w)
		return resp, nil, id, err
	}
	pages, err := r.before(ctx, map[string]string{"user": arg["as"], "with": arg["with"]})
	if err != nil {
		return nil, nil, trace.TraceID{}, err
	}
	return r.askAtWindow(ctx, desktop, app, w, pages)
}

// office is an app like those of Office: it asks for a token every hour, in the
// background, and its window would show a page if the broker wanted one.
func (r *Runner) office(ctx context.Context, arg map[string]string) string {
	long, err := time.ParseDuration(arg["for"])
	if err != nil {
		return failure(err)
	}
	tokens, prts := 0, map[string]bool{}
	var prompts []string
	for range int(long / time.Hour) {
		if err := r.Advance(ctx, time.Hour); err != nil {
			return failure(err)
		}
		w := actor.Wish{Resource: r.tenant.Resource, Fresh: true, Interactive: true}
		_, asked, id, err := r.askFor(ctx, arg, r.tenant.App, w)
		if err = errors.Join(err, r.lab.Recorder().AwaitIdle(ctx, id)); err != nil {
			return failure(err)
		}
		if err := r.settled(ctx); err != nil {
			return failure(err)
		}
		tokens, prompts = tokens+1, append(prompts, asked...)
		digest, err := r.digest(ctx)
		if err != nil {
			return failure(err)
		}
		prts[digest] = true
	}
	return fmt.Sprintf("%d times a token, %d questions to %s, the PRT was renewed %d times\n", tokens, len(prompts), arg["by"], len(prts)-1)
}

// awaitRenewal waits until the renewal behind an app has ended, and says which PRT there
// is then.
func (r *Runner) awaitRenewal(ctx context.Context) string {
	if err := r.settled(ctx); err != nil {
		return failure(err)
	}
	digest, err := r.digest(ctx)
	return outcome("there is "+r.prtName(digest), err)
}

// settled waits until no renewal of a work account runs.
func (r *Runner) settled(ctx context.Context) error {
	for {
		all, err := r.device.Operator.WorkAccounts(ctx)
		if err != nil || !slices.ContainsFunc(all, func(a *wamv1.AccountState) bool { return a.GetRenewalRunning() }) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the renewal does not end: %w", ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// digest is the one of the one PRT on the device, whoever is its authority.
func (r *Runner) digest(ctx context.Context) (string, error) {
	parts, err := r.device.Operator.SSOState(ctx)
	switch {
	case err != nil:
		return "", err
	case len(parts) > 0:
		return parts[0].GetPrtDigest(), nil
	}
	all, err := r.device.Operator.WorkAccounts(ctx)
	if err != nil || len(all) == 0 {
		return "", errors.Join(err, errors.New("there is no PRT on the device"))
	}
	return all[0].GetPrtDigest(), nil
}

// idpLog counts what the identity provider has logged as successful, by kind.
func (r *Runner) idpLog(ctx context.Context) string {
	resp, err := directoryv1.NewReadServiceClient(r.device.Operator.Directory).ListSignIns(ctx, &directoryv1.ListSignInsRequest{Limit: 1000})
	if err != nil {
		return failure(err)
	}
	count := map[string]int{}
	for _, s := range resp.GetSignIns() {
		if s.GetOutcome() == "success" && slices.Contains([]string{"issue_prt", "renew_prt", "redeem_prt", "redeem_refresh_token"}, s.GetFlow()) {
			count[s.GetFlow()]++
		}
	}
	return fmt.Sprintf("PRTs issued: %d, renewed: %d; tokens for a PRT: %d, for an app's refresh token: %d\n",
		count["issue_prt"], count["renew_prt"], count["redeem_prt"], count["redeem_refresh_token"])
}
