package upstream

import (
	"context"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// Bounds of a page, in bytes and headers.
const (
	maxPageID  = 256
	maxPageURL = 32 << 10
	maxHeaders = 8
)

// BeginInteraction has a sign-in page made for the user of a session, which is asked
// for the claims of the request; signIn demands a sign-in there.
func (a *Authority) BeginInteraction(ctx context.Context, r apptoken.Request, signIn bool) (*authorityv1.Interaction, error) {
	return a.begin(ctx, &authorityv1.BeginInteractionRequest{LogonSession: r.Session.Reveal(), Claims: r.Claims, SignIn: signIn})
}

// BeginConsent has the page made at which the user consents to what the app of the
// request wants.
func (a *Authority) BeginConsent(ctx context.Context, r apptoken.Request) (*authorityv1.Interaction, error) {
	return a.begin(ctx, &authorityv1.BeginInteractionRequest{LogonSession: r.Session.Reveal(), ClientId: string(r.Client), Resource: string(r.Resource)})
}

func (a *Authority) begin(ctx context.Context, r *authorityv1.BeginInteractionRequest) (*authorityv1.Interaction, error) {
	resp, err := a.client.BeginInteraction(ctx, r)
	if err != nil {
		return nil, err
	}
	i := resp.GetInteraction()
	u, err := url.Parse(i.GetUrl())
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(i.GetUrl()) > maxPageURL:
		return nil, badPage("url is not an https address")
	case i.GetInteractionId() == "" || len(i.GetInteractionId()) > maxPageID:
		return nil, badPage("interaction_id is missing or too long")
	case i.GetRedirectUri() == "" || len(i.GetRedirectUri()) > maxPageURL:
		return nil, badPage("redirect_uri is missing or too long")
	case len(i.GetHeaders()) > maxHeaders:
		return nil, badPage("there are too many headers")
	}
	return i, nil
}

func badPage(what string) error {
	return prterr.New(prterr.Internal, "the authority of the PRT made a page that cannot be shown: %s", what)
}

// CompleteInteraction hands the end of a page down.
func (a *Authority) CompleteInteraction(ctx context.Context, session secret.Text, id string, final secret.Text) error {
	_, err := a.client.CompleteInteraction(ctx, &authorityv1.CompleteInteractionRequest{
		LogonSession: session.Reveal(), InteractionId: id, FinalUri: final.Reveal(),
	})
	return err
}
