package entrawire

import (
	"crypto/rand"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// ContextSize is the size of the ctx that we draw, in bytes, as Windows does.
const ContextSize = 24

var (
	// ErrNoContext says that a session-signed token has no ctx to derive with.
	ErrNoContext = errors.New("session-signed token has no ctx")
	// ErrSessionKey says that a session key is not 32 bytes.
	ErrSessionKey = errors.New("session key is not 32 bytes")
)

// VerifySession checks a token signed with a session key (MS-OAPXBC 3.1.5.1.3.3):
// it derives the key by the header's ctx and kdf_ver (2 binds the payload, 1 or
// absent does not) and checks the HMAC. Whether version 1 is good enough for this
// PRT is the caller's to judge, by t.Header.KDFVer.
func VerifySession(t *jose.Token, sessionKey secret.Bytes) error {
	if t.Header.Alg != jose.HS256 {
		return jose.ErrAlgorithm
	}
	if t.Header.Ctx == nil {
		return ErrNoContext
	}
	if sessionKey.Len() != kdf.KeySize {
		return ErrSessionKey
	}
	derived := kdf.Derive(sessionKey, sessionContext(t.Header, t.Payload))
	defer derived.Wipe()
	return t.VerifyHS256(derived)
}

func sessionContext(h jose.Header, payload []byte) []byte {
	if h.KDFVer == 2 {
		return kdf.ContextV2(h.Ctx, payload)
	}
	return h.Ctx
}

// SessionSigningInput starts a session signature for a signer that keeps the
// session key in a TPM. It draws a fresh ctx, fixes version 2, and answers the
// signing input and the bytes whose HMAC under the session key is the derived
// key; FinishSession takes it from there.
func SessionSigningInput(claims []byte) (input string, kdfInput []byte, err error) {
	h := sessionHeader(2)
	input, err = jose.SigningInput(h, claims)
	if err != nil {
		return "", nil, err
	}
	return input, kdf.Input(sessionContext(h, claims)), nil
}

// FinishSession signs the input with the derived key, which is good for nothing
// else and is the caller's to wipe.
func FinishSession(input string, derived secret.Bytes) (string, error) {
	return jose.FinishHS256(input, derived)
}

// SignSession signs claims with a session key in software: for tests, tools and
// conformance runs. kdfVer 0 sends no kdf_ver and derives as version 1 does.
func SignSession(claims []byte, sessionKey secret.Bytes, kdfVer int) (string, error) {
	if sessionKey.Len() != kdf.KeySize {
		return "", ErrSessionKey
	}
	h := sessionHeader(kdfVer)
	derived := kdf.Derive(sessionKey, sessionContext(h, claims))
	defer derived.Wipe()
	return jose.SignHS256(h, claims, derived)
}

func sessionHeader(kdfVer int) jose.Header {
	ctx := make([]byte, ContextSize)
	_, _ = rand.Read(ctx) // never fails: crypto/rand ends the process instead
	return jose.Header{Alg: jose.HS256, Typ: "JWT", Ctx: ctx, KDFVer: kdfVer}
}
