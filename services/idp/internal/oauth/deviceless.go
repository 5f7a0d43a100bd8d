package oauth

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// maxJWK bounds a transport key, in bytes.
const maxJWK = 4 << 10

// devicelessPRT answers a code with a PRT that is bound to no device: for the
// broker, when scope has aza. No policy is asked, as for every PRT; it is when the
// PRT is used.
func (c Code) devicelessPRT(ctx context.Context, x *exchange, code sealed.Artefact) (Answer, error) {
	if x.client != entrawire.BrokerClientID {
		return Answer{}, prterr.AADSTS(aadsts.InvalidGrant, "the application may not have a PRT")
	}
	if c.PRTProtocol != 3 {
		return Answer{}, prterr.AADSTS(aadsts.InvalidRequest, "prt_protocol_version is not 3.0: a PRT without a device has a session key")
	}
	if !entrawire.HasScope(x.Scope, "aza") {
		return Answer{}, prterr.AADSTS(aadsts.InvalidScope, "scope does not have aza")
	}
	key, err := transportKey(c.TransportKey)
	if err != nil {
		return Answer{}, err
	}
	g, err := x.grant(ctx, code, audience{openid: true})
	if err != nil {
		return Answer{}, err
	}
	t, err := x.gate.Authority.DevicelessPRT(g, key, c.PRTProtocol)
	if err != nil {
		return Answer{}, err
	}
	out := x.answer(g, audience{told: []string{"aza", "openid", "profile"}}, t)
	out.TokenType = entrawire.TokenType
	return out, nil
}

// transportKey reads a JWK (RFC 7517): RSA of 2048 bits with exponent 65537, in
// base64url with padding or without.
func transportKey(text string) (*rsa.PublicKey, error) {
	wrong := prterr.AADSTS(aadsts.InvalidRequest, "stk_jwk is not an RSA key of 2048 bits as a JWK with kty, n and e")
	if text == "" {
		return nil, prterr.AADSTS(aadsts.MissingParameter, "stk_jwk is missing: the session key needs a key to be wrapped for")
	}
	var jwk map[string]json.RawMessage
	if len(text) > maxJWK || jose.DecodeObject([]byte(text), &jwk) != nil {
		return nil, wrong
	}
	if kty, err := jose.Text(jwk["kty"]); err != nil || kty != "RSA" {
		return nil, wrong
	}
	n, e := jwkNumber(jwk["n"]), jwkNumber(jwk["e"])
	if n == nil || n.BitLen() != 2048 || e == nil || !e.IsInt64() || e.Int64() != 65537 {
		return nil, wrong
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func jwkNumber(raw json.RawMessage) *big.Int {
	s, err := jose.Text(raw)
	if err != nil {
		return nil
	}
	b, err := jose.DecodeSegment(strings.TrimRight(s, "="))
	if err != nil || len(b) == 0 {
		return nil
	}
	return new(big.Int).SetBytes(b)
}
