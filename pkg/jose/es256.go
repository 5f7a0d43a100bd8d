package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// ES256 is the algorithm of version 4 of the PRT protocol and of nothing else.
// Parse does not take it: a token with it comes in by ParseES256.
const ES256 = "ES256"

// ParseES256 reads a token as Parse does, but with alg ES256 and no other.
func ParseES256(compact string) (*Token, error) {
	t, err := parse(compact)
	if err != nil {
		return nil, err
	}
	if t.Header.Alg != ES256 {
		return nil, ErrAlgorithm
	}
	if len(t.signature) == 0 {
		return nil, fmt.Errorf("%w: empty signature", ErrMalformed)
	}
	return t, nil
}

// VerifyES256 checks the signature with pub. It refuses a token whose header
// names any other algorithm, and a key on another curve than P-256.
func (t *Token) VerifyES256(pub *ecdsa.PublicKey) error {
	if t.Header.Alg != ES256 {
		return ErrAlgorithm
	}
	if pub == nil || pub.Curve != elliptic.P256() {
		return ErrKey
	}
	if jwt.SigningMethodES256.Verify(t.signingInput, t.signature, pub) != nil {
		return ErrSignature
	}
	return nil
}

// SignES256 makes a token signed with key. Header.Alg is set here. It is for
// tests, tools and conformance runs: no key of ours is on a curve.
func SignES256(h Header, payload []byte, key *ecdsa.PrivateKey) (string, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return "", ErrKey
	}
	h.Alg = ES256
	in, err := signingInput(h, payload)
	if err != nil {
		return "", err
	}
	sig, err := jwt.SigningMethodES256.Sign(in, key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return Assemble(in, sig), nil
}
