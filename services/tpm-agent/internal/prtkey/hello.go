package prtkey

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

const (
	// minPIN and maxPIN bound a PIN, in characters, as Windows does.
	minPIN, maxPIN = 6, 127
	// helloLifetime is how long an assertion is good for; it is used at once.
	helloLifetime = 5 * time.Minute
	// helloAudience is what Windows writes.
	helloAudience = "common"
	// resetKeyBits is the size of the key of a PIN reset service.
	resetKeyBits = 2048
)

// CreatedHello is a Hello key that was made.
type CreatedHello struct {
	// Public is an RSA1 blob, KeyID the kid that names it.
	Public []byte
	KeyID  string
	// WrappedReset is for the PIN reset service, empty without one.
	WrappedReset []byte
}

// CreateHelloKey makes the Hello key of a user. resetKey is the DER
// SubjectPublicKeyInfo of the PIN reset service, or empty.
func (k *Keys) CreateHelloKey(ctx context.Context, u keystore.HelloUser, pin secret.Text, resetKey []byte) (CreatedHello, error) {
	if err := checkPIN("pin", pin); err != nil {
		return CreatedHello{}, err
	}
	service, err := parseResetKey(resetKey)
	if err != nil {
		return CreatedHello{}, err
	}
	made, err := k.store.CreateHello(ctx, u, pin, service != nil)
	if err != nil {
		return CreatedHello{}, err
	}
	defer made.Reset.Wipe()
	var out CreatedHello
	if out.Public, err = entrawire.MarshalRSA1(made.Public); err != nil {
		return CreatedHello{}, prterr.Wrap(prterr.Internal, err, "hello key")
	}
	if out.KeyID, err = entrawire.HelloKeyID(made.Public); err != nil {
		return CreatedHello{}, prterr.Wrap(prterr.Internal, err, "hello key")
	}
	if service != nil {
		// Under the name of the key: the service opens it for the user of that key alone.
		if out.WrappedReset, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, service, made.Reset.Reveal(), []byte(out.KeyID)); err != nil {
			return CreatedHello{}, prterr.Wrap(prterr.Internal, err, "secret of a PIN reset")
		}
	}
	return out, nil
}

func parseResetKey(spki []byte) (*rsa.PublicKey, error) {
	if len(spki) == 0 {
		return nil, nil
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if public, ok := key.(*rsa.PublicKey); err == nil && ok && public.N.BitLen() == resetKeyBits {
		return public, nil
	}
	return nil, invalid("pin_reset_key", "must be the SubjectPublicKeyInfo of an RSA-2048 key, or empty")
}

// checkPIN holds the form of a PIN; what a tenant demands beyond it is policy of
// the caller.
func checkPIN(field string, pin secret.Text) error {
	p := pin.Reveal()
	n := utf8.RuneCountInString(p)
	if !utf8.ValidString(p) || n < minPIN || n > maxPIN {
		return invalid(field, "must be UTF-8 of 6 to 127 characters")
	}
	for _, r := range p {
		if unicode.IsControl(r) {
			return invalid(field, "must have no control characters")
		}
	}
	return nil
}

// HelloRequest is what a request for a PRT by Hello depends on.
type HelloRequest struct {
	// Caller asks; it has to be the authority of the PRT.
	Caller string
	User   keystore.HelloUser
	UPN    string
	PIN    secret.Text
	Nonce  string
}

// SignHelloPRTRequest builds an assertion, signs it with the user's Hello key, and
// signs the request around it with the device key (MS-OAPXBC 3.1.5.1.2). One nonce
// is in both, so the assertion is of no use in another request.
func (k *Keys) SignHelloPRTRequest(ctx context.Context, r HelloRequest) (string, error) {
	if err := k.store.May(r.Caller); err != nil {
		return "", err
	}
	upn, err := ids.ParseUPN(r.UPN)
	if err != nil {
		return "", invalid("user_principal_name", err.Error())
	}
	if err := opaque("request_nonce", r.Nonce, maxNonce); err != nil {
		return "", err
	}
	if err := checkPIN("pin", r.PIN); err != nil {
		return "", err
	}
	assertion, err := k.signAssertion(ctx, r, upn)
	if err != nil {
		return "", err
	}
	payload, err := entrawire.PRTRequest{
		ClientID: entrawire.SignInClientID, RequestNonce: r.Nonce, Scope: entrawire.ScopePRT, WinVer: entrawire.WinVer,
		GrantType: entrawire.GrantHello, Username: string(upn), Assertion: secret.NewText(assertion),
	}.Encode()
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "PRT request")
	}
	return k.signDevice(ctx, payload)
}

func (k *Keys) signAssertion(ctx context.Context, r HelloRequest, upn ids.UPN) (string, error) {
	now := k.clock.Now()
	payload, err := entrawire.HelloAssertion{
		Iss: string(upn), Aud: helloAudience, Iat: now.Unix(), Exp: now.Add(helloLifetime).Unix(),
		Scope: entrawire.ScopePRT, RequestNonce: r.Nonce,
	}.Encode()
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "Hello assertion")
	}
	var input string
	signature, err := k.store.SignHello(ctx, r.User, r.PIN, func(public *rsa.PublicKey) (digest [sha256.Size]byte, err error) {
		kid, err := entrawire.HelloKeyID(public)
		if err != nil {
			return digest, err
		}
		input, err = jose.SigningInput(jose.Header{Alg: jose.RS256, Typ: "JWT", Kid: kid, Use: entrawire.HelloUse}, payload)
		return sha256.Sum256([]byte(input)), err
	})
	if err != nil {
		return "", err
	}
	return jose.Assemble(input, signature), nil
}

// VerifyPIN checks the PIN of a user.
func (k *Keys) VerifyPIN(ctx context.Context, u keystore.HelloUser, pin secret.Text) error {
	if err := checkPIN("pin", pin); err != nil {
		return err
	}
	return k.store.VerifyPIN(ctx, u, pin)
}

// ChangePIN changes the PIN of a user who knows it.
func (k *Keys) ChangePIN(ctx context.Context, u keystore.HelloUser, pin, next secret.Text) error {
	if err := checkPIN("pin", pin); err != nil {
		return err
	}
	if err := checkPIN("new_pin", next); err != nil {
		return err
	}
	return k.store.ChangePIN(ctx, u, pin, next)
}

// ResetPIN sets a new PIN with the secret of the PIN reset service.
func (k *Keys) ResetPIN(ctx context.Context, u keystore.HelloUser, reset secret.Bytes, next secret.Text) error {
	if err := checkPIN("new_pin", next); err != nil {
		return err
	}
	if n := reset.Len(); n == 0 || n > sha256.Size {
		return invalid("reset_secret", "must be 1 to 32 bytes")
	}
	return k.store.ResetPIN(ctx, u, reset, next)
}
