package jose

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// DecodeSegment decodes base64url without padding and takes one spelling per
// value. The alphabet is checked first, because encoding/base64 skips \r and \n
// wherever they stand; Strict refuses bits that are set beyond the last byte.
func DecodeSegment(s string) ([]byte, error) {
	for i := range len(s) {
		if !isURLAlphabet(s[i]) {
			return nil, fmt.Errorf("%w: character outside base64url", ErrMalformed)
		}
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	return b, nil
}

// EncodeSegment encodes base64url without padding.
func EncodeSegment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func isURLAlphabet(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// DecodeStd decodes standard base64 with padding, one spelling per value, as
// ctx and x5c have it.
func DecodeStd(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: line break in base64", ErrMalformed)
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", ErrMalformed)
	}
	return b, nil
}

// Split cuts a compact serialisation into exactly n segments, bounded in size.
func Split(compact string, n int) ([]string, error) {
	if len(compact) > MaxToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, MaxToken)
	}
	parts := strings.SplitN(compact, ".", n+1)
	if len(parts) != n {
		return nil, fmt.Errorf("%w: not %d segments", ErrMalformed, n)
	}
	return parts, nil
}
