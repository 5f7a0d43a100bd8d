package issuance

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// longestCAE and shortestCAE bound the life of an access token for a resource
	// that asks for revocation itself: 20 to 28 hours, as Entra says.
	shortestCAE, longestCAE = 20 * time.Hour, 28 * time.Hour
	// renewFrom is the life from which a client is told to renew at half time, as
	// on Entra.
	renewFrom = 2 * time.Hour
	// spaLifetime is that of the refresh tokens of code in a browser; it is not
	// prolonged by use.
	spaLifetime = 24 * time.Hour
)

// Client is the application that tokens are for.
type Client struct {
	tenant.Application
	// Proof is how it proved itself, as the claims appidacr and azpacr say it: 0 not
	// at all, 1 by a secret, 2 by a certificate.
	Proof int
}

// Grant is what the tokens of a user depend on, all of it checked.
type Grant struct {
	Tenant *tenant.Tenant
	User   store.User
	// From says how and when the user proved who they are. It is a code, a refresh
	// token, or was made on the spot.
	From   sealed.Artefact
	Client Client
	// Version of the endpoint, 1 or 2.
	Version int
	// Resource of the access token; nil is none.
	Resource *tenant.Resource
	// Scopes are granted, separated by spaces.
	Scopes string
	// Device authenticated and stands; nil is none.
	Device *store.Device
	// AMR and ACRS are methods and authentication contexts of this token.
	AMR, ACRS []string
	// LongLived is for a client that takes claims challenges.
	LongLived bool
	// KeyID of the key that the access token is bound to (RFC 7800), or empty.
	KeyID string
	// TokenID is the claim uti; empty draws one.
	TokenID string
	// IPAddress of who asked.
	IPAddress string
	// Refresh and ID say which tokens go beside the access token.
	Refresh, ID bool
	// RefreshClient holds the refresh token; empty is Client.
	RefreshClient ids.ClientID
	// AskedScope and AskedResource are kept for a later request that names none.
	AskedScope, AskedResource string
	// Nonce and Email are for the ID token.
	Nonce string
	Email bool
}

// Tokens are what a client gets.
type Tokens struct {
	Access, Refresh, ID secret.Text
	// Issued, and Lifetime of the access token from then on, in whole seconds.
	Issued   time.Time
	Lifetime time.Duration
	// RefreshIn is after which time a client should renew, or 0.
	RefreshIn time.Duration
	// RefreshLifetime is told for a PRT and for what cannot be prolonged, else 0.
	RefreshLifetime time.Duration
	// Family says that the refresh token is good for the clients of the family.
	Family bool
	// SessionKeyJWE comes with a PRT.
	SessionKeyJWE string
}

// UserTokens makes access token, refresh token and ID token of a user. Beside the
// access token there is at most one more signature, for an ID token that somebody
// will verify; see idToken.
func (a *Authority) UserTokens(g Grant) (Tokens, error) {
	now := a.clock.Now()
	out := Tokens{Issued: now, Lifetime: accessLifetime(g.Tenant.Lifetimes.AccessToken)}
	long := g.LongLived && g.Resource != nil && g.Resource.CAE
	if long {
		out.Lifetime = between(shortestCAE, longestCAE)
	}
	out.Lifetime = withinPass(g.From, now, out.Lifetime)
	if out.Lifetime >= renewFrom {
		out.RefreshIn = (out.Lifetime / 2).Truncate(time.Second)
	}
	var err error
	if g.Resource != nil {
		if out.Access, err = a.signClaims(g.access(now, out.Lifetime, long)); err != nil {
			return Tokens{}, err
		}
	}
	if g.Refresh {
		next := g.refreshToken(now)
		if out.Refresh, err = a.ring.Seal(next); err != nil {
			return Tokens{}, err
		}
		out.Family = next.Family
		if next.SPA || next.Credential == sealed.Bulk {
			out.RefreshLifetime = next.Expires.Sub(now).Truncate(time.Second)
		}
	}
	if g.ID {
		out.ID, err = a.idToken(g, now)
	}
	return out, err
}

// refreshToken is the artefact that descends from the grant. Who the user is and
// how they proved it is copied on and never raised; what was good for one use is
// left behind.
func (g Grant) refreshToken(now time.Time) sealed.Artefact {
	next := g.From
	next.Type, next.Client, next.Issued, next.Expires = sealed.RefreshToken, g.Client.ID, now, now.Add(g.Tenant.Lifetimes.RefreshToken)
	if g.RefreshClient != "" {
		next.Client = g.RefreshClient
	}
	next.AMR = slices.Clone(g.From.AMR)
	next.ID, next.Challenge, next.Nonce, next.Encrypted, next.Jkt, next.Contexts = "", "", "", false, "", nil
	next.Scope, next.Resource = g.AskedScope, g.AskedResource
	next.CAE = g.LongLived
	again := g.From.Type == sealed.RefreshToken
	switch {
	case again && (next.SPA || next.Credential == sealed.Bulk):
		next.Expires = g.From.Expires
	case next.SPA:
		next.Expires = now.Add(spaLifetime)
	}
	if !next.SPA {
		next.RedirectURI = ""
	}
	if !again {
		next.Plain = next.SessionKey.Len() > 0 && g.Tenant.Profile.PlainTokens
	}
	next.Family = g.Client.Family && !g.Client.Confidential() && g.Tenant.Profile.FamilyTokens
	return next
}

// between draws a time of whole seconds from least to most.
func between(least, most time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return least + time.Duration(binary.BigEndian.Uint64(b[:])%uint64(most-least+1)).Truncate(time.Second)
}
