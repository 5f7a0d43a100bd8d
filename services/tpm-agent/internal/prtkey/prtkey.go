// Package prtkey builds every payload that the agent signs and parses every answer
// that it opens. It is why the agent is no signing or decryption oracle: callers
// give typed fields, each checked, and never see a derived key.
//
// What never may live here: a key. The keystore signs and derives; this package
// knows the protocol (MS-OAPXBC, pkg/entrawire). The RPC edge calls it.
package prtkey

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

// Limits on what callers give, in bytes.
const (
	maxPassword  = 256
	maxAssertion = 48 << 10
	maxNonce     = 4 << 10
	maxToken     = 16 << 10
	maxURI       = 2 << 10
)

// Keys signs and opens for the authority of the PRT.
type Keys struct {
	store *keystore.Store
	clock clock.Clock
}

// New uses the keys of a store. The clock dates Hello assertions, which the
// protocol wants dated; everything else is fresh by its nonce.
func New(store *keystore.Store, c clock.Clock) *Keys { return &Keys{store, clock.Or(c)} }

// Credential is what a user proves their identity with: one of the three, or
// none.
type Credential struct {
	Password      secret.Text
	SAMLAssertion secret.Text
	// RefreshToken of the broker, from a sign-in at a page. It takes the place of a
	// credential in a request for a PRT and has no place in a renewal.
	RefreshToken secret.Text
}

func (c Credential) empty() bool {
	return c.Password.Empty() && c.SAMLAssertion.Empty() && c.RefreshToken.Empty()
}

func (c Credential) check() error {
	given := 0
	for _, t := range []secret.Text{c.Password, c.SAMLAssertion, c.RefreshToken} {
		if !t.Empty() {
			given++
		}
	}
	switch p, a := c.Password.Reveal(), c.SAMLAssertion.Reveal(); {
	case given > 1:
		return invalid("credential", "give one kind only")
	case given == 0:
		return invalid("credential", "is missing: give a password, a SAML assertion or a refresh token")
	case !c.RefreshToken.Empty():
		return opaque("refresh_token", c.RefreshToken.Reveal(), maxToken)
	case len(p) > maxPassword || !utf8.ValidString(p):
		return invalid("password", "must be UTF-8 of at most 256 bytes")
	case len(a) > maxAssertion || !utf8.ValidString(a):
		return invalid("saml_assertion", "must be UTF-8 of at most 48 KiB")
	}
	return nil
}

func invalid(field, problem string) error {
	return prterr.New(prterr.Invalid, "%s: %s", field, problem)
}

// opaque checks an artefact of the identity provider: nonces and tokens have one
// alphabet, which has no room for JSON or for another token.
func opaque(field, value string, limit int) error {
	if value == "" || len(value) > limit || !entrawire.IsOpaque(value) {
		return invalid(field, "must be letters, digits, dots, dashes and underscores, and not empty or too long")
	}
	return nil
}

// PRTRequest is what a request for a PRT depends on.
type PRTRequest struct {
	// Caller asks; it has to be the authority of the PRT.
	Caller     string
	UPN        string
	Credential Credential
	Nonce      string
}

// SignPRTRequest builds a request for a PRT and signs it with the device key
// (first sign-in, step D).
func (k *Keys) SignPRTRequest(ctx context.Context, r PRTRequest) (string, error) {
	if err := k.store.May(r.Caller); err != nil {
		return "", err
	}
	upn, err := ids.ParseUPN(r.UPN)
	if err != nil {
		return "", invalid("user_principal_name", err.Error())
	}
	if err := errors.Join(r.Credential.check(), opaque("request_nonce", r.Nonce, maxNonce)); err != nil {
		return "", err
	}
	claims := entrawire.PRTRequest{
		ClientID: entrawire.SignInClientID, RequestNonce: r.Nonce, Scope: entrawire.ScopePRT, WinVer: entrawire.WinVer,
		GrantType: entrawire.GrantPassword, Username: string(upn), Password: r.Credential.Password,
	}
	switch {
	case !r.Credential.SAMLAssertion.Empty():
		claims.GrantType, claims.Assertion = entrawire.GrantSAML1, entrawire.EncodeSAML(r.Credential.SAMLAssertion.Reveal())
	case !r.Credential.RefreshToken.Empty():
		// The token is the broker's, so the request is; it says itself who signed in.
		claims.ClientID, claims.GrantType, claims.Username = entrawire.BrokerClientID, entrawire.GrantRefreshToken, ""
		claims.RefreshToken = r.Credential.RefreshToken
	}
	payload, err := claims.Encode()
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "PRT request")
	}
	return k.signDevice(ctx, payload)
}

// SignDeviceRemoval builds the proof with which a device removes itself.
func (k *Keys) SignDeviceRemoval(ctx context.Context, nonce string) (string, error) {
	if err := opaque("request_nonce", nonce, maxNonce); err != nil {
		return "", err
	}
	return k.signProof(ctx, entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, RequestNonce: nonce})
}

// SignDeviceCheck builds the proof with which a device asks whether its tenant still
// takes it. It is good for nothing else.
func (k *Keys) SignDeviceCheck(ctx context.Context, nonce string) (string, error) {
	if err := opaque("request_nonce", nonce, maxNonce); err != nil {
		return "", err
	}
	return k.signProof(ctx, entrawire.DeviceProof{GrantType: entrawire.GrantDeviceCheck, RequestNonce: nonce})
}

// SignDeviceCookie builds the proof that a sign-in page is opened on this device, for
// the authority of the PRT.
func (k *Keys) SignDeviceCookie(ctx context.Context, caller, nonce string) (string, error) {
	if err := k.store.May(caller); err != nil {
		return "", err
	}
	if err := opaque("request_nonce", nonce, maxNonce); err != nil {
		return "", err
	}
	return k.signProof(ctx, entrawire.DeviceProof{
		GrantType: entrawire.GrantDeviceAuth, RequestNonce: nonce, WindowsAPIVersion: entrawire.CookieAPIVersion,
	})
}

func (k *Keys) signProof(ctx context.Context, p entrawire.DeviceProof) (string, error) {
	p.Iss, p.WinVer = entrawire.BrokerIssuer, entrawire.WinVer
	payload, err := p.Encode()
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "device proof")
	}
	return k.signDevice(ctx, payload)
}

func (k *Keys) signDevice(ctx context.Context, payload []byte) (string, error) {
	defer clear(payload)
	signer, certificate, native, err := k.store.Device(ctx)
	if err != nil {
		return "", err
	}
	h := jose.Header{Alg: jose.RS256, Typ: "JWT", X5C: [][]byte{certificate}, KDFVer: entrawire.KDF2}
	if native {
		h.KDFVer = entrawire.KDF3
	}
	token, err := jose.SignRS256(h, payload, signer)
	return token, signing(err)
}

// signing keeps the name of an error of the TPM and gives one to the others.
func signing(err error) error {
	var named *prterr.Error
	if err == nil || errors.As(err, &named) {
		return err
	}
	return prterr.Wrap(prterr.Internal, err, "signing failed")
}
