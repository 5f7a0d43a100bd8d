package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/enrol"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// DeviceState serves prt.dsreg.v1.DeviceStateService.
type DeviceState struct {
	dsregv1.UnimplementedDeviceStateServiceServer
	Enroller *enrol.Enroller
}

// GetDeviceState tells what the device is, without the network and without a test of
// the keys: each sign-in asks.
func (s *DeviceState) GetDeviceState(ctx context.Context, _ *dsregv1.GetDeviceStateRequest) (*dsregv1.GetDeviceStateResponse, error) {
	id, err := s.Enroller.State(ctx)
	if err != nil {
		return nil, err
	}
	h := s.Enroller.Health()
	var p enrol.Provider
	if id != nil {
		p = s.Enroller.Provider(ctx)
	}
	return describe(id, p, keySignTest(h), h.Recovery), nil
}

// describe is the state of a device; id is nil when it is registered nowhere.
func describe(id *state.Identity, p enrol.Provider, test dsregv1.KeySignTest, recovery bool) *dsregv1.GetDeviceStateResponse {
	if id == nil {
		return &dsregv1.GetDeviceStateResponse{JoinState: dsregv1.JoinState_JOIN_STATE_NONE}
	}
	return &dsregv1.GetDeviceStateResponse{
		JoinState: joinState(id), AzureAdJoined: id.Joined(), WorkplaceJoined: !id.Joined(), DomainJoined: id.Hybrid(),
		DeviceId: string(id.DeviceID), TenantId: string(id.TenantID), MembershipId: string(id.Membership),
		DisplayName: id.DisplayName, JoinedBy: string(id.JoinedBy),
		CertificateThumbprint: id.Thumbprint(),
		CertificateNotBefore:  timestamppb.New(id.Certificate.NotBefore),
		CertificateNotAfter:   timestamppb.New(id.Certificate.NotAfter),
		KeyProvider:           p.Name, TpmProtected: p.Protected, SoftwareReason: p.SoftwareReason,
		KeySignTest: test, AadRecoveryEnabled: recovery, AttestedProtection: string(id.Protection),
	}
}

func joinState(id *state.Identity) dsregv1.JoinState {
	switch {
	case id.Hybrid():
		return dsregv1.JoinState_JOIN_STATE_HYBRID
	case id.Joined():
		return dsregv1.JoinState_JOIN_STATE_JOINED
	default:
		return dsregv1.JoinState_JOIN_STATE_REGISTERED
	}
}

func keySignTest(h enrol.Health) dsregv1.KeySignTest {
	switch {
	case !h.Tested:
		return dsregv1.KeySignTest_KEY_SIGN_TEST_NOT_RUN
	case h.Passed:
		return dsregv1.KeySignTest_KEY_SIGN_TEST_PASSED
	default:
		return dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED
	}
}
