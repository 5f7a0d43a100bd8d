package cloudap

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/newdevice"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// hresultBadKeyset is NTE_BAD_KEYSET, the Windows code for keys that are gone.
const hresultBadKeyset = 0x80090016

// recovery is device registration as the framework uses it: to have lost keys
// recovered, and to say what this device is.
type recovery struct {
	service dsregv1.RecoveryServiceClient
	device  dsregv1.DeviceStateServiceClient
	// said is what its answers said of the membership of this device.
	said *said
}

func newRecovery(conn grpc.ClientConnInterface) recovery {
	return recovery{service: dsregv1.NewRecoveryServiceClient(conn), device: dsregv1.NewDeviceStateServiceClient(conn), said: &said{}}
}

// state is what this device is.
func (r recovery) state(ctx context.Context, timeout time.Duration) (*dsregv1.GetDeviceStateResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	question := r.said.ask()
	d, err := r.device.GetDeviceState(ctx, &dsregv1.GetDeviceStateRequest{})
	if err != nil {
		return nil, err
	}
	if m, sure := membershipIn(d); sure {
		r.said.hear(question, m)
	}
	return d, nil
}

// start has device registration do what it can about lost keys. nil says that the
// keys are well now; every other end is an error that says who has to do what. It
// takes as long as the sign-in may: new RSA keys take their time, and device
// registration goes on with them when nobody waits any more.
func (r recovery) start(ctx context.Context) error {
	a, err := r.service.StartRecovery(ctx, &dsregv1.StartRecoveryRequest{})
	if err != nil {
		return err
	}
	switch a.GetOutcome() {
	case dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_RECOVERED, dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_NOT_NEEDED:
		return nil
	case dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_PENDING:
		return lost("the keys of this device are lost and new ones wait for the sync of its domain: sign in again later")
	case dsregv1.RecoveryOutcome_RECOVERY_OUTCOME_ADMINISTRATOR_NEEDED:
		return lost("the keys of this device are lost: an administrator of the device has to recover it (RecoverDevice), then sign in again")
	default:
		return prterr.New(prterr.Unavailable, "dsreg: answer is not usable: outcome is not known")
	}
}

func lost(what string) error {
	return prterr.New(prterr.KeysLost, "%s", what).WithHRESULT(hresultBadKeyset)
}

// recovering obtains and installs a PRT with a credential. When the TPM does
// not know the device's keys any more, recovery is started, once: lost keys come
// back as others, so what had been begun with the old ones begins again. A TPM that
// does not work is another kind of error, and nothing is done about it here.
func (c *CloudAP) recovering(ctx context.Context, upn ids.UPN, cred proof, install func(issued) error) error {
	obtain := func() error {
		got, err := newdevice.UntilKnown(ctx, c.cfg.Clock, func() bool { return c.isNew(ctx, cred) }, func() (issued, error) {
			return c.authenticate(ctx, upn, cred)
		})
		if err != nil {
			return err
		}
		return install(got)
	}
	err := obtain()
	if prterr.KindOf(err) != prterr.KeysLost || cred.page != nil {
		return err // the end of a page is good once
	}
	c.cfg.Log.WarnContext(ctx, "the TPM does not know the keys of this device: recovery is started", "error", err)
	if err := c.recovery.start(ctx); err != nil {
		return err
	}
	if cred.card != nil {
		// Its proof was used at the federation provider, where it would be a replay now.
		return prterr.New(prterr.Conflict, "the keys of this device were lost and have been recovered: use the smart card once more")
	}
	return obtain()
}

// authenticate has the plug-in obtain a PRT, and hears what it was told of the membership.
func (c *CloudAP) authenticate(ctx context.Context, upn ids.UPN, cred proof) (issued, error) {
	question := c.recovery.said.ask()
	got, err := c.plugin.authenticate(ctx, upn, cred)
	if err == nil && got.membership != "" {
		c.recovery.said.hear(question, got.membership)
	}
	return got, err
}

// newFor is how long after its registration a device is new, by the certificate that it
// got, which is good from some minutes before on machines whose clock is slow.
const newFor = 20 * time.Minute

// isNew says whether it may be that the tenant of this device does not know it yet: it was
// registered just now, nobody ever had a PRT here, and the credential is good for more
// than one attempt.
func (c *CloudAP) isNew(ctx context.Context, cred proof) bool {
	if cred.page != nil || cred.card != nil || len(c.entriesWhere(func(partition.Partition) bool { return true })) > 0 {
		return false
	}
	d, err := c.recovery.state(ctx, c.cfg.CallTimeout)
	return err == nil && c.cfg.Clock.Now().Sub(d.GetCertificateNotBefore().AsTime()).Abs() < newFor
}
