package entracarrier

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// members are the text members of a JSON object; others are skipped.
type members map[string]string

func object(body []byte) (members, error) {
	var raw map[string]json.RawMessage
	if err := jose.DecodeObject(body, &raw); err != nil {
		return nil, badAnswer("it is not a JSON object")
	}
	m := members{}
	for name, v := range raw {
		if s, err := jose.Text(v); err == nil {
			m[name] = s
		}
	}
	return m, nil
}

// realmPath is where the user's name follows in an address.
const realmPath = "/userrealm/"

// discoverRealm is user realm discovery, version 1.0.
func (c *Carrier) discoverRealm(ctx context.Context, req *idpv1.DiscoverRealmRequest) (*idpv1.DiscoverRealmResponse, error) {
	address := at(c.login, "/common"+realmPath+url.PathEscape(req.GetUserPrincipalName()), url.Values{"api-version": {"1.0"}})
	body, err := ok(c.do(ctx, http.MethodGet, address, nil, nil))
	if err != nil {
		return nil, err
	}
	m, err := object(body)
	if err != nil {
		return nil, err
	}
	out := &idpv1.DiscoverRealmResponse{
		DomainName: m["domain_name"], CloudInstanceName: m["cloud_instance_name"], CloudAudienceUrn: m["cloud_audience_urn"],
		FederationProtocol: m["federation_protocol"], FederationMetadataUrl: m["federation_metadata_url"],
		FederationActiveAuthUrl: m["federation_active_auth_url"],
	}
	switch m["account_type"] {
	case "Managed":
		out.AccountType = idpv1.AccountType_ACCOUNT_TYPE_MANAGED
	case "Federated":
		out.AccountType = idpv1.AccountType_ACCOUNT_TYPE_FEDERATED
	case "Unknown":
		out.AccountType = idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN
	default:
		return nil, badAnswer("account_type is none of Managed, Federated and Unknown")
	}
	return out, nil
}

// issueNonce is the challenge of the token endpoint.
func (c *Carrier) issueNonce(ctx context.Context, _ *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	body, err := ok(c.form(ctx, at(c.login, tokenPath, nil), url.Values{"grant_type": {"srv_challenge"}}))
	if err != nil {
		return nil, err
	}
	m, err := object(body)
	if err != nil {
		return nil, err
	}
	return &idpv1.IssueNonceResponse{Nonce: m["Nonce"]}, nil
}
