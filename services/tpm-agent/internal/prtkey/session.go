package prtkey

import (
	"context"
	"errors"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

// SessionKey is a sealed session key with whose it is.
type SessionKey struct {
	Owner  keystore.Owner
	Sealed []byte
}

// ImportSessionKey takes the session_key_jwe of a PRT answer (first sign-in,
// step F).
func (k *Keys) ImportSessionKey(ctx context.Context, o keystore.Owner, wrapped string) ([]byte, error) {
	return k.store.ImportSessionKey(ctx, o, wrapped)
}

// PRT is a PRT as a caller has it: sealed by this agent, or, before it adopted it, in
// the clear.
type PRT struct {
	Clear  string
	Sealed []byte
}

// ProtectPRT seals a PRT for its owner.
func (k *Keys) ProtectPRT(ctx context.Context, o keystore.Owner, prt string) ([]byte, error) {
	if err := opaque("prt", prt, maxToken); err != nil {
		return nil, err
	}
	return k.store.SealPRT(ctx, o, secret.NewText(prt))
}

// prt is the PRT that an owner gave, in the form in which it is signed. A sealed one ends
// with the registration of its session key, whose error comes first: that the keys are
// lost is what the owner can act on.
func (k *Keys) prt(ctx context.Context, key SessionKey, p PRT) (secret.Text, error) {
	switch {
	case p.Clear != "" && len(p.Sealed) > 0:
		return secret.Text{}, invalid("prt", "give it sealed or in the clear, not both")
	case len(p.Sealed) > 0:
		if _, err := k.store.Session(key.Owner, key.Sealed); err != nil {
			return secret.Text{}, err
		}
		return k.store.OpenPRT(ctx, key.Owner, p.Sealed)
	}
	return secret.NewText(p.Clear), opaque("prt", p.Clear, maxToken)
}

// Renewal is what a renewal depends on.
type Renewal struct {
	PRT   PRT
	Nonce string
	// UPN goes with Credential; both are empty when nobody is at the keyboard.
	UPN        string
	Credential Credential
}

// SignRenewal builds a renewal and signs it with the session key (renewal, E).
func (k *Keys) SignRenewal(ctx context.Context, key SessionKey, r Renewal) (string, error) {
	if err := opaque("request_nonce", r.Nonce, maxNonce); err != nil {
		return "", err
	}
	prt, err := k.prt(ctx, key, r.PRT)
	if err != nil {
		return "", err
	}
	claims := entrawire.SessionRequest{
		ClientID: entrawire.SignInClientID, Scope: entrawire.ScopePRT, RefreshToken: prt, PreviousRefreshToken: prt,
		GrantType: entrawire.GrantRefreshToken, Iss: entrawire.BrokerIssuer, RequestNonce: r.Nonce, WinVer: entrawire.WinVer,
	}
	if !r.Credential.empty() {
		upn, err := ids.ParseUPN(r.UPN)
		if err != nil {
			return "", invalid("user_principal_name", err.Error())
		}
		if !r.Credential.RefreshToken.Empty() {
			return "", invalid("refresh_token", "has no place in a renewal: the PRT is what is redeemed")
		}
		if err := r.Credential.check(); err != nil {
			return "", err
		}
		claims.Username, claims.Password = string(upn), r.Credential.Password
		if !r.Credential.SAMLAssertion.Empty() {
			claims.Assertion = entrawire.EncodeSAML(r.Credential.SAMLAssertion.Reveal())
		}
	}
	return k.signSession(ctx, key, claims)
}

// TokenRequest is what an app-token request depends on: a PRT, or the app's own
// refresh token, sealed.
type TokenRequest struct {
	Client                       ids.ClientID
	Resource, RedirectURI, Nonce string
	PRT                          PRT
	SealedRefreshToken           []byte
	// WantPRT asks for a new PRT in the same answer; only with a PRT.
	WantPRT bool
}

// SignTokenRequest builds an app-token request and signs it with the session key
// (app token, B and C). It has no iat and exp: its freshness is its nonce, and the
// agent needs no clock that way.
func (k *Keys) SignTokenRequest(ctx context.Context, key SessionKey, r TokenRequest) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	token, err := k.granted(ctx, key, r)
	if err != nil {
		return "", err
	}
	scope := entrawire.ScopeToken
	if r.WantPRT {
		scope = entrawire.ScopeTokenPRT
	}
	return k.signSession(ctx, key, entrawire.SessionRequest{
		ClientID: string(r.Client), Scope: scope, Resource: r.Resource, RefreshToken: token,
		GrantType: entrawire.GrantRefreshToken, Iss: entrawire.BrokerIssuer, Aud: entrawire.SessionAudience,
		RedirectURI: r.RedirectURI, RequestNonce: r.Nonce, WinVer: entrawire.WinVer,
	})
}

