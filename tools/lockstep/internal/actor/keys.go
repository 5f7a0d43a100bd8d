package actor

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// Computer is an account in an on-premises domain, and the tenant that the domain is
// synchronised to.
type Computer struct {
	ID, SID, Name          string
	TenantID, TargetDomain string
}

// JoinHybrid joins the computer to the tenant of its domain, as the scheduled task of
// Windows does. pending is true until the sync has run.
func (o Operator) JoinHybrid(ctx context.Context, c Computer) (pending bool, err error) {
	resp, err := dsregv1.NewRegistrationServiceClient(o.Dsreg).JoinHybridDevice(ctx, &dsregv1.JoinHybridDeviceRequest{
		TenantId: c.TenantID, TargetDomain: c.TargetDomain, ComputerId: c.ID, ComputerSid: c.SID, DisplayName: c.Name,
	})
	return resp.GetPending(), err
}

// Sync is one run of the sync of the domain: what the computer has written to its
// object there comes to the directory of the tenant.
func (o Operator) Sync(ctx context.Context) error {
	a, err := dsregv1.NewRegistrationServiceClient(o.Dsreg).DescribeComputerAccount(ctx, &dsregv1.DescribeComputerAccountRequest{})
	if err != nil {
		return err
	}
	_, err = directoryv1.NewAdminServiceClient(o.Directory).PutHybridDevice(ctx, &directoryv1.PutHybridDeviceRequest{
		TenantId: a.GetTenantId(), DeviceId: a.GetComputerId(), Sid: a.GetComputerSid(), Certificate: a.GetCertificate(), DisplayName: a.GetDisplayName(),
	})
	return err
}

// Recover is the guided flow for a device whose keys are lost, with what an
// administrator of the device typed.
func (o Operator) Recover(ctx context.Context, user string, password secret.Text) (*dsregv1.RecoverDeviceResponse, error) {
	return dsregv1.NewRegistrationServiceClient(o.Dsreg).RecoverDevice(ctx, &dsregv1.RecoverDeviceRequest{
		UserPrincipalName: user, Password: password.Reveal(),
	})
}

// MigrateKeys moves the keys of the device from software to its TPM, and answers
// with the name of what holds them now.
func (o Operator) MigrateKeys(ctx context.Context) (string, error) {
	resp, err := dsregv1.NewRegistrationServiceClient(o.Dsreg).MigrateDeviceKeys(ctx, &dsregv1.MigrateDeviceKeysRequest{})
	return resp.GetKeyProvider(), err
}
