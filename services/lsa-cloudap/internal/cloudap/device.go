package cloudap

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// EventFormerDevice is a cached sign-in that was dropped because the device that it was of
// is none any more. Windows has no event for it; ids from 9000 are Lockstep's own.
const EventFormerDevice = 9005

// deviceTime bounds the question what this device is, which a sign-in waits for.
const deviceTime = 2 * time.Second

// settleDevice forgets the users of a device that this computer was before it left its
// tenant, or before it joined again: a PRT is of the device that it was issued to, so for
// this one they sign in as for the first time. Device registration is asked each time, so
// no crash between the leave and this makes a difference. While it does not answer nobody
// is forgotten, and the tpm-agent alone keeps a PRT of before from being used: its keys of
// a former registration open nothing.
func (c *CloudAP) settleDevice(ctx context.Context) {
	cached := c.entriesWhere(func(partition.Partition) bool { return true })
	if len(cached) == 0 {
		return
	}
	device, since, known := c.thisDevice(ctx)
	if !known {
		return
	}
	for _, e := range cached {
		p, ok := e.snapshot()
		switch {
		case !ok || p.Device == device && device != "":
		case p.Device == "" && device != "" && !p.ObtainedAt.Before(since):
			// An earlier release did not say, and the device is older than the PRT.
			c.note(ctx, e, func(p *partition.Partition) { p.Device = device })
		default:
			c.dropFormer(ctx, e, p)
		}
	}
}

// thisDevice is what the computer is in its tenant, and since when; the id is empty when
// it is in none. known is false when nobody says. The question is under a span that is not
// recorded, because it is a step of no flow.
func (c *CloudAP) thisDevice(ctx context.Context) (id ids.DeviceID, since time.Time, known bool) {
	silent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true})
	d, err := c.recovery.state(trace.ContextWithRemoteSpanContext(ctx, silent), min(deviceTime, c.cfg.CallTimeout))
	if err != nil {
		c.cfg.Log.DebugContext(ctx, "device registration does not say what this device is", "error", err)
		return "", time.Time{}, false
	}
	switch d.GetJoinState() {
	case dsregv1.JoinState_JOIN_STATE_NONE:
		return "", time.Time{}, true
	case dsregv1.JoinState_JOIN_STATE_JOINED, dsregv1.JoinState_JOIN_STATE_HYBRID, dsregv1.JoinState_JOIN_STATE_REGISTERED:
		id, err = ids.ParseDevice(d.GetDeviceId())
		return id, d.GetCertificateNotBefore().AsTime(), err == nil
	default:
		return "", time.Time{}, false
	}
}

// dropFormer forgets a partition of a former device, and says so.
func (c *CloudAP) dropFormer(ctx context.Context, e *entry, p partition.Partition) {
	if !c.forgetFormer(e) {
		return // somebody else was here
	}
	c.cfg.Log.WarnContext(ctx, "the cached sign-in is of a device that this one is not any more, and was dropped", "user", p.User, "kind", p.Kind)
	c.cfg.Events.Add(ctx, eventlog.Event{
		Channel: eventlog.AADOperational, ID: EventFormerDevice, Level: eventlog.Warning,
		Message: "The cached sign-in of a user is of a device that this one is not any more: it was dropped, and the user signs in as for the first time.",
		Fields: []eventlog.Field{
			{Name: "UPN", Value: string(p.UPN)}, {Name: "CredentialType", Value: string(p.Kind)}, {Name: "DeviceId", Value: string(p.Device)},
		},
	})
}

// forgetFormer forgets a partition, the user's Windows Hello key of the same device, and
// the sessions. The record of the key goes first: a crash leaves the partition, and with it
// the reason to come back here.
func (c *CloudAP) forgetFormer(e *entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[e.key] != e {
		return false
	}
	u := hello.User{Tenant: e.key.Tenant, User: e.key.User}
	if _, there := c.hellos[u]; there && c.forgetHello(u) != nil {
		delete(c.hellos, u) // its file stays, which is in the log, and names a key that the TPM does not know
	}
	c.retire(e)
	return true
}
