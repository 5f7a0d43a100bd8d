// Package server is the edge: it takes protobuf messages apart, calls a room,
// and puts the answer together.
//
// What lives here: one file per RPC service, each method a few lines. What never
// may: a rule. Generated types stop here.
package server

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	cloudInstance      = "microsoftonline.com"
	cloudAudience      = "urn:federation:MicrosoftOnline"
	federationProtocol = "WSTrust"
)

// Realm serves RealmService.
type Realm struct {
	idpv1.UnimplementedRealmServiceServer
	Tenants *tenant.Set
}

// DiscoverRealm says who authenticates a user. It looks at the domain only, so
// it tells nothing about whether the user exists.
func (s *Realm) DiscoverRealm(_ context.Context, req *idpv1.DiscoverRealmRequest) (*idpv1.DiscoverRealmResponse, error) {
	upn, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return nil, err
	}
	out := &idpv1.DiscoverRealmResponse{
		AccountType: idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN, DomainName: upn.Domain(),
		CloudInstanceName: cloudInstance, CloudAudienceUrn: cloudAudience,
	}
	home, known := s.Tenants.Home(upn.Domain())
	if !known {
		return out, nil
	}
	out.AccountType, out.BrandName, out.TenantId = idpv1.AccountType_ACCOUNT_TYPE_MANAGED, home.Tenant.DisplayName, string(home.Tenant.ID)
	if f := home.Domain.Federated; f != nil {
		out.AccountType, out.FederationProtocol = idpv1.AccountType_ACCOUNT_TYPE_FEDERATED, federationProtocol
		out.FederationMetadataUrl, out.FederationActiveAuthUrl, out.FederationPassiveAuthUrl = f.MexURL, f.ActiveURL, f.PassiveURL
	}
	return out, nil
}

// Nonce serves NonceService.
type Nonce struct {
	idpv1.UnimplementedNonceServiceServer
	Nonces *nonce.Issuer
}

// IssueNonce hands out a nonce.
func (s *Nonce) IssueNonce(context.Context, *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	return &idpv1.IssueNonceResponse{Nonce: s.Nonces.Issue()}, nil
}

func userName(s string) (ids.UPN, error) {
	upn, err := ids.ParseUPN(s)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "user_principal_name is not right: %v", err)
	}
	return upn, nil
}
