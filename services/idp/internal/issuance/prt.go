package issuance

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tpmwrap"
)

// sessionKeyAge is how old a session key may grow; a renewal after that brings a
// new one. Until then it stays, because the refresh tokens of apps are bound to it.
const sessionKeyAge = 30 * 24 * time.Hour

// idTokenLifetime is that of the ID token beside a PRT, as captured.
const idTokenLifetime = 3900 * time.Second

// NewPRT is what a first PRT depends on, all of it checked.
type NewPRT struct {
	Tenant     *tenant.Tenant
	User       store.User
	Device     store.Device
	Client     ids.ClientID
	Credential sealed.Credential
	// Method is what the credential proved. It and Credential stand back behind From.
	Method methods.Method
	// KDFMin is 2 when the request announced version 2 of the key derivation. With 3
	// the session key is wrapped for the storage key of the device, which must be
	// there.
	KDFMin int
	// Protocol is the version of the PRT protocol; from 4 on there is no session key.
	Protocol entrawire.Protocol
	// SessionID names the sign-in, from NewSessionID; behind From its own stays, so that
	// the log shows what a PRT came of.
	SessionID string
	// From is the refresh token that becomes a PRT, or nil. How and when the user
	// proved who they are is then copied from it and never raised.
	From *sealed.Artefact
}

// IssuePRT makes a PRT with a fresh session key, wrapped for the transport key
// of the device, or its storage key, and for nothing else (first sign-in, step E;
// MS-OAPXBC 3.2.5.1.2). The ID token is unsigned, as the protocol allows, so issuing costs
// no signature.
func (a *Authority) IssuePRT(n NewPRT) (entrawire.PRTAnswer, error) {
	now := a.clock.Now()
	prt := sealed.Artefact{
		Type: sealed.PRT, Tenant: n.Tenant.ID, User: n.User.ID, Device: n.Device.ID, Certificate: Fingerprint(n.Device),
		Client: n.Client, SessionID: n.SessionID, Credential: n.Credential, AMR: amrOf(n.Method), AuthTime: now,
		KDFMin: n.KDFMin, PasswordEpoch: n.User.PasswordEpoch, SessionEpoch: n.User.SessionEpoch,
		Details: sealed.Details{Used: methods.Add(nil, n.Method, now)},
	}
	if t := methods.FactorTime(prt.Used); !t.IsZero() {
		prt.MFATime = t.Unix() // such as the Hello key in its chip, and what opens it
	}
	if n.From != nil {
		prt.Credential, prt.AMR, prt.AuthTime = n.From.Credential, slices.Clone(n.From.AMR), n.From.AuthTime
		prt.MFATime, prt.MFAKept, prt.Origin = n.From.MFATime, n.From.MFAKept, n.From.Origin
		prt.SessionID = n.From.SessionID
		prt.Used, prt.PassEnds = slices.Clone(n.From.Used), n.From.PassEnds
	}
	prt.Protocol = int(n.Protocol)
	if n.Protocol == entrawire.Protocol4 {
		return a.prtAnswer(n.Tenant, n.User, n.Device, prt, false)
	}
	prt.SessionKey, prt.KeyMade = NewSessionKey(), now
	defer prt.SessionKey.Wipe()
	return a.prtAnswer(n.Tenant, n.User, n.Device, prt, true)
}

// successor copies how and when the user proved who they are and raises nothing,
// but that a PRT of a Hello key keeps its second factor alive: the key is on the
// device all the time.
func successor(old sealed.Artefact, now time.Time) sealed.Artefact {
	if old.Credential == sealed.Hello {
		old.MFAKept = now.Unix()
	}
	return old
}

// RenewPRT makes the successor of a PRT. With wrapKey the session key comes with it once
// more, wrapped for the device (renewal, step F): the same one, or a new one when
// it has grown old. Without, the old one stays.
func (a *Authority) RenewPRT(t *tenant.Tenant, u store.User, d store.Device, old sealed.Artefact, wrapKey bool) (entrawire.PRTAnswer, error) {
	now := a.clock.Now()
	next := successor(old, now)
	if wrapKey && now.Sub(old.KeyMade) >= sessionKeyAge {
		next.SessionKey, next.KeyMade = NewSessionKey(), now
		defer next.SessionKey.Wipe()
	}
	return a.prtAnswer(t, u, d, next, wrapKey)
}

