package idptest

import (
	"context"
	"time"

	"google.golang.org/grpc"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// Admin is the operator of the tenant. Its methods are the common ones; the
// clients of the contracts are there for all others. Errors are pkg/prterr's.
type Admin struct {
	// Read, Change and Person are the contracts of prt.directory.v1.
	Read   directoryv1.ReadServiceClient
	Change directoryv1.AdminServiceClient
	Person directoryv1.PersonServiceClient

	tenant string
}

func newAdmin(conn grpc.ClientConnInterface, tenant string) *Admin {
	return &Admin{
		Read: directoryv1.NewReadServiceClient(conn), Change: directoryv1.NewAdminServiceClient(conn),
		Person: directoryv1.NewPersonServiceClient(conn), tenant: tenant,
	}
}

// CreateUser adds a user and returns the user's id.
func (a *Admin) CreateUser(ctx context.Context, u User) (string, error) {
	made, err := a.Change.CreateUser(ctx, &directoryv1.CreateUserRequest{
		UserPrincipalName: u.UPN, DisplayName: u.DisplayName, Password: u.Password, UserId: u.ID,
		Administrator: u.Administrator, NoJoin: u.NoJoin,
	})
	if err != nil || u.TOTPSecret == "" && !u.Push && u.Phone == "" {
		return made.GetUserId(), err
	}
	_, err = a.Change.SetUserMethods(ctx, &directoryv1.SetUserMethodsRequest{
		UserPrincipalName: u.UPN, TotpSecret: u.TOTPSecret, Push: u.Push, PhoneSignIn: u.PhoneSignIn, PhoneNumber: u.Phone,
	})
	return made.GetUserId(), err
}

// DeleteUser removes a user.
func (a *Admin) DeleteUser(ctx context.Context, upn string) error {
	_, err := a.Change.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: upn})
	return err
}

// DisableUser keeps a user out: nothing the user holds works any more.
func (a *Admin) DisableUser(ctx context.Context, upn string) error {
	_, err := a.Change.SetUserEnabled(ctx, &directoryv1.SetUserEnabledRequest{UserPrincipalName: upn})
	return err
}

// EnableUser lets a user in again.
func (a *Admin) EnableUser(ctx context.Context, upn string) error {
	_, err := a.Change.SetUserEnabled(ctx, &directoryv1.SetUserEnabledRequest{UserPrincipalName: upn, Enabled: true})
	return err
}

// SetPassword changes a password; what was obtained with the old one dies.
func (a *Admin) SetPassword(ctx context.Context, upn, password string) error {
	_, err := a.Change.SetUserPassword(ctx, &directoryv1.SetUserPasswordRequest{UserPrincipalName: upn, Password: password})
	return err
}

// SetMethods replaces the second factors of a user.
func (a *Admin) SetMethods(ctx context.Context, upn, totpSecret string, push bool) error {
	_, err := a.Change.SetUserMethods(ctx, &directoryv1.SetUserMethodsRequest{UserPrincipalName: upn, TotpSecret: totpSecret, Push: push})
	return err
}

// AccessPass makes a Temporary Access Pass for a user, in place of an earlier one.
// A life of 0 is an hour; otherwise it is 10 minutes to 30 days.
func (a *Admin) AccessPass(ctx context.Context, upn string, life time.Duration, oneTime bool) (string, error) {
	made, err := a.Change.IssueAccessPass(ctx, &directoryv1.IssueAccessPassRequest{
		UserPrincipalName: upn, LifetimeSeconds: int64(life / time.Second), OneTime: oneTime,
	})
	return made.GetAccessPass(), err
}

// Messages lists what went to the telephone of a user, the newest last.
func (a *Admin) Messages(ctx context.Context, upn string) ([]*directoryv1.Message, error) {
	list, err := a.Read.ListMessages(ctx, &directoryv1.ListMessagesRequest{UserPrincipalName: upn})
	return list.GetMessages(), err
}

// RevokeSessions makes worthless what a user got before now.
func (a *Admin) RevokeSessions(ctx context.Context, upn string) error {
	_, err := a.Change.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: upn})
	return err
}

// Users lists the users of the tenant.
func (a *Admin) Users(ctx context.Context) ([]*directoryv1.User, error) {
	list, err := a.Read.ListUsers(ctx, &directoryv1.ListUsersRequest{TenantId: a.tenant})
	return list.GetUsers(), err
}

// Devices lists the devices of the tenant.
func (a *Admin) Devices(ctx context.Context) ([]*directoryv1.Device, error) {
	list, err := a.Read.ListDevices(ctx, &directoryv1.ListDevicesRequest{TenantId: a.tenant})
	return list.GetDevices(), err
}

// SetDeviceEnabled enables or disables a device.
func (a *Admin) SetDeviceEnabled(ctx context.Context, deviceID string, enabled bool) error {
	_, err := a.Change.SetDeviceEnabled(ctx, &directoryv1.SetDeviceEnabledRequest{DeviceId: deviceID, Enabled: enabled})
	return err
}

// SetDeviceCompliant sets what a management service would.
func (a *Admin) SetDeviceCompliant(ctx context.Context, deviceID string, compliant bool) error {
	_, err := a.Change.SetDeviceCompliance(ctx, &directoryv1.SetDeviceComplianceRequest{DeviceId: deviceID, Compliant: compliant})
	return err
}

// RemoveDevice deletes a device.
func (a *Admin) RemoveDevice(ctx context.Context, deviceID string) error {
	_, err := a.Change.RemoveDevice(ctx, &directoryv1.RemoveDeviceRequest{DeviceId: deviceID})
	return err
}

// PutApplication adds or replaces an application; secrets make it confidential.
func (a *Admin) PutApplication(ctx context.Context, app *directoryv1.Application, secrets ...string) error {
	_, err := a.Change.PutApplication(ctx, &directoryv1.PutApplicationRequest{TenantId: a.tenant, Application: app, ClientSecrets: secrets})
	return err
}

// PutPolicy adds or replaces a conditional access policy and returns its id.
func (a *Admin) PutPolicy(ctx context.Context, policy *directoryv1.Policy) (string, error) {
	put, err := a.Change.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: a.tenant, Policy: policy})
	return put.GetPolicyId(), err
}

// DeletePolicy removes a policy.
func (a *Admin) DeletePolicy(ctx context.Context, policyID string) error {
	_, err := a.Change.DeletePolicy(ctx, &directoryv1.DeletePolicyRequest{TenantId: a.tenant, PolicyId: policyID})
	return err
}

// RotateKeys makes new keys for tokens; it returns the id of the new one.
func (a *Admin) RotateKeys(ctx context.Context) (string, error) {
	rotated, err := a.Change.RotateKeys(ctx, &directoryv1.RotateKeysRequest{})
	return rotated.GetKid(), err
}

// ApproveDeviceCode signs a device in as a user, as on the device code page.
func (a *Admin) ApproveDeviceCode(ctx context.Context, userCode, upn string) error {
	_, err := a.Person.ApproveDeviceCode(ctx, &directoryv1.ApproveDeviceCodeRequest{UserCode: userCode, UserPrincipalName: upn})
	return err
}

// Answer approves or denies the newest second factor that waits for a user.
func (a *Admin) Answer(ctx context.Context, upn string, approve bool) error {
	_, err := a.Person.AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{UserPrincipalName: upn, Approve: approve})
	return err
}

// OneTimeCode is the code that the user's app shows now: six digits.
func (a *Admin) OneTimeCode(ctx context.Context, upn string) (string, error) {
	shown, err := a.Person.ReadOneTimeCode(ctx, &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: upn})
	return shown.GetOneTimeCode(), err
}