// granted is the token that is redeemed.
func (k *Keys) granted(ctx context.Context, key SessionKey, r TokenRequest) (secret.Text, error) {
	if len(r.SealedRefreshToken) > 0 {
		return k.store.OpenToken(ctx, key.Owner, r.Client, r.SealedRefreshToken)
	}
	return k.prt(ctx, key, r.PRT)
}

func (p PRT) empty() bool { return p.Clear == "" && len(p.Sealed) == 0 }

func (r TokenRequest) check() error {
	if _, err := ids.ParseClient(string(r.Client)); err != nil {
		return invalid("client_id", err.Error())
	}
	if err := errors.Join(uri("resource", r.Resource), uri("redirect_uri", r.RedirectURI), opaque("request_nonce", r.Nonce, maxNonce)); err != nil {
		return err
	}
	switch {
	case r.PRT.empty() == (len(r.SealedRefreshToken) == 0):
		return invalid("grant", "give a PRT or a refresh token")
	case r.PRT.empty() && r.WantPRT:
		return invalid("request_new_prt", "goes with a PRT only")
	}
	return nil
}

// uri takes an empty value, a GUID or an absolute URI.
func uri(field, value string) error {
	if value == "" {
		return nil
	}
	if _, err := ids.ParseClient(value); err == nil {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || len(value) > maxURI {
		return invalid(field, "must be an absolute URI of at most 2048 bytes")
	}
	return nil
}

// SignCookie builds a PRT cookie and signs it with the session key (browser SSO,
// D; MS-OAPXBC 3.1.5.1.4).
func (k *Keys) SignCookie(ctx context.Context, key SessionKey, p PRT, nonce string) (string, error) {
	if err := opaque("request_nonce", nonce, maxNonce); err != nil {
		return "", err
	}
	prt, err := k.prt(ctx, key, p)
	if err != nil {
		return "", err
	}
	return k.signSession(ctx, key, entrawire.Cookie{
		RefreshToken: prt, IsPrimary: true, RequestNonce: nonce, WinVer: entrawire.WinVer,
		WindowsAPIVersion: entrawire.CookieAPIVersion,
	})
}

// shape is a claim set that can be written.
type shape interface {
	Encode() ([]byte, error)
	Validate() error
}

// signSession derives the key for exactly this payload and signs: version 2 of the
// derivation with one command of the TPM, or the native version, in which the
// derived key stays in the TPM. The key decides which.
func (k *Keys) signSession(ctx context.Context, key SessionKey, claims shape) (string, error) {
	if err := claims.Validate(); err != nil {
		return "", prterr.New(prterr.Invalid, "%v", err)
	}
	payload, err := claims.Encode()
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "session request")
	}
	defer clear(payload)
	session, err := k.store.Session(key.Owner, key.Sealed)
	if err != nil {
		return "", err
	}
	if session.Native() {
		return signNative(ctx, session, payload)
	}
	return signDerived(ctx, session, payload)
}

func signDerived(ctx context.Context, session *keystore.Session, payload []byte) (string, error) {
	input, kdfInput, err := entrawire.SessionSigningInput(payload)
	if err != nil {
		return "", errTooLarge()
	}
	derived, err := session.Derive(ctx, kdfInput)
	if err != nil {
		return "", err
	}
	defer derived.Wipe()
	token, err := entrawire.FinishSession(input, derived)
	return token, signing(err)
}

func signNative(ctx context.Context, session *keystore.Session, payload []byte) (string, error) {
	input, kdfContext, err := entrawire.NativeSigningInput(payload)
	if err != nil {
		return "", errTooLarge()
	}
	mac, err := session.MAC(ctx, kdfContext, input)
	if err != nil {
		return "", err
	}
	token, err := entrawire.FinishNative(input, mac)
	return token, signing(err)
}

func errTooLarge() error {
	return prterr.New(prterr.Invalid, "request: it is larger than the protocol allows")
}
