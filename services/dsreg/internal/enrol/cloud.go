package enrol

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// maxNonce bounds a nonce, in bytes.
const maxNonce = 1024

// cloud is the identity provider as enrolment needs it.
type cloud struct {
	realms   idpv1.RealmServiceClient
	nonces   idpv1.NonceServiceClient
	metadata idpv1.MetadataServiceClient
	devices  idpv1.DeviceRegistrationServiceClient
}

func newCloud(conn grpc.ClientConnInterface) cloud {
	return cloud{
		realms: idpv1.NewRealmServiceClient(conn), nonces: idpv1.NewNonceServiceClient(conn),
		metadata: idpv1.NewMetadataServiceClient(conn), devices: idpv1.NewDeviceRegistrationServiceClient(conn),
	}
}

// managed refuses a user whose password the identity provider does not check.
func (c cloud) managed(ctx context.Context, user ids.UPN) error {
	resp, err := c.realms.DiscoverRealm(ctx, &idpv1.DiscoverRealmRequest{UserPrincipalName: string(user)})
	if err != nil {
		return err
	}
	switch resp.GetAccountType() {
	case idpv1.AccountType_ACCOUNT_TYPE_MANAGED:
		return nil
	case idpv1.AccountType_ACCOUNT_TYPE_FEDERATED:
		return prterr.New(prterr.Conflict, "the user signs in with a federation provider, and devices are joined and registered here with a password of the cloud: use a managed user of the tenant")
	case idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN:
		return prterr.AADSTS(aadsts.TenantNotFound, "the domain of user_principal_name belongs to no tenant: check its spelling")
	default:
		return prterr.New(prterr.Denied, "the identity provider's answer about the domain has no account type")
	}
}

// token authenticates the user and gets a token that registers devices.
func (c cloud) token(ctx context.Context, user ids.UPN, password secret.Text) (secret.Text, error) {
	resp, err := c.devices.RequestRegistrationToken(ctx, &idpv1.RequestRegistrationTokenRequest{
		UserPrincipalName: string(user), Password: password.Reveal(),
	})
	if err != nil {
		return secret.Text{}, err
	}
	if n := len(resp.GetAccessToken()); n == 0 || n > jose.MaxToken {
		return secret.Text{}, prterr.New(prterr.Denied, "the identity provider's registration token is empty or too long")
	}
	return secret.NewText(resp.GetAccessToken()), nil
}

func (c cloud) nonce(ctx context.Context) (string, error) {
	resp, err := c.nonces.IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	if err != nil {
		return "", err
	}
	if n := resp.GetNonce(); len(n) <= maxNonce && entrawire.IsOpaque(n) {
		return n, nil
	}
	return "", prterr.New(prterr.Denied, "the identity provider's nonce is not 1 to %d letters, digits, dots, dashes or underscores", maxNonce)
}

func (c cloud) remove(ctx context.Context, proof string) error {
	_, err := c.devices.DeleteDevice(ctx, &idpv1.DeleteDeviceRequest{Request: proof})
	return err
}
