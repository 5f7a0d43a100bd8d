package resource

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// proofAge is how far the time in a proof may be from ours, either way.
	proofAge = 5 * time.Minute
	// minBits and maxBits bound the key of a proof: a long one is dear to verify.
	minBits, maxBits = 2048, 4096
)

// proof is a signed HTTP request, the form that MSAL sends with the scheme PoP
// (after draft-ietf-oauth-signed-http-request): who has the key signs the access
// token, the time, and what is asked for.
type proof struct {
	token *jose.Token
	claims
}

type claims struct {
	At     string      `json:"at"`
	TS     json.Number `json:"ts"`
	Method string      `json:"m"`
	Host   string      `json:"u"`
	Path   string      `json:"p"`
	Cnf    struct {
		JWK struct {
			Kty string `json:"kty"`
			N   string `json:"n"`
			E   string `json:"e"`
		} `json:"jwk"`
	} `json:"cnf"`
}

func wrongProof(format string, args ...any) error {
	return prterr.New(prterr.Unauthenticated, "pop_proof "+format, args...)
}

// openProof finds the access token of a call. A proof must hold the very token
// that came beside it, if one did.
func openProof(c Call) (token string, p *proof, err error) {
	if c.Proof.Empty() {
		return c.Token.Reveal(), nil, nil
	}
	t, err := jose.Parse(c.Proof.Reveal())
	if err != nil {
		return "", nil, wrongProof("is not a signed HTTP request: %v", err)
	}
	p = &proof{token: t}
	if err := t.Claims(&p.claims); err != nil {
		return "", nil, wrongProof("has claims of another form than a signed HTTP request")
	}
	if !c.Token.Empty() && subtle.ConstantTimeCompare([]byte(c.Token.Reveal()), []byte(p.At)) != 1 {
		return "", nil, wrongProof("is for another access token: sign the one that is sent")
	}
	return p.At, p, nil
}

// possession demands a proof of whoever brings a token that is bound to a key,
// and takes none for a token that is not.
func (s *Service) possession(c Call, token tokenClaims, p *proof, want tenant.Resource) error {
	var bound struct {
		KID string `json:"kid"`
	}
	switch {
	case token.Cnf == nil && p == nil:
		return nil
	case token.Cnf == nil:
		return wrongProof("is for a token that is bound to no key: send it as Bearer, or ask for a token with req_cnf")
	case p == nil:
		return prterr.New(prterr.Unauthenticated, "access_token is bound to a key: send a signed HTTP request with the scheme PoP")
	case json.Unmarshal(token.Cnf, &bound) != nil || bound.KID == "":
		return refused(want)
	}
	key, thumbprint, err := p.key()
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(thumbprint), []byte(bound.KID)) != 1 {
		return wrongProof("is signed by another key than the access token is bound to")
	}
	if err := p.token.VerifyRS256(key); err != nil {
		return wrongProof("does not verify: sign it RS256 with the key in cnf.jwk")
	}
	return s.request(c, p)
}

// request compares what the proof says of the request with what the front saw.
func (s *Service) request(c Call, p *proof) error {
	ts, err := p.TS.Int64()
	if age := s.cfg.Clock.Now().Sub(time.Unix(ts, 0)); err != nil || age > proofAge || age < -proofAge {
		return wrongProof("has a ts that is not within five minutes of now: sign each request anew")
	}
	for _, f := range []struct {
		claim, said, seen string
		same              func(a, b string) bool
	}{
		{"m", p.Method, c.Method, strings.EqualFold}, {"u", p.Host, c.Host, strings.EqualFold},
		{"p", p.Path, c.Path, func(a, b string) bool { return a == b }},
	} {
		if f.said != "" && f.seen != "" && !f.same(f.said, f.seen) {
			return wrongProof("is for another request: its %s is not that of this one", f.claim)
		}
	}
	return nil
}

// key reads the key that the proof brings, and its thumbprint by RFC 7638.
func (p *proof) key() (*rsa.PublicKey, string, error) {
	jwk := p.Cnf.JWK
	n, err := jose.DecodeSegment(jwk.N)
	if err != nil || jwk.Kty != "RSA" {
		return nil, "", wrongProof("has no RSA key in cnf.jwk")
	}
	e, err := jose.DecodeSegment(jwk.E)
	if err != nil || len(e) == 0 || len(e) > 4 {
		return nil, "", wrongProof("has no RSA key in cnf.jwk")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < minBits || bits > maxBits || key.E < 3 {
		return nil, "", wrongProof("has a key in cnf.jwk that is not %d to %d bits", minBits, maxBits)
	}
	// The members in this order and nothing else; both strings are base64url, which
	// JSON does not escape, and strict, so that one key has one thumbprint.
	sum := sha256.Sum256([]byte(`{"e":"` + jose.EncodeSegment(e) + `","kty":"RSA","n":"` + jose.EncodeSegment(n) + `"}`))
	return key, jose.EncodeSegment(sum[:]), nil
}
