// Package jose reads and writes the compact JSON web tokens of the PRT protocol,
// and is stricter than the RFCs wherever leniency has hurt somebody.
//
// What lives here: one spelling per token (alphabet and padding are checked
// before anything is decoded), a header with known members only where they
// matter, and signature checks whose algorithm the caller names by the method it
// calls, never the token. What never may: a key looked up by what a header says,
// and a third algorithm, but for ES256 of one version of the protocol, which has a
// door of its own. github.com/golang-jwt/jwt/v5 supplies the algorithms; its parser
// is not used, because it takes line breaks inside base64.
//
// The identity provider calls Parse and Verify, the TPM agent SigningInput and
// Assemble, tests and tools the Sign functions.
package jose

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// MaxToken is the size of the largest token that is read, in bytes.
const MaxToken = 64 << 10

// The algorithms. PS256 and its kin are not offered at all.
const (
	RS256 = "RS256"
	HS256 = "HS256"
	none  = "none"
)

// Sizes of the header's ctx in bytes. Windows sends 24, libhimmelblau 32.
const (
	MinContext = 16
	MaxContext = 64
)

var (
	// ErrMalformed is wrapped by every error about the form of a token.
	ErrMalformed = errors.New("malformed token")
	// ErrAlgorithm says that a token names an algorithm this step does not take.
	ErrAlgorithm = errors.New("token algorithm is not the one this step takes")
	// ErrSignature says that the signature does not verify. It says no more.
	ErrSignature = errors.New("token signature does not verify")
	// ErrKey says that the key given is not fit for the algorithm.
	ErrKey = errors.New("key is not fit for the token algorithm")
)

// Header is the protected header.
type Header struct {
	// Alg is RS256, HS256 or, for ParseUnsigned only, none, for ParseES256 only, ES256.
	Alg string
	// Typ is JWT or empty.
	Typ string
	// Kid names a key; it is a hint and never proof of anything.
	Kid string
	// X5T is the SHA-1 thumbprint of the key's certificate, base64url; a hint as
	// well. Version 1.0 tokens of Entra have it.
	X5T string
	// Use is "ngc" in a Windows Hello assertion and else empty.
	Use string
	// Ctx is the context of the key derivation, 16 to 64 bytes, or nil. It
	// travels in standard base64 with padding.
	Ctx []byte
	// KDFVer is the version of the key derivation: 1, 2 or 3, and 0 when absent. Which
	// of them is good enough is the caller's to judge.
	KDFVer int
	// X5C is the signer's certificate in DER: one element or none.
	X5C [][]byte
}

// Token is a parsed token. Parsed is not verified: until a Verify method has
// returned nil, everything in it is the word of a stranger.
type Token struct {
	// Header is the decoded header.
	Header Header
	// Payload is the second segment, decoded and otherwise as transmitted.
	Payload []byte

	header       []byte
	signingInput string
	signature    []byte
}

// SigningInput is what the signature covers: the first two segments.
func (t *Token) SigningInput() string { return t.signingInput }

// Compact is the token in the only spelling that Parse takes.
func (t *Token) Compact() string { return Assemble(t.signingInput, t.signature) }

// Digest names the token for replay caches: SHA-256 over the decoded parts, each
// preceded by its length. Two spellings of one token, if there were any, would
// have one digest. The signature of ES256 is left out: whoever sees one can make a
// second one that verifies for the same input (s and n-s, SEC 1 4.1.4).
func (t *Token) Digest() [sha256.Size]byte {
	h := sha256.New()
	parts := [][]byte{t.header, t.Payload, t.signature}
	if t.Header.Alg == ES256 {
		parts = parts[:2]
	}
	for _, part := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	var d [sha256.Size]byte
	h.Sum(d[:0])
	return d
}
