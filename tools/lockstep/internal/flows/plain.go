package flows

import (
	"context"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// tokenClaims say for whom an access token is and where it came from.
type tokenClaims struct {
	Audience string `json:"aud"`
	App      string `json:"appid"`
	Scope    string `json:"scp"`
	Device   string `json:"deviceid"`
}

// claims reads an access token as its resource would, and says how it fits the request.
func (r *Runner) claims(ctx context.Context, token, app string) string {
	parsed, err := jose.Parse(token)
	if err != nil {
		return failure(err)
	}
	var c tokenClaims
	if err := parsed.Claims(&c); err != nil {
		return failure(err)
	}
	id, err := r.device.ID(ctx)
	if err != nil {
		return failure(err)
	}
	device := "none"
	switch {
	case c.Device != "" && c.Device == id:
		device = "this device"
	case c.Device != "":
		device = "another device"
	}
	return fmt.Sprintf("its claims: aud %s, the app that asked: %v, deviceid: %s\n", c.Audience, c.App == app, device)
}

// plainApp is an app that knows of no broker: it signs its user in at a page of its own,
// gets a token and renews it, at once or after a rest.
func (r *Runner) plainApp(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	if err != nil {
		return failure(err)
	}
	app, err := r.lab.PlainApp(plainClient, plainRedirect)
	if err != nil {
		return failure(err)
	}
	scope := r.tenant.Resource + "/.default offline_access"
	tokens, err := app.SignIn(ctx, upn, password, scope)
	if err != nil {
		return failure(err)
	}
	if arg["rests"] != "" {
		if by, err := lab.ParseDuration(arg["rests"]); err != nil {
			return failure(err)
		} else if err := r.Advance(ctx, by); err != nil {
			return failure(err)
		}
	}
	if tokens, err = app.Renew(ctx, tokens, scope); err != nil {
		first, _, _ := strings.Cut(failure(err), "\n") // below it are ids and times
		return strings.TrimSpace(first) + "\n"
	}
	return "tokens by code flow, renewed by the app itself\n" + r.claims(ctx, tokens.Access.Reveal(), plainClient)
}

// offerForged hands CloudAP a PRT that nobody issued, as a broker that was taken over
// might.
func (r *Runner) offerForged(ctx context.Context, arg map[string]string) string {
	conn, err := r.lab.Dial(ctx, "wam-broker", r.device.Key("lsa-cloudap"))
	if err != nil {
		return failure(err)
	}
	_, err = authorityv1.NewTokenAuthorityServiceClient(conn).OfferPRT(ctx, &authorityv1.OfferPRTRequest{
		LogonSession: r.desktops[arg["user"]].Session.Reveal(), Prt: "1.AAA.forged-by-a-broker", ExpiresIn: 1209600,
	})
	return outcome("CloudAP adopted it", err)
}