// prtAnswer dates and seals a PRT and dresses it as an answer.
func (a *Authority) prtAnswer(t *tenant.Tenant, u store.User, d store.Device, prt sealed.Artefact, wrapKey bool) (entrawire.PRTAnswer, error) {
	now := a.clock.Now()
	prt.Issued, prt.Expires = now, now.Add(t.Lifetimes.PRT)
	text, err := a.ring.Seal(prt)
	if err != nil {
		return entrawire.PRTAnswer{}, err
	}
	claims := idClaims(t, u, prt, string(prt.Client), now, idTokenLifetime)
	// The device keeps PRTs of different credentials apart, and amr is too coarse for it.
	for _, m := range methods.Names(prt.Used) {
		claims.Methods = append(claims.Methods, string(m))
	}
	claims.AuthTime, claims.MFATime = prt.AuthTime.Unix(), prt.MFATime
	idToken, err := unsignedIDToken(claims)
	if err != nil {
		return entrawire.PRTAnswer{}, err
	}
	seconds := prtSeconds(t)
	answer := entrawire.PRTAnswer{
		TokenType: entrawire.TokenType, ExpiresIn: seconds, ExpiresOn: now.Unix() + seconds, RefreshToken: text,
		RefreshTokenExpiresIn: seconds, IDToken: idToken, ClientInfo: entrawire.EncodeClientInfo(u.ID, t.ID),
	}
	if wrapKey {
		if answer.SessionKeyJWE, err = wrap(d, prt); err != nil {
			return entrawire.PRTAnswer{}, err
		}
	}
	return answer, nil
}

// prtSeconds is the lifetime as it is told: a second short of the true one, as
// observed (1209599 for 14 days), so that a device gives a PRT up before we do.
func prtSeconds(t *tenant.Tenant) int64 { return int64(t.Lifetimes.PRT/time.Second) - 1 }

// wrap encrypts a session key for the key that was registered for the device; a
// request has no say in which key that is. A session key that is for the storage
// key of a TPM is never wrapped for another one.
func wrap(d store.Device, a sealed.Artefact) (string, error) {
	if a.Native() {
		return tpmwrap.Wrap(d.StorageKey, a.SessionKey)
	}
	tk, err := entrawire.ParseRSA1(d.TransportKey)
	if err != nil {
		return "", fmt.Errorf("transport key of the directory: %w", err)
	}
	return entrawire.SealSessionKey(tk, a.SessionKey)
}

// SealAnswer encrypts an answer under the session key of an artefact, in the form
// that goes with the artefact.
func SealAnswer(from sealed.Artefact, plain []byte) (string, error) {
	if from.Native() {
		return entrawire.SealNativeAnswer(from.SessionKey, plain)
	}
	return entrawire.SealAnswer(from.SessionKey, plain)
}

// amrOf are the amr values of a method that a device itself brings. A request is
// always signed with the device key as well, which is the rsa.
func amrOf(m methods.Method) []string {
	amr := methods.AMR([]methods.Method{m})
	if len(amr) > 0 && !slices.Contains(amr, "rsa") {
		amr = slices.Insert(amr, 1, "rsa")
	}
	return amr
}

func idClaims(t *tenant.Tenant, u store.User, from sealed.Artefact, audience string, now time.Time, lifetime time.Duration) entrawire.IDToken {
	return entrawire.IDToken{
		Aud: audience, Iss: issuer(t.ID), Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(lifetime).Unix(),
		AMR: slices.Clone(from.AMR), Name: u.DisplayName, OID: string(u.ID), TID: string(t.ID), Sub: pairwise(t.ID, audience, u.ID),
		TenantDisplayName: t.DisplayName, UniqueName: string(u.UPN), UPN: string(u.UPN), PreferredUsername: string(u.UPN), Ver: "1.0",
	}
}

func unsignedIDToken(claims entrawire.IDToken) (secret.Text, error) {
	raw, err := claims.Encode()
	if err != nil {
		return secret.Text{}, fmt.Errorf("ID token: %w", err)
	}
	s, err := jose.Unsigned(raw)
	return secret.NewText(s), err
}

// Fingerprint names the device certificate in force, SHA-256 over its DER.
func Fingerprint(d store.Device) [sha256.Size]byte { return sha256.Sum256(d.Certificate) }

// newID is 128 bits of chance in the alphabet of opaque values.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return jose.EncodeSegment(b[:])
}

// NewSessionID draws the name of a sign-in, which everything that descends from it
// repeats.
func NewSessionID() string { return newID() }

// NewTokenID draws the claim uti of an access token, which names it in the log.
func NewTokenID() string { return newID() }
