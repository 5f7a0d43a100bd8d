package oauth

import (
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// boundKey reads which key an access token is to be bound to (RFC 7800; the
// clients' req_cnf is base64url JSON with kid). Empty for a bearer token.
func boundKey(tokenType, reqCnf string) (string, error) {
	switch {
	case tokenType == "" || strings.EqualFold(tokenType, "bearer"):
		return "", nil
	case !strings.EqualFold(tokenType, "pop"):
		return "", prterr.AADSTS(aadsts.InvalidRequest, "token_type is neither Bearer nor pop")
	case reqCnf == "":
		return "", prterr.AADSTS(aadsts.MissingParameter, "req_cnf is missing: a pop token is bound to a key")
	}
	wrong := prterr.AADSTS(aadsts.InvalidRequest, "req_cnf is not base64url JSON with a kid of 1 to 256 characters")
	raw, err := jose.DecodeSegment(strings.TrimRight(reqCnf, "="))
	if err != nil {
		return "", wrong
	}
	var c map[string]json.RawMessage
	if err := jose.DecodeObject(raw, &c); err != nil {
		return "", wrong
	}
	kid, err := jose.Text(c["kid"])
	if err != nil || kid == "" || len(kid) > 256 {
		return "", wrong
	}
	return kid, nil
}
