package jose

import "fmt"

// Parse reads a signed compact token: at most 64 KiB, exactly three segments of
// base64url without padding, a header and a payload that are strict JSON objects
// (see CheckObject), alg RS256 or HS256, a signature. Errors wrap ErrMalformed or
// ErrAlgorithm and never quote the token.
func Parse(compact string) (*Token, error) {
	t, err := parse(compact)
	if err != nil {
		return nil, err
	}
	if t.Header.Alg != RS256 && t.Header.Alg != HS256 {
		return nil, ErrAlgorithm
	}
	if len(t.signature) == 0 {
		return nil, fmt.Errorf("%w: empty signature", ErrMalformed)
	}
	return t, nil
}

// ParseUnsigned reads a token with alg none and an empty third segment, such as
// the id_token of a PRT answer. What is in it is good for display, and only when
// it came over a channel that vouches for it; no Verify method accepts it.
func ParseUnsigned(compact string) (*Token, error) {
	t, err := parse(compact)
	if err != nil {
		return nil, err
	}
	if t.Header.Alg != none {
		return nil, ErrAlgorithm
	}
	if len(t.signature) != 0 {
		return nil, fmt.Errorf("%w: unsigned token has a signature", ErrMalformed)
	}
	return t, nil
}

func parse(compact string) (*Token, error) {
	parts, err := Split(compact, 3)
	if err != nil {
		return nil, err
	}
	var decoded [3][]byte
	for i, name := range [...]string{"header", "payload", "signature"} {
		if decoded[i], err = DecodeSegment(parts[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	h, err := parseHeader(decoded[0])
	if err != nil {
		return nil, err
	}
	if err := CheckObject(decoded[1]); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return &Token{
		Header:       h,
		Payload:      decoded[1],
		header:       decoded[0],
		signingInput: compact[:len(parts[0])+1+len(parts[1])],
		signature:    decoded[2],
	}, nil
}

// Claims decodes the payload into v. Parse has already held the payload to
// CheckObject, so there is one object, no name twice and nothing behind it.
func (t *Token) Claims(v any) error { return unmarshal(t.Payload, v) }
