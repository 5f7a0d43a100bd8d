package issuance

import (
	"crypto/rsa"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// DevicelessPRT makes a PRT that is bound to no device, as the brokers of phones
// and of macOS get before they register: the session key is wrapped for a key
// that the client sent, and nothing says where that key lives. The artefact is
// marked, names no device and keeps naming none, so it never meets a policy's
// demand for one.
func (a *Authority) DevicelessPRT(g Grant, transport *rsa.PublicKey, protocol int) (Tokens, error) {
	now := a.clock.Now()
	key := NewSessionKey()
	defer key.Wipe()
	wrapped, err := entrawire.SealSessionKey(transport, key)
	if err != nil {
		return Tokens{}, err
	}
	prt := sealed.Artefact{
		Type: sealed.PRT, Tenant: g.Tenant.ID, User: g.User.ID, Client: g.Client.ID, SessionID: newID(), SessionKey: key, KeyMade: now,
		Credential: g.From.Credential, AMR: g.From.AMR, AuthTime: g.From.AuthTime, KDFMin: 1,
		PasswordEpoch: g.From.PasswordEpoch, SessionEpoch: g.From.SessionEpoch, Issued: now, Expires: now.Add(g.Tenant.Lifetimes.PRT),
		Details: sealed.Details{Deviceless: true, Protocol: protocol, MFATime: g.From.MFATime, Origin: g.From.Origin, Used: g.From.Used, PassEnds: g.From.PassEnds},
	}
	out := Tokens{Issued: now, Lifetime: time.Duration(prtSeconds(g.Tenant)) * time.Second, SessionKeyJWE: wrapped}
	out.RefreshLifetime = out.Lifetime
	if out.Refresh, err = a.ring.Seal(prt); err != nil {
		return Tokens{}, err
	}
	out.ID, err = a.idToken(g, now)
	return out, err
}
