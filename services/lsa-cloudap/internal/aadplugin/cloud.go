package aadplugin

import (
	"context"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const idpName = "identity provider"

// cloud is the identity provider as this plug-in sees it: every answer has been
// checked before it leaves these methods.
type cloud struct {
	realms   idpv1.RealmServiceClient
	nonces   idpv1.NonceServiceClient
	issuance idpv1.IssuanceServiceClient
	tokens   idpv1.TokenServiceClient
	grants   idpv1.GrantServiceClient
	devices  idpv1.DeviceRegistrationServiceClient
	pinReset idpv1.PINResetServiceClient
	timeout  time.Duration
}

// realm says who authenticates a user.
type realm struct {
	federated bool
	// metadataURL is the federation provider's metadata exchange, audience what
	// its tokens must be for. Both are empty for a managed user.
	metadataURL, audience string
}

// realm is step B of the first sign-in and C of the renewal.
func (c cloud) realm(ctx context.Context, upn ids.UPN) (realm, error) {
	a, err := call(ctx, c.timeout, c.realms.DiscoverRealm, &idpv1.DiscoverRealmRequest{UserPrincipalName: string(upn)})
	if err != nil {
		return realm{}, stranger(idpName, err)
	}
	switch a.GetAccountType() {
	case idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN:
		return realm{}, prterr.AADSTS(aadsts.TenantNotFound, "")
	case idpv1.AccountType_ACCOUNT_TYPE_MANAGED, idpv1.AccountType_ACCOUNT_TYPE_FEDERATED:
	default:
		return realm{}, badAnswer(idpName, "account_type is not known")
	}
	if !strings.EqualFold(a.GetDomainName(), upn.Domain()) {
		return realm{}, badAnswer(idpName, "domain_name is not the domain of the user")
	}
	if a.GetAccountType() == idpv1.AccountType_ACCOUNT_TYPE_MANAGED {
		return realm{}, nil
	}
	switch {
	case a.GetFederationProtocol() != "WSTrust":
		return realm{}, badAnswer(idpName, "federation_protocol is not WSTrust")
	case !httpsURL(a.GetFederationMetadataUrl()):
		return realm{}, badAnswer(idpName, "federation_metadata_url is not an https URL")
	case a.GetCloudAudienceUrn() == "" || !artefact.Line(a.GetCloudAudienceUrn(), artefact.MaxURI):
		return realm{}, badAnswer(idpName, "cloud_audience_urn is missing or malformed")
	}
	return realm{federated: true, metadataURL: a.GetFederationMetadataUrl(), audience: a.GetCloudAudienceUrn()}, nil
}

// nonce is step C of the first sign-in and D of the renewal.
func (c cloud) nonce(ctx context.Context) (string, error) {
	a, err := call(ctx, c.timeout, c.nonces.IssueNonce, &idpv1.IssueNonceRequest{})
	if err != nil {
		return "", stranger(idpName, err)
	}
	if !artefact.Opaque(a.GetNonce(), artefact.MaxNonce) {
		return "", badAnswer(idpName, "nonce is empty, too long or has a character that is not allowed")
	}
	return a.GetNonce(), nil
}

// requestPRT is step D of the first sign-in.
func (c cloud) requestPRT(ctx context.Context, request string) (issued, error) {
	a, err := call(ctx, c.timeout, c.issuance.RequestPRT, &idpv1.RequestPRTRequest{Request: request})
	if err != nil {
		return issued{}, stranger(idpName, err)
	}
	if a.GetSessionKeyJwe() == "" {
		return issued{}, badAnswer(idpName, "session_key_jwe is missing")
	}
	return checkIssued(a.GetRefreshToken(), a.GetRefreshTokenExpiresIn(), a.GetSessionKeyJwe(), a.GetIdToken())
}

// renewPRT is step E of the renewal; the answer is encrypted.
func (c cloud) renewPRT(ctx context.Context, request string) (string, error) {
	a, err := call(ctx, c.timeout, c.issuance.RenewPRT, &idpv1.RenewPRTRequest{Request: request})
	if err != nil {
		return "", stranger(idpName, err)
	}
	return encrypted(a.GetAnswer())
}

// redeemPRT asks for tokens with a PRT; the answer is encrypted.
func (c cloud) redeemPRT(ctx context.Context, request string) (string, error) {
	a, err := call(ctx, c.timeout, c.tokens.RedeemPRT, &idpv1.RedeemPRTRequest{Request: request})
	if err != nil {
		return "", stranger(idpName, err)
	}
	return encrypted(a.GetAnswer())
}

// encrypted checks the outer form; what is inside is the tpm-agent's to open.
func encrypted(answer string) (string, error) {
	if !artefact.Opaque(answer, artefact.MaxToken) {
		return "", badAnswer(idpName, "it is not a compact token")
	}
	return answer, nil
}
