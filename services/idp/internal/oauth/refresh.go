package oauth

import (
	"context"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// RefreshToken redeems a refresh token.
type RefreshToken struct {
	Token secret.Text
	// Broker is the application that holds the token for a nested one, and
	// RedirectURI the nested one's; both or neither.
	Broker, RedirectURI string
}

func (RefreshToken) flow() signinlog.Flow { return signinlog.RefreshToken }

func (r RefreshToken) redeem(ctx context.Context, x *exchange) (Answer, error) {
	rt, err := x.open(sealed.RefreshToken, r.Token)
	if err != nil {
		return Answer{}, err
	}
	defer rt.SessionKey.Wipe()
	if err := x.enter(rt.Tenant); err != nil {
		return Answer{}, err
	}
	if err := x.find(); err != nil {
		return Answer{}, err
	}
	if !rt.SPA {
		if err := x.prove(ctx); err != nil {
			return Answer{}, err
		}
	}
	holder, err := r.holder(x, rt)
	if err != nil {
		return Answer{}, err
	}
	if err := x.usable(rt); err != nil {
		return Answer{}, err
	}
	a, err := x.audience(rt.Scope, rt.Resource)
	if err != nil {
		return Answer{}, err
	}
	if rt.Credential == sealed.Bulk && (a.resource == nil || !a.resource.Is(entrawire.RegistrationResource)) {
		return Answer{}, prterr.AADSTS(aadsts.InvalidGrant, "a bulk enrolment token registers devices and does nothing else")
	}
	return x.tokens(ctx, rt, a, func(g *issuance.Grant) {
		// A refresh token is followed by a refresh token, whatever scope says: the
		// user allowed it once.
		g.Refresh, g.RefreshClient = true, holder
	})
}

// holder finds who may redeem the token, and who will hold the next one: the
// application it was issued to; another one of the family, where the profile
// takes that; or a broker that asks in the name of a nested application.
func (r RefreshToken) holder(x *exchange, rt sealed.Artefact) (ids.ClientID, error) {
	refused := prterr.AADSTS(aadsts.InvalidGrant, "the refresh token was issued to another application")
	if r.Broker != "" {
		broker, err := ids.ParseClient(r.Broker)
		switch {
		case err != nil:
			return "", prterr.AADSTS(aadsts.InvalidRequest, "brk_client_id is not right: %v", err)
		case rt.Client != broker:
			return "", refused
		case !strings.HasPrefix(r.RedirectURI, "brk-"+string(broker)+"://") || !x.app.Redirects(r.RedirectURI):
			return "", prterr.AADSTS(aadsts.InvalidReplyTo, "")
		}
		return broker, nil
	}
	switch {
	case rt.Client == x.client:
		return "", nil
	case rt.Family && x.app.Family && !x.app.Confidential() && x.tenant.Profile.FamilyTokens:
		return "", nil
	}
	return "", refused
}

// usable checks that the token may come without a signature, to this page, and
// that its time is not over: AADSTS700084 for one of code in a browser, 700082
// for all else, idle or old.
func (x *exchange) usable(rt sealed.Artefact) error {
	if rt.SessionKey.Len() > 0 && (!rt.Plain || !x.tenant.Profile.PlainTokens) {
		return prterr.AADSTS(aadsts.InvalidGrant, "the refresh token is bound to a session key: sign the request with it")
	}
	if err := fromBrowser(x.Caller.Origin, rt); err != nil {
		return err
	}
	switch now := x.gate.Clock.Now(); {
	case now.After(rt.Expires) && rt.SPA:
		return prterr.AADSTS(aadsts.SPATokenExpired, "")
	case now.After(rt.Expires), x.gate.Idle(rt, now):
		return prterr.AADSTS(aadsts.ExpiredToken, "")
	}
	return nil
}
