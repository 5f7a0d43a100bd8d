package enrol

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

const (
	// liveWait bounds each test that needs the network: who looks for a fault must not
	// wait for what does not answer.
	liveWait = 3 * time.Second
	// keyWait bounds the test of the keys: a chip takes its time for each.
	keyWait = 10 * time.Second
)

// DeviceAuth is whether the tenant still takes the device.
type DeviceAuth int

// What may be known of it.
const (
	AuthNotTested DeviceAuth = iota
	AuthSuccess
	// AuthDisabledOrDeleted is a device that its tenant refuses.
	AuthDisabledOrDeleted
	// AuthError says that it could not be found out.
	AuthError
)

// KeyTest is the outcome of a self-test of the keys.
type KeyTest int

// The outcomes.
const (
	KeysNotTested KeyTest = iota
	KeysPassed
	KeysFailed
)

// Names of the tests before a hybrid join, as dsregcmd /status shows them.
const (
	TestADConnectivity  = "AD Connectivity Test"
	TestADConfiguration = "AD Configuration Test"
	TestDRSDiscovery    = "DRS Discovery Test"
	TestDRSConnectivity = "DRS Connectivity Test"
	TestToken           = "Token acquisition Test"
)

// Results of them.
const (
	Pass    = "PASS"
	Fail    = "FAIL"
	Skipped = "SKIPPED"
)

// Test is one of them. Codes are 0 unless it failed.
type Test struct {
	Name, Result  string
	Code, SubCode uint32
}

// Description is everything about the registration.
type Description struct {
	// Identity is nil when there is none.
	Identity *state.Identity
	Keys     KeyTest
	Health   Health
	Auth     DeviceAuth
	// Tenant is nil when no discovery of it is known.
	Tenant *state.Tenant
	// Tests are there while a hybrid join waits; Domain is that of its computer then, or
	// of the hybrid joined one.
	Tests   []Test
	Attempt *state.Attempt
	Domain  string
}

// Describe tells what is known of the registration. With live, what needs network and
// TPM is tried out now, all of it at once, each within its own time; a test that cannot
// be made is one that says so, and no error. Without, nobody is asked.
func (e *Enroller) Describe(ctx context.Context, live bool) (Description, error) {
	id, err := e.State(ctx)
	if err != nil {
		return Description{}, err
	}
	waiting := e.store.Get().Waiting
	d := Description{Identity: id, Domain: domainOf(id, waiting)}
	before := id == nil && waiting != nil
	if before {
		d.Tests = skipped()
	}
	if live {
		e.tryOut(ctx, &d, id, waiting)
	}
	d.Health = e.Health()
	if d.Health.Tested && d.Keys == KeysNotTested {
		d.Keys = KeysFailed
		if d.Health.Passed {
			d.Keys = KeysPassed
		}
	}
	n := e.notes.Get()
	d.Attempt, d.Tenant = n.Attempt, tenantOf(n.Tenant, id, waiting)
	return d, nil
}

// tryOut makes the live tests.
func (e *Enroller) tryOut(ctx context.Context, d *Description, id *state.Identity, waiting *state.Waiting) {
	var all sync.WaitGroup
	try := func(bound time.Duration, test func(context.Context)) {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, bound)
			defer cancel()
			e.guarded(ctx, test)
		})
	}
	switch {
	case id != nil:
		try(liveWait, func(ctx context.Context) { d.Auth = e.standing(ctx) })
		try(keyWait, func(ctx context.Context) { d.Keys = e.keyTest(ctx) })
		try(liveWait, func(ctx context.Context) { _, _ = e.find(ctx, string(id.TenantID)) })
	case waiting != nil:
		try(2*liveWait, func(ctx context.Context) { d.Tests = e.beforeJoin(ctx, waiting) })
	}
	all.Wait()
}

// standing asks the tenant, with a proof of the device key. Of a device that is new it
// cannot tell one that was deleted from one that it does not know everywhere yet.
func (e *Enroller) standing(ctx context.Context) DeviceAuth {
	asked := false
	_, err := asDevice(ctx, e, e.isNew, e.cloud.nonce, func(ctx context.Context, nonce string) (*idpv1.CheckDeviceResponse, error) {
		proof, err := e.keys.check(ctx, nonce)
		if asked = err == nil; !asked {
			return nil, err
		}
		return e.cloud.devices.CheckDevice(ctx, &idpv1.CheckDeviceRequest{Request: proof})
	})
	switch code := prterr.CodeOf(err); {
	case err == nil:
		e.nowKnown()
		return AuthSuccess
	case !asked:
		return AuthError
	case code == aadsts.DeviceDisabled || code == aadsts.DeviceAuthenticationFailed && !e.isNew():
		return AuthDisabledOrDeleted
	case code == 0 && prterr.KindOf(err) == prterr.NotFound:
		return AuthNotTested // an identity provider like Entra has no such call
	default:
		return AuthError
	}
}

// keyTest tests the keys. A TPM that does not work has failed them, and that is not
// kept: they may be well when it is.
func (e *Enroller) keyTest(ctx context.Context) KeyTest {
	lost, err := e.testAndKeep(ctx)
	switch {
	case err == nil && !lost:
		return KeysPassed
	case err == nil || prterr.KindOf(err) == prterr.TPMFailed:
		return KeysFailed
	default:
		return KeysNotTested
	}
}

func domainOf(id *state.Identity, waiting *state.Waiting) string {
	switch {
	case id != nil && id.Hybrid():
		return id.Computer.TargetDomain
	case id == nil && waiting != nil:
		return waiting.Computer.TargetDomain
	default:
		return ""
	}
}

// tenantOf is what a discovery found, if it was of this device's tenant.
func tenantOf(found *state.Tenant, id *state.Identity, waiting *state.Waiting) *state.Tenant {
	want := ""
	switch {
	case id != nil:
		want = string(id.TenantID)
	case waiting != nil:
		want = string(waiting.TenantID)
	}
	switch {
	case want == "":
		return nil
	case found != nil && found.ID == want:
		return found
	default:
		return &state.Tenant{ID: want}
	}
}
