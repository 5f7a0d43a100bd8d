package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

func skipped() []Test {
	return []Test{
		{Name: TestADConnectivity, Result: Skipped}, {Name: TestADConfiguration, Result: Skipped}, {Name: TestDRSDiscovery, Result: Skipped},
		{Name: TestDRSConnectivity, Result: Skipped}, {Name: TestToken, Result: Skipped},
	}
}

// beforeJoin makes the tests of a hybrid join that waits. Two are skipped always: this
// component has no line to a domain controller, and the sync form of the join needs no
// token.
func (e *Enroller) beforeJoin(ctx context.Context, w *state.Waiting) []Test {
	tests := skipped()
	_, err := e.find(ctx, string(w.TenantID))
	tests[2] = outcome(TestDRSDiscovery, err)
	tests[3] = outcome(TestDRSConnectivity, in(discover, e.reaches(ctx)))
	if err != nil {
		return tests // without discovery nothing can be held against the configuration
	}
	domain, err := e.cloud.discover(ctx, w.Computer.TargetDomain)
	tests[1] = configured(domain.id, w.TenantID, err)
	return tests
}

// reaches reports whether the registration service answers at all. It is asked for
// something that it refuses.
func (e *Enroller) reaches(ctx context.Context) error {
	_, err := e.cloud.devices.RequestAttestationChallenge(ctx, &idpv1.RequestAttestationChallengeRequest{})
	switch prterr.KindOf(err) {
	case prterr.Unavailable, prterr.Deadline, prterr.Internal:
		return err
	default:
		return nil
	}
}

// configured is whether the domain that this computer was told of is one of the tenant
// that it was told of: what a service connection point would say.
func configured(found, told ids.TenantID, err error) Test {
	switch {
	case err != nil && uncertain(err):
		return Test{Name: TestADConfiguration, Result: Skipped}
	case err != nil || found != told:
		return Test{Name: TestADConfiguration, Result: Fail, Code: codeNoSCP}
	default:
		return Test{Name: TestADConfiguration, Result: Pass}
	}
}

func outcome(name string, err error) Test {
	if err == nil {
		return Test{Name: name, Result: Pass}
	}
	code, sub := codesOf(err)
	return Test{Name: name, Result: Fail, Code: code, SubCode: sub}
}
