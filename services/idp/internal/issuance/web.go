package issuance

import (
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

const (
	// webIDTokenLifetime is that of an ID token for a web application.
	webIDTokenLifetime = time.Hour
	// cookieLifetime is that of a session cookie.
	cookieLifetime = 24 * time.Hour
)

// WebSignIn is what a sign-in to a web application depends on, all of it checked.
type WebSignIn struct {
	Tenant *tenant.Tenant
	User   store.User
	// From is the PRT whose cookie signed the user in.
	From   sealed.Artefact
	Client ids.ClientID
	// Nonce of the application, repeated in the ID token.
	Nonce string
	// SessionID continues an earlier session; empty begins one.
	SessionID string
}

// WebTokens is what the browser gets.
type WebTokens struct {
	IDToken       secret.Text
	SessionCookie secret.Text
}

// WebSignIn makes a signed ID token and a session cookie that holds the session
// key of the PRT and its device (browser SSO, step F). It makes no PRT.
func (a *Authority) WebSignIn(n WebSignIn) (WebTokens, error) {
	now := a.clock.Now()
	cookie := n.From
	cookie.Type, cookie.Client, cookie.Issued, cookie.Expires = sealed.Cookie, n.Client, now, now.Add(cookieLifetime)
	if cookie.SessionID = n.SessionID; cookie.SessionID == "" {
		cookie.SessionID = newID()
	}
	text, err := a.ring.Seal(cookie)
	if err != nil {
		return WebTokens{}, err
	}
	claims := idClaims(n.Tenant, n.User, n.From, string(n.Client), now, webIDTokenLifetime)
	claims.Nonce, claims.DeviceID = n.Nonce, string(n.From.Device)
	raw, err := claims.Encode()
	if err != nil {
		return WebTokens{}, fmt.Errorf("ID token: %w", err)
	}
	idToken, err := a.sign(raw)
	return WebTokens{IDToken: idToken, SessionCookie: text}, err
}
