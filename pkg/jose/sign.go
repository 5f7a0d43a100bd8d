package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	minRSABits = 2048
	minHMACKey = 32 // RFC 7518 3.2: at least as long as the hash
)

// VerifyRS256 checks the signature with pub. It refuses a token whose header
// names any other algorithm, and a key of less than 2048 bits.
func (t *Token) VerifyRS256(pub *rsa.PublicKey) error {
	if t.Header.Alg != RS256 {
		return ErrAlgorithm
	}
	if pub == nil || pub.N == nil || pub.N.BitLen() < minRSABits {
		return ErrKey
	}
	if jwt.SigningMethodRS256.Verify(t.signingInput, t.signature, pub) != nil {
		return ErrSignature
	}
	return nil
}

// VerifyHS256 checks the signature with key, in constant time. It refuses a
// token whose header names any other algorithm, and a key of less than 32 bytes.
func (t *Token) VerifyHS256(key secret.Bytes) error {
	if t.Header.Alg != HS256 {
		return ErrAlgorithm
	}
	if key.Len() < minHMACKey {
		return ErrKey
	}
	var err error
	secret.Do(func() { err = jwt.SigningMethodHS256.Verify(t.signingInput, t.signature, key.Reveal()) })
	if err != nil {
		return ErrSignature
	}
	return nil
}

// SigningInput is the header and the payload as the signature covers them. The
// payload must be a strict JSON object (see CheckObject), Header.Alg RS256 or HS256.
func SigningInput(h Header, payload []byte) (string, error) {
	if h.Alg != RS256 && h.Alg != HS256 {
		return "", ErrAlgorithm
	}
	return signingInput(h, payload)
}

func signingInput(h Header, payload []byte) (string, error) {
	if err := CheckObject(payload); err != nil {
		return "", fmt.Errorf("payload: %w", err)
	}
	raw, err := h.marshal()
	if err != nil {
		return "", err
	}
	return EncodeSegment(raw) + "." + EncodeSegment(payload), nil
}

// Assemble puts the signature behind its input. The result may be longer than
// MaxToken; whoever reads it will refuse it.
func Assemble(input string, signature []byte) string {
	return input + "." + EncodeSegment(signature)
}

// SignHS256 makes a token signed with key. Header.Alg is set here.
func SignHS256(h Header, payload []byte, key secret.Bytes) (string, error) {
	h.Alg = HS256
	in, err := SigningInput(h, payload)
	if err != nil {
		return "", err
	}
	return FinishHS256(in, key)
}

// FinishHS256 signs an input that SigningInput made, for a signer that has to
// see the input before it can have the key.
func FinishHS256(input string, key secret.Bytes) (string, error) {
	if key.Len() < minHMACKey {
		return "", ErrKey
	}
	var sig []byte
	var err error
	secret.Do(func() { sig, err = jwt.SigningMethodHS256.Sign(input, key.Reveal()) })
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return Assemble(input, sig), nil
}

// SignRS256 makes a token signed by signer, which may be a key in a TPM and must
// be RSA of at least 2048 bits. Header.Alg is set here. The library's own Sign
// takes keys in memory only, so the signer is asked directly.
func SignRS256(h Header, payload []byte, signer crypto.Signer) (string, error) {
	pub, ok := signer.Public().(*rsa.PublicKey)
	if !ok || pub.N.BitLen() < minRSABits {
		return "", ErrKey
	}
	h.Alg = RS256
	in, err := SigningInput(h, payload)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(in))
	sig, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return Assemble(in, sig), nil
}

// Unsigned makes a token with alg none. It is for the id_token of a PRT answer
// alone, which the device shows and nobody trusts.
func Unsigned(payload []byte) (string, error) {
	in, err := signingInput(Header{Alg: none, Typ: "JWT"}, payload)
	if err != nil {
		return "", err
	}
	return in + ".", nil
}
