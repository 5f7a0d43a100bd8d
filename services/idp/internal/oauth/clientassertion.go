package oauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // x5t is a thumbprint by definition; it picks a certificate and proves nothing
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
)

const (
	// maxAssertionLife bounds how long a client assertion may live. Libraries make
	// them for ten minutes.
	maxAssertionLife = 24 * time.Hour
	// skew is how far a client's clock may be off.
	skew       = 5 * time.Minute
	minRSABits = 2048
)

// assertionHeader is what is read of the header (RFC 7515); x5c is not, because
// the certificate is the registered one.
type assertionHeader struct {
	Alg     string `json:"alg"`
	Kid     string `json:"kid"`
	X5T     string `json:"x5t"`
	X5TS256 string `json:"x5t#S256"`
	Crit    any    `json:"crit"`
}

type assertionClaims struct {
	Aud string `json:"aud"`
	Iss string `json:"iss"`
	Sub string `json:"sub"`
	JTI string `json:"jti"`
	Exp number `json:"exp"`
	Nbf number `json:"nbf"`
}

// number is seconds, written as a number or as a string: both are sent.
type number int64

// UnmarshalJSON reads both spellings.
func (n *number) UnmarshalJSON(b []byte) error {
	var v json.Number
	if err := json.Unmarshal(bytes.Trim(b, `"`), &v); err != nil {
		return err
	}
	f, err := v.Float64()
	*n = number(f)
	return err
}

// checkAssertion checks a JWT that the client signed (RFC 7523). The key is that of
// a registered certificate, which the header may only point at. Two algorithms are
// taken, both of RSA with SHA-256: RS256, and PS256, which the current libraries
// of Entra's clients use and nothing else; a key of one is no weaker in the other.
func (x *exchange) checkAssertion(ctx context.Context) error {
	refused := prterr.AADSTS(aadsts.ClientAssertionInvalid, "")
	text := x.Assertion.Reveal()
	if len(text) > jose.MaxToken {
		return refused
	}
	parts, err := jose.Split(text, 3)
	if err != nil {
		return refused
	}
	var raw [3][]byte
	for i := range parts {
		if raw[i], err = jose.DecodeSegment(parts[i]); err != nil {
			return refused
		}
	}
	var h assertionHeader
	var c assertionClaims
	if jose.DecodeObject(raw[0], &h) != nil || jose.DecodeObject(raw[1], &c) != nil || h.Crit != nil {
		return refused
	}
	cert := registered(x.app.Certificates, h)
	if cert == nil || !verifies(h.Alg, parts[0]+"."+parts[1], raw[2], cert) {
		return refused
	}
	return x.judgeAssertion(ctx, c)
}

// registered finds the certificate that the header points at.
func registered(certs []*x509.Certificate, h assertionHeader) *x509.Certificate {
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool {
		short, long := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
		switch {
		case h.X5TS256 != "":
			return bytes.Equal(thumbprint(h.X5TS256), long[:])
		case h.X5T != "":
			return bytes.Equal(thumbprint(h.X5T), short[:])
		default:
			return h.Kid != "" && (bytes.Equal(thumbprint(h.Kid), short[:]) || bytes.Equal(thumbprint(h.Kid), long[:]) || strings.EqualFold(h.Kid, hexOf(short[:])))
		}
	})
	if i < 0 {
		return nil
	}
	return certs[i]
}

// thumbprint reads base64url, and base64 as some libraries write it.
func thumbprint(s string) []byte {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

func verifies(alg, input string, signature []byte, cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minRSABits {
		return false
	}
	switch alg {
	case jose.RS256:
		return jwt.SigningMethodRS256.Verify(input, signature, key) == nil
	case "PS256":
		// The library would take a salt of any length (RFC 7518 3.5 has that of the hash).
		sum := sha256.Sum256([]byte(input))
		return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	default:
		return false
	}
}

// judgeAssertion judges the claims of an assertion whose signature is good.
func (x *exchange) judgeAssertion(ctx context.Context, c assertionClaims) error {
	now := x.gate.Clock.Now()
	ends := time.Unix(int64(c.Exp), 0)
	switch {
	case !strings.EqualFold(c.Iss, string(x.client)) || !strings.EqualFold(c.Sub, string(x.client)):
		return prterr.AADSTS(aadsts.ClientAssertionSubject, "")
	case !x.ownEndpoint(c.Aud):
		return prterr.AADSTS(aadsts.ClientAssertionAudience, "")
	case c.Exp == 0 || now.After(ends.Add(skew)) || ends.Sub(now) > maxAssertionLife || time.Unix(int64(c.Nbf), 0).Sub(now) > skew:
		return prterr.AADSTS(aadsts.ClientAssertionExpired, "")
	case c.JTI == "" || len(c.JTI) > 256:
		return prterr.AADSTS(aadsts.ClientAssertionInvalid, "the client assertion has no jti of 1 to 256 characters")
	case !x.tenant.Profile.AssertionOnce:
		return nil
	}
	name := sha256.Sum256([]byte("client assertion|" + string(x.tenant.ID) + "|" + string(x.client) + "|" + c.JTI))
	first, err := x.gate.Replays.Use(ctx, replay.Digest(name), ends.Add(skew))
	if err == nil && !first {
		return prterr.AADSTS(aadsts.ClientAssertionInvalid, "the client assertion was used before: make one for each request")
	}
	return err
}

// ownEndpoint reports whether an audience is a token endpoint of this tenant, or
// its issuer, on the host that was asked or on Entra's: an assertion for another
// server is not for us.
func (x *exchange) ownEndpoint(aud string) bool {
	u, err := url.Parse(aud)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	hosts := []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}
	if !slices.Contains(hosts, strings.ToLower(u.Host)) && (x.Caller.Host == "" || !strings.EqualFold(u.Host, x.Caller.Host)) {
		return false
	}
	path := strings.Split(strings.ToLower(strings.Trim(u.Path, "/")), "/")
	t, err := x.segment(path[0])
	if err != nil || t != nil && t.ID != x.tenant.ID {
		return false
	}
	return slices.Contains([]string{"oauth2/token", "oauth2/v2.0/token", "v2.0", ""}, strings.Join(path[1:], "/"))
}
