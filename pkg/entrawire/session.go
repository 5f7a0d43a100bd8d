package entrawire

import (
	"crypto/rand"
	"crypto/sha256"
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
	// ErrMAC says that what should be an HMAC-SHA-256 is not 32 bytes.
	ErrMAC = errors.New("HMAC is not 32 bytes")
)

// Versions of the key derivation as kdf_ver says them. An absent kdf_ver is 0 and
// derives as KDF1 does.
const (
	// KDF1 has the ctx of the header as its context and does not bind the payload.
	KDF1 = 1
	// KDF2 has SHA-256 of ctx and payload as its context.
	KDF2 = 2
	// KDF3 has the context of KDF2 and is what a TPM derives without letting the key
	// out. It is ours: the session key was imported into the TPM under a storage key.
	KDF3 = 3
)

// VerifySession checks a token signed with a session key (MS-OAPXBC 3.1.5.1.3.3):
// it derives the key by the header's ctx and kdf_ver (2 and 3 bind the payload, 1
// or absent does not) and checks the HMAC. Which version is good enough for this
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
	derived := sessionDerived(sessionKey, t.Header, t.Payload)
	defer derived.Wipe()
	return t.VerifyHS256(derived)
}

// SessionContext is the context of the derivation for a token with this header and
// payload: what goes into version 1 to 3, and for a TPM that derives by itself what
// goes beside kdf.Label. It holds no secret.
func SessionContext(h jose.Header, payload []byte) []byte {
	if h.KDFVer == KDF2 || h.KDFVer == KDF3 {
		return kdf.ContextV2(h.Ctx, payload)
	}
	return h.Ctx
}

func sessionDerived(sessionKey secret.Bytes, h jose.Header, payload []byte) secret.Bytes {
	if h.KDFVer == KDF3 {
		return kdf.DeriveV3(sessionKey, SessionContext(h, payload))
	}
	return kdf.Derive(sessionKey, SessionContext(h, payload))
}

// SessionSigningInput starts a session signature for a signer that keeps the
// session key in a TPM. It draws a fresh ctx, fixes version 2, and answers the
// signing input and the bytes whose HMAC under the session key is the derived
// key; FinishSession takes it from there.
func SessionSigningInput(claims []byte) (input string, kdfInput []byte, err error) {
	h := sessionHeader(KDF2)
	input, err = jose.SigningInput(h, claims)
	if err != nil {
		return "", nil, err
	}
	return input, kdf.Input(SessionContext(h, claims)), nil
}

// NativeSigningInput starts a session signature of version 3, for a signer whose
// TPM derives the key and keeps it. It draws a fresh ctx, and answers the signing
// input and the context, 32 bytes, that the TPM takes beside kdf.Label. The HMAC of
// the input under the derived key, 32 bytes, goes into FinishNative.
func NativeSigningInput(claims []byte) (input string, context []byte, err error) {
	h := sessionHeader(KDF3)
	input, err = jose.SigningInput(h, claims)
	if err != nil {
		return "", nil, err
	}
	return input, SessionContext(h, claims), nil
}

// FinishNative puts the HMAC-SHA-256 that a TPM made behind its input.
func FinishNative(input string, mac []byte) (string, error) {
	if len(mac) != sha256.Size {
		return "", ErrMAC
	}
	return jose.Assemble(input, mac), nil
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
	derived := sessionDerived(sessionKey, h, claims)
	defer derived.Wipe()
	return jose.SignHS256(h, claims, derived)
}

func sessionHeader(kdfVer int) jose.Header {
	ctx := make([]byte, ContextSize)
	_, _ = rand.Read(ctx) // never fails: crypto/rand ends the process instead
	return jose.Header{Alg: jose.HS256, Typ: "JWT", Ctx: ctx, KDFVer: kdfVer}
}
