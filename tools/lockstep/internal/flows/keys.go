package flows

import (
	"context"
	"fmt"

	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// computer is the account of the device in the domain of contoso.
func computer() actor.Computer {
	return actor.Computer{
		ID: "0f3b2c1d-5e4f-4a6b-8c7d-9e0f1a2b3c4d", SID: "S-1-5-21-1111111111-2222222222-3333333333-1104", Name: "DESKTOP-1",
		TenantID: "6babcaad-604b-40ac-a9d7-9fd97c0b779f", TargetDomain: "contoso.test",
	}
}

// fabrikamTenant is the tenant of the organisation whose users are of adatum.test, with
// a domain and a federation provider of its own.
const fabrikamTenant = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

func (r *Runner) hybridJoin(ctx context.Context, arg map[string]string) string {
	c := computer()
	if arg["tenant"] == "fabrikam" {
		c.TenantID, c.TargetDomain = fabrikamTenant, "adatum.test"
	}
	pending, err := r.device.Operator.JoinHybrid(ctx, c)
	if pending {
		return outcome("the join waits for the sync of the domain", err)
	}
	return outcome("the device is hybrid joined", err)
}

func (r *Runner) recoverDevice(ctx context.Context, arg map[string]string) string {
	upn, password, err := r.person(arg)
	if err == nil {
		_, err = r.device.Operator.Recover(ctx, upn, password)
	}
	return outcome("the device has new keys and a new registration, by "+upn, err)
}

// deviceState is what dsregcmd /status shows of the device and its keys.
func (r *Runner) deviceState(ctx context.Context) string {
	s, err := r.device.Operator.DeviceState(ctx)
	if err != nil {
		return failure(err)
	}
	if s.GetJoinState() == dsregv1.JoinState_JOIN_STATE_NONE {
		return "the device is registered nowhere\n"
	}
	return fmt.Sprintf("AzureAdJoined : %s\nDomainJoined : %s\nTpmProtected : %s\nKeySignTest : %s\nAadRecoveryEnabled : %s\n",
		yes(s.GetAzureAdJoined()), yes(s.GetDomainJoined()), yes(s.GetTpmProtected()), keyTest(s.GetKeySignTest()), yes(s.GetAadRecoveryEnabled()))
}

func keyTest(t dsregv1.KeySignTest) string {
	return map[dsregv1.KeySignTest]string{
		dsregv1.KeySignTest_KEY_SIGN_TEST_NOT_RUN: "NOT RUN", dsregv1.KeySignTest_KEY_SIGN_TEST_PASSED: "PASSED", dsregv1.KeySignTest_KEY_SIGN_TEST_FAILED: "FAILED",
	}[t]
}

func yes(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}
