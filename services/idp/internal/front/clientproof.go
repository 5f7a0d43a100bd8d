package front

import (
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// clientProof finds how a confidential client proves itself: in the form, in the
// Authorization header (RFC 6749 section 2.3.1), or by an assertion. More than
// one way at once is refused.
func (x *exchange) clientProof(p params, req *idpv1.RequestTokensRequest) error {
	ways := 0
	if p["client_secret"] != "" {
		ways++
		req.Proof = &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientSecret{ClientSecret: p["client_secret"]}}
	}
	if p["client_assertion"] != "" {
		ways++
		if p["client_assertion_type"] != clientAssertionType {
			return prterr.AADSTS(aadsts.InvalidRequest, "The parameter client_assertion_type is not %s.", clientAssertionType)
		}
		req.Proof = &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientAssertion{ClientAssertion: p["client_assertion"]}}
	}
	if scheme, _, _ := strings.Cut(x.r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
		ways++
		if err := x.basicProof(p, req); err != nil {
			return err
		}
	}
	if ways > 1 {
		return prterr.AADSTS(aadsts.InvalidRequest, "The client proves itself in more than one way: use one of client_secret, client_assertion and the Authorization header.")
	}
	return nil
}

// basicProof reads name and secret of the Authorization header, which are escaped
// as in a form before they are put together.
func (x *exchange) basicProof(p params, req *idpv1.RequestTokensRequest) error {
	id, secret, ok := x.r.BasicAuth()
	id, secret = unescape(id), unescape(secret)
	if !ok || !clean(id) || !clean(secret) {
		return prterr.AADSTS(aadsts.InvalidRequest, "The Authorization header is not of the form Basic base64(client_id:client_secret).")
	}
	if p["client_id"] != "" && !strings.EqualFold(p["client_id"], id) {
		return prterr.AADSTS(aadsts.InvalidRequest, "The parameter client_id names another application than the Authorization header.")
	}
	req.ClientId = id
	req.Proof = &idpv1.ClientProof{Proof: &idpv1.ClientProof_ClientSecret{ClientSecret: secret}}
	return nil
}
