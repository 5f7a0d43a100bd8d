package server

import (
	"context"
	"net/url"

	"google.golang.org/protobuf/types/known/timestamppb"

	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/enrol"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// Diagnostics serves prt.dsreg.v1.DiagnosticsService.
type Diagnostics struct {
	dsregv1.UnimplementedDiagnosticsServiceServer
	Enroller *enrol.Enroller
}

// DescribeRegistration tells everything about the registration.
func (s *Diagnostics) DescribeRegistration(ctx context.Context, req *dsregv1.DescribeRegistrationRequest) (*dsregv1.DescribeRegistrationResponse, error) {
	d, err := s.Enroller.Describe(ctx, req.GetLive())
	if err != nil {
		return nil, err
	}
	resp := &dsregv1.DescribeRegistrationResponse{
		State:            describe(d.Identity, s.provider(ctx, d.Identity), keyTestOf(d.Keys), d.Health.Recovery),
		DeviceAuthStatus: deviceAuth(d.Auth), Tenant: tenant(d.Tenant), LastAttempt: attempt(d.Attempt), DomainName: d.Domain,
	}
	resp.State.DomainJoined = d.Domain != ""
	if d.Identity != nil {
		resp.KeyContainerId = d.Identity.KeySet
	}
	for _, t := range d.Tests {
		resp.Tests = append(resp.Tests, &dsregv1.DiagnosticTest{Name: t.Name, Result: t.Result, Code: t.Code, SubCode: t.SubCode})
	}
	return resp, nil
}

// provider is not asked for a device that has no keys.
func (s *Diagnostics) provider(ctx context.Context, id *state.Identity) enrol.Provider {
	if id == nil {
		return enrol.Provider{}
	}
	return s.Enroller.Provider(ctx)
}

func deviceAuth(a enrol.DeviceAuth) dsregv1.DeviceAuthStatus {
	return map[enrol.DeviceAuth]dsregv1.DeviceAuthStatus{
		enrol.AuthNotTested:         dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_UNSPECIFIED,
		enrol.AuthSuccess:           dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS,
		enrol.AuthDisabledOrDeleted: dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED,
		enrol.AuthError:             dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_ERROR,
	}[a]
}

func keyTestOf(k enrol.KeyTest) dsregv1.KeySignTest {
	return map[enrol.KeyTest]dsregv1.KeySignTest{
		enrol.KeysNotTested: dsregv1.KeySignTest_KEY_SIGN_TEST_NOT_RUN,
		enrol.KeysPassed:    dsregv1.KeySignTest_KEY_SIGN_TEST_PASSED,
		enrol.KeysFailed:    dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED,
	}[k]
}

// tenant is the Tenant Details section. There is no device management and no roaming
// of settings here, so their addresses are empty.
func tenant(t *state.Tenant) *dsregv1.TenantDetails {
	if t == nil {
		return nil
	}
	return &dsregv1.TenantDetails{
		TenantName: t.Name, TenantId: t.ID, Idp: hostOf(t.AuthCodeURL), AuthCodeUrl: t.AuthCodeURL, AccessTokenUrl: t.TokenURL,
		JoinSrv: tenantService(t.Join), KeySrv: tenantService(t.Key), WebauthnSrv: tenantService(t.WebAuthn),
		DeviceManagementSrv: tenantService(t.DeviceManage),
	}
}

func tenantService(s state.TenantService) *dsregv1.TenantService {
	if s == (state.TenantService{}) {
		return nil
	}
	return &dsregv1.TenantService{Version: s.Version, Url: s.URL, Id: s.ID}
}

// hostOf is the name of a host in an address, empty when it is none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func attempt(a *state.Attempt) *dsregv1.RegistrationAttempt {
	if a == nil {
		return nil
	}
	return &dsregv1.RegistrationAttempt{
		Time: timestamppb.New(a.Time), RegistrationType: a.Type, ErrorPhase: a.Phase, ClientErrorCode: a.Code,
		ServerErrorCode: a.ServerCode, ServerMessage: a.ServerMessage, HttpsStatus: a.HTTPSStatus, RequestId: a.RequestID,
		FallbackToSyncJoin: a.Type == "sync", Pending: a.Pending,
		LeftBehindDeviceId: a.LeftBehind,
	}
}
