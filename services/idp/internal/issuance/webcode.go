package issuance

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// codeLifetime is that of an authorization code.
	codeLifetime = 10 * time.Minute
	// keptCookieLifetime is that of the cookie of a user who stays signed in.
	keptCookieLifetime = 90 * 24 * time.Hour
)

// Code makes an authorization code of what a sign-in established. It is good at
// the token endpoint, once, for 10 minutes.
func (a *Authority) Code(signIn sealed.Artefact) (secret.Text, error) {
	now := a.clock.Now()
	signIn.Type, signIn.ID, signIn.Issued, signIn.Expires = sealed.Code, newID(), now, now.Add(codeLifetime)
	return a.ring.Seal(signIn)
}

// Cookie makes the session cookie of a sign-in. With a session key it is bound to
// it, and good only beside a fresh proof of that key. Without one it says who the
// user is and nothing about a device: a cookie can be copied.
func (a *Authority) Cookie(signIn sealed.Artefact) (secret.Text, error) {
	c, now := signIn, a.clock.Now()
	c.Type, c.Issued, c.Expires = sealed.Cookie, now, now.Add(cookieLifetime)
	c.Details = sealed.Details{MFATime: signIn.MFATime, Persistent: signIn.Persistent, Used: signIn.Used, PassEnds: signIn.PassEnds}
	if c.SessionKey.Empty() {
		c.Device, c.Certificate = "", [32]byte{}
		if c.Persistent {
			c.Expires = now.Add(keptCookieLifetime)
		}
	}
	return a.ring.Seal(c)
}

// WebID is what the ID token of a web sign-in depends on, all of it checked.
type WebID struct {
	Tenant *tenant.Tenant
	User   store.User
	Client ids.ClientID
	// V2 makes a token of version 2.0.
	V2    bool
	Nonce string
	AMR   []string
	// AuthTime is when the user proved who they are.
	AuthTime time.Time
	// Device that authenticated, or empty.
	Device ids.DeviceID
	// Code that goes with it, or empty.
	Code secret.Text
	// SessionID of the session.
	SessionID string
}

// WebIDToken makes a signed ID token for an application in a browser. With a code
// it names it by c_hash (OpenID Connect Core 3.3.2.11), so that neither can be
// exchanged for another one.
func (a *Authority) WebIDToken(n WebID) (secret.Text, error) {
	now := a.clock.Now()
	c := oidcClaims{
		Aud: string(n.Client), Iss: issuer(n.Tenant.ID), Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(webIDTokenLifetime).Unix(),
		AMR: slices.Clone(n.AMR), AuthTime: n.AuthTime.Unix(), DeviceID: string(n.Device), Name: n.User.DisplayName, Nonce: n.Nonce,
		OID: string(n.User.ID), Preferred: string(n.User.UPN), SID: n.SessionID, Sub: pairwise(n.Tenant.ID, string(n.Client), n.User.ID),
		TID: string(n.Tenant.ID), UniqueName: string(n.User.UPN), UPN: string(n.User.UPN), UTI: newID(), Ver: "1.0",
	}
	if n.V2 {
		c.Iss, c.Ver = issuer2(n.Tenant.ID), "2.0"
		c.AMR, c.UniqueName, c.UPN = nil, "", "" // of version 1.0 only
		c.RH = routingHint(n.Tenant.ID, n.Client)
	}
	if !n.Code.Empty() {
		sum := sha256.Sum256([]byte(n.Code.Reveal()))
		c.CHash = jose.EncodeSegment(sum[:len(sum)/2])
	}
	return a.signClaims(c)
}

// Audience reads whom an ID token of ours was made for, expired or not. It is a
// hint and proves nothing about who brings it.
func (a *Authority) Audience(idToken secret.Text) (string, bool) {
	t, err := jose.Parse(idToken.Reveal())
	if err != nil || a.Verify(t) != nil {
		return "", false
	}
	var c struct {
		Aud string `json:"aud"`
	}
	if t.Claims(&c) != nil {
		return "", false
	}
	return c.Aud, true
}
