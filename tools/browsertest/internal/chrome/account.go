package chrome

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Account sends a header with every page that is asked of a host, as a browser does
// whose machine has an account. The value is asked for each time, by the address; a
// value that cannot be had ends the test.
func (w *Window) Account(host, header string, value func(address string) (string, error)) {
	w.t.Helper()
	paused := chromedp.Events(w.ctx, fetch.RequestPaused)
	w.do("send "+header, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{
			{URLPattern: "https://" + host + "/*", ResourceType: network.ResourceTypeDocument},
		}})
		return err
	}))
	go func() {
		for r, err := range paused {
			if err != nil {
				return // the window is closed
			}
			on := fetch.ContinueRequestParams{RequestID: r.RequestID}
			if v, err := value(r.Request.URL); err != nil {
				w.t.Errorf("%s: %v", header, err)
			} else {
				for name, v := range r.Request.Headers {
					if s, ok := v.(string); ok {
						on.Headers = append(on.Headers, &fetch.HeaderEntry{Name: name, Value: s})
					}
				}
				on.Headers = append(on.Headers, &fetch.HeaderEntry{Name: header, Value: v})
			}
			if _, err := chromedp.Call(w.ctx, fetch.ContinueRequest, on); err != nil {
				return // the same
			}
		}
	}()
}

// bare takes the machine's own authenticators away, whose windows no test sees.
func (w *Window) bare() {
	w.t.Helper()
	w.do("take authenticators away", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{})
		return err
	}))
}

// Older makes the browser one that does not offer passkeys in the list under a box
// (WebAuthn section 5.1.4), from the next page on.
func (w *Window) Older() {
	w.t.Helper()
	w.do("make the browser older", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: "if (window.PublicKeyCredential) delete PublicKeyCredential.isConditionalMediationAvailable",
		})
		return err
	}))
}

// Authenticator is a passkey authenticator at the machine of a window.
type Authenticator struct {
	w  *Window
	id webauthn.AuthenticatorID
}

// Authenticator plugs one in: CTAP 2, keeps its keys, verifies its user and finds
// the user willing.
func (w *Window) Authenticator() *Authenticator {
	w.t.Helper()
	a := &Authenticator{w: w}
	w.do("plug an authenticator in", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		r, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
			Options: &webauthn.VirtualAuthenticatorOptions{
				Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
				HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
				HasCmtgKey: true, // or the protocol takes no credential, whose members it always names
			},
		})
		a.id = r.AuthenticatorID
		return err
	}))
	return a
}

// Keys are the credentials that it holds.
func (a *Authenticator) Keys() []*webauthn.Credential {
	a.w.t.Helper()
	r, err := chromedp.Call(a.w.ctx, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: a.id})
	if err != nil {
		a.w.t.Fatalf("look into the authenticator: %v", err)
	}
	return r.Credentials
}

// Give puts a credential of another authenticator into it: the key and whose it is,
// without what extensions keep.
func (a *Authenticator) Give(c *webauthn.Credential) {
	a.w.t.Helper()
	if _, err := chromedp.Call(a.w.ctx, webauthn.AddCredential, webauthn.AddCredentialParams{AuthenticatorID: a.id, Credential: &webauthn.Credential{
		CredentialID: c.CredentialID, IsResidentCredential: c.IsResidentCredential, RpID: c.RpID, PrivateKey: c.PrivateKey, UserHandle: c.UserHandle,
		SignCount: c.SignCount, UserName: c.UserName, UserDisplayName: c.UserDisplayName,
	}}); err != nil {
		a.w.t.Fatalf("put a key into the authenticator: %v", err)
	}
}

// Verifies says whether it recognises its user from now on.
func (a *Authenticator) Verifies(yes bool) {
	a.w.t.Helper()
	if _, err := chromedp.Call(a.w.ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: a.id, IsUserVerified: yes}); err != nil {
		a.w.t.Fatalf("change the user of the authenticator: %v", err)
	}
}
