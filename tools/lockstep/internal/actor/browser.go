package actor

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

// maxRounds bounds how often a browser goes back to the authorization endpoint:
// once for the nonce, once with the cookie.
const maxRounds = 3

// SSOCookie is what the native host answers with.
type SSOCookie struct {
	Name  string
	Value secret.Text
}

// NativeHost is the browser's way to the native client host.
type NativeHost interface {
	GetCookies(ctx context.Context, d Desktop, uri, sender string) ([]SSOCookie, error)
}

// Browser is a browser with the extension for single sign-on.
type Browser struct {
	IdP    grpc.ClientConnInterface
	Host   NativeHost
	Tracer trace.Tracer
	// SignInURLs are what the registry or a policy gives the browser: origins of
	// sign-in pages.
	SignInURLs []string
	// Private browsing never calls the native host.
	Private bool
}

// Page is a web application that asks the identity provider who is there.
type Page struct {
	ClientID, RedirectURI, Nonce string
	// Authorize is the URL of the authorization endpoint.
	Authorize string
	Prompt    string
}

// Visit is what became of a visit to a page.
type Visit struct {
	IDToken, Cookie secret.Text
	// SignInPage is true when the user must type a credential.
	SignInPage bool
	// Sent is the header that was sent, for those who study replays.
	Sent secret.Text
	// Trace of the visit.
	Trace trace.TraceID
}

// Open visits a page; cookie is the session cookie of an earlier visit, if any.
func (b Browser) Open(ctx context.Context, d Desktop, p Page, cookie secret.Text) (Visit, error) {
	ctx, span := b.Tracer.Start(ctx, "open page")
	defer span.End()
	v := Visit{Trace: span.SpanContext().TraceID()}
	ctx = step.In(ctx, step.BrowserSSO)
	allowed := b.loadURLs(ctx)
	req := &idpv1.AuthorizeRequest{
		ClientId: p.ClientID, RedirectUri: p.RedirectURI, Nonce: p.Nonce, Prompt: p.Prompt, SessionCookie: cookie.Reveal(),
	}
	// The first visit shows no credential, so it is not yet row E.
	visit := step.In(ctx, "")
	for range maxRounds {
		resp, err := idpv1.NewSessionServiceClient(b.IdP).Authorize(visit, req)
		if err != nil {
			return v, fmt.Errorf("authorization endpoint: %w", err)
		}
		switch o := resp.GetOutcome().(type) {
		case *idpv1.AuthorizeResponse_SignedIn:
			v.IDToken, v.Cookie = secret.NewText(o.SignedIn.GetIdToken()), secret.NewText(o.SignedIn.GetSessionCookie())
			return v, nil
		case *idpv1.AuthorizeResponse_NonceChallenge:
			req.SsoNonce = o.NonceChallenge.GetSsoNonce()
			header, err := b.credential(ctx, d, p, req.GetSsoNonce(), allowed)
			if err != nil {
				return v, err
			}
			req.RefreshTokenCredential, v.Sent = header.Reveal(), header
			if !header.Empty() {
				visit = ctx
			}
		default:
			v.SignInPage = true
			return v, nil
		}
	}
	return v, errors.New("the authorization endpoint keeps sending the browser back")
}

func (b Browser) loadURLs(ctx context.Context) []string {
	_, span := step.Start(ctx, stepv1.Step_STEP_BROWSER_SSO_A)
	defer span.End()
	return slices.Clone(b.SignInURLs)
}

// credential matches the URL and asks the native host, as an extension does.
func (b Browser) credential(ctx context.Context, d Desktop, p Page, nonce string, allowed []string) (secret.Text, error) {
	ctx, span := step.Start(ctx, stepv1.Step_STEP_BROWSER_SSO_B)
	defer span.End()
	u, err := url.Parse(p.Authorize)
	if err != nil {
		return secret.Text{}, fmt.Errorf("authorization URL: %w", err)
	}
	if b.Private || !slices.Contains(allowed, u.Scheme+"://"+u.Host) {
		return secret.Text{}, nil
	}
	q := u.Query()
	q.Set("sso_nonce", nonce)
	u.RawQuery = q.Encode()
	cookies, err := b.Host.GetCookies(ctx, d, u.String(), p.RedirectURI)
	if k := prterr.KindOf(err); ctx.Err() == nil && (k == prterr.Unavailable || k == prterr.Deadline) {
		return secret.Text{}, nil // an extension whose host is not there goes on without it
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("native host: %w", err)
	}
	for _, c := range cookies {
		if c.Name == "x-ms-RefreshTokenCredential" {
			return c.Value, nil
		}
	}
	return secret.Text{}, nil
}
