// Package artefact holds the outer form of what crosses in the PRT protocol:
// which characters, how long. It knows nothing of what is inside; nonces, PRTs
// and compact tokens are opaque to a device. The authorities of the PRT read by it.
package artefact

import (
	"errors"
	"time"
)

// Limits, in bytes.
const (
	MaxPRT       = 16 << 10
	MaxNonce     = 4 << 10
	MaxToken     = 64 << 10
	MaxSealedKey = 8 << 10
	MaxSealedPRT = 20 << 10
	MaxSealed    = 32 << 10
	MaxName      = 256
	MaxURI       = 2 << 10
	MaxPassword  = 256
	MaxPIN       = 127 * 4
	MaxFinalURI  = 32 << 10
	MaxClaims    = 4 << 10
	MaxPageState = 4 << 10
	MaxChain     = 8
	MaxCert      = 8 << 10
	MaxSignature = 1 << 10
	MaxAssertion = 32 << 10
)

// MaxLife bounds a lifetime that somebody else names.
const MaxLife = 400 * 24 * time.Hour

// Opaque reports whether s is 1 to limit characters of [A-Za-z0-9._-], the
// alphabet of nonces, PRTs and compact tokens.
func Opaque(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Line reports whether s is printable ASCII without blanks, at most limit bytes;
// the empty string is one.
func Line(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Life turns a lifetime in seconds into a duration; false unless it is 1 second
// to 400 days.
func Life(seconds int64) (time.Duration, bool) {
	if seconds < 1 || seconds > int64(MaxLife/time.Second) {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

// CheckCard holds the outer form of a smart card's proof.
func CheckCard(chain [][]byte, signature []byte) error {
	if len(chain) == 0 || len(chain) > MaxChain {
		return errors.New("chain must be 1 to 8 certificates")
	}
	for _, c := range chain {
		if len(c) == 0 || len(c) > MaxCert {
			return errors.New("chain has a certificate that is empty or longer than 8 KiB")
		}
	}
	if len(signature) == 0 || len(signature) > MaxSignature {
		return errors.New("signature is empty or longer than 1 KiB")
	}
	return nil
}
