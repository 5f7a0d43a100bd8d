package aadplugin

import (
	"context"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const idpName = "identity provider"

// cloud is what the identity provider has for the logon of Windows alone; the rest of it
// is pkg/authority. Every answer has been checked before it leaves these methods.
type cloud struct {
	realms   idpv1.RealmServiceClient
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
		return realm{}, authority.Stranger(idpName, err)
	}
	switch a.GetAccountType() {
	case idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN:
		return realm{}, prterr.AADSTS(aadsts.TenantNotFound, "")
	case idpv1.AccountType_ACCOUNT_TYPE_MANAGED, idpv1.AccountType_ACCOUNT_TYPE_FEDERATED:
	default:
		return realm{}, authority.BadAnswer(idpName, "account_type is not known")
	}
	if !strings.EqualFold(a.GetDomainName(), upn.Domain()) {
		return realm{}, authority.BadAnswer(idpName, "domain_name is not the domain of the user")
	}
	if a.GetAccountType() == idpv1.AccountType_ACCOUNT_TYPE_MANAGED {
		return realm{}, nil
	}
	switch {
	case a.GetFederationProtocol() != "WSTrust":
		return realm{}, authority.BadAnswer(idpName, "federation_protocol is not WSTrust")
	case !httpsURL(a.GetFederationMetadataUrl()):
		return realm{}, authority.BadAnswer(idpName, "federation_metadata_url is not an https URL")
	case a.GetCloudAudienceUrn() == "" || !artefact.Line(a.GetCloudAudienceUrn(), artefact.MaxURI):
		return realm{}, authority.BadAnswer(idpName, "cloud_audience_urn is missing or malformed")
	}
	return realm{federated: true, metadataURL: a.GetFederationMetadataUrl(), audience: a.GetCloudAudienceUrn()}, nil
}
