package cloudap

import (
	"context"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// maxHeaders bounds the headers of a page.
const maxHeaders = 8

// pageRequest is what a page is asked for.
type pageRequest struct {
	purpose cloudapv1.PagePurpose
	// cached signs in to the page; nil when nobody is signed in.
	cached *partition.Partition
	hint   ids.UPN
	claims string
	signIn bool
	// app and resource are whose consent is asked for what, and empty otherwise.
	app      ids.ClientID
	resource string
}

// pageAnswer is a page as the plug-in made it.
type pageAnswer struct {
	shown Interaction
	state []byte
}

func (e pageEnd) message() *cloudapv1.PageEnd {
	return &cloudapv1.PageEnd{State: e.state, FinalUri: e.final.Reveal()}
}

func (p plugin) beginPage(ctx context.Context, r pageRequest) (pageAnswer, error) {
	req := &cloudapv1.BeginPageRequest{
		Purpose: r.purpose, LoginHint: string(r.hint), Claims: r.claims, SignIn: r.signIn, ClientId: string(r.app), Resource: r.resource,
	}
	if r.cached != nil {
		req.Cached = cachedMessage(*r.cached)
	}
	a, err := p.service.BeginPage(ctx, req)
	if err != nil {
		return pageAnswer{}, err
	}
	u, err := url.Parse(a.GetUrl())
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || len(a.GetUrl()) > artefact.MaxFinalURI:
		return pageAnswer{}, badAnswer("url is not an https address")
	case a.GetRedirectUri() == "" || !artefact.Line(a.GetRedirectUri(), artefact.MaxURI):
		return pageAnswer{}, badAnswer("redirect_uri is missing or malformed")
	case len(a.GetState()) == 0 || len(a.GetState()) > artefact.MaxPageState || len(a.GetHeaders()) > maxHeaders:
		return pageAnswer{}, badAnswer("state is missing or too long, or there are too many headers")
	}
	out := pageAnswer{shown: Interaction{URL: a.GetUrl(), RedirectURI: a.GetRedirectUri()}, state: a.GetState()}
	for _, h := range a.GetHeaders() {
		if !artefact.Opaque(h.GetName(), artefact.MaxName) || !artefact.Opaque(h.GetValue(), artefact.MaxToken) {
			return pageAnswer{}, badAnswer("a header is malformed")
		}
		out.shown.Headers = append(out.shown.Headers, Header{Name: h.GetName(), Value: secret.NewText(h.GetValue())})
	}
	return out, nil
}

// bearer is an access token with the user that it is of.
type bearer struct {
	access secret.Text
	user   hello.User
	upn    ids.UPN
}

func (p plugin) redeemPage(ctx context.Context, purpose cloudapv1.PagePurpose, end pageEnd) (bearer, error) {
	a, err := p.service.RedeemPage(ctx, &cloudapv1.RedeemPageRequest{Purpose: purpose, Page: end.message()})
	if err != nil {
		return bearer{}, err
	}
	key, err := partition.ParseKey(a.GetTenantId(), a.GetUserId(), string(partition.Hello))
	if err != nil {
		return bearer{}, badAnswer("the user is malformed")
	}
	upn, err := ids.ParseUPN(a.GetUserPrincipalName())
	if err != nil || a.GetAccessToken() == "" || !artefact.Line(a.GetAccessToken(), artefact.MaxToken) {
		return bearer{}, badAnswer("access_token or user_principal_name is missing or malformed")
	}
	return bearer{access: secret.NewText(a.GetAccessToken()), user: hello.User{Tenant: key.Tenant, User: key.User}, upn: upn}, nil
}

// endConsent says whether a page for consent ended well.
func (p plugin) endConsent(ctx context.Context, end pageEnd) error {
	_, err := p.service.RedeemPage(ctx, &cloudapv1.RedeemPageRequest{Purpose: cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT, Page: end.message()})
	return err
}

func (p plugin) registerHello(ctx context.Context, access secret.Text, public []byte) error {
	_, err := p.service.RegisterHelloKey(ctx, &cloudapv1.RegisterHelloKeyRequest{AccessToken: access.Reveal(), PublicKey: public})
	return err
}

// pinResetKey is nil when the provider has no PIN reset service.
func (p plugin) pinResetKey(ctx context.Context) ([]byte, error) {
	a, err := p.service.DescribePINReset(ctx, &cloudapv1.DescribePINResetRequest{})
	if err != nil {
		return nil, err
	}
	return a.GetKey(), nil
}

func (p plugin) openReset(ctx context.Context, access secret.Text, r hello.Record) (secret.Bytes, error) {
	a, err := p.service.OpenResetSecret(ctx, &cloudapv1.OpenResetSecretRequest{
		AccessToken: access.Reveal(), WrappedResetSecret: r.WrappedReset, KeyId: r.KeyID,
	})
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.NewBytes(a.GetResetSecret()), nil
}
