package whatif

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// osOf is what a device of a platform tells the tenant of itself, and what its
// browser says.
type osOf struct{ deviceType, version, agent string }

// platforms by name.
func platforms() map[string]osOf {
	const chrome = " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	return map[string]osOf{
		"windows": {"Windows", "10.0.26100", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + chrome + " Edg/126.0.0.0"},
		"macos":   {"MacMDM", "14.5", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)" + chrome},
		"linux":   {"Linux", "24.04", "Mozilla/5.0 (X11; Linux x86_64)" + chrome},
		"ios":     {"IPhone", "17.5", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"},
		"android": {"AndroidForWork", "14", "Mozilla/5.0 (Linux; Android 10; K)" + chrome},
	}
}

// device is a computer with a TPM, in one state. Every user's session on it has a
// CloudAP and a broker of its own, with nothing of another's in them.
type device struct {
	world *World
	state DeviceState
	id    string

	tpm   *tpmagent.Service
	dsreg *dsreg.Service
	// conns are the ways between the parts of the device, by caller and server.
	conns map[string]grpc.ClientConnInterface
	desks atomic.Int64
	// signingIn is held while a disabled device is enabled for a moment, so that its
	// users have signed in before: their cells wait.
	signingIn sync.RWMutex
}

// between is a connection inside the device: a call of a function, through the same
// allow-list that mutual TLS would bring it to.
func between(caller, server string, allow rpc.AllowList, register func(grpc.ServiceRegistrar)) (grpc.ClientConnInterface, error) {
	return rpc.Direct(rpc.LoopbackConfig{Caller: caller, Server: server, Allow: allow}, register)
}

// prepare makes the computers of the states, those that are not there yet.
func (w *World) prepare(ctx context.Context, states []DeviceState) error {
	var work errgroup.Group
	work.SetLimit(w.cfg.Workers)
	for _, state := range states {
		if state == NoDevice || w.devices[state] != nil {
			continue
		}
		d := &device{world: w, state: state, conns: map[string]grpc.ClientConnInterface{}}
		w.devices[state] = d
		work.Go(func() error {
			if err := d.start(); err != nil {
				return fmt.Errorf("device %s: %w", state, err)
			}
			if err := d.enrol(ctx); err != nil {
				return fmt.Errorf("device %s: %w", state, err)
			}
			return nil
		})
	}
	w.cfg.Progress("making devices: a TPM makes RSA keys for each")
	return work.Wait()
}

// start builds tpm-agent and dsreg.
func (d *device) start() (err error) {
	cfg, dir := d.world.cfg, func(part string) string { return d.world.path(string(d.state), part) }
	os := platforms()[cfg.Platform]
	if d.tpm, err = tpmagent.New(tpmagent.Config{StateDir: dir("tpm-agent"), TPM: "mem:", EmulatedCA: d.world.cloud.makers, Clock: d.world.clock}); err != nil {
		return err
	}
	tpm, err := between("dsreg", "tpm-agent", tpmagent.Allow(), d.tpm.Register)
	if err != nil {
		return err
	}
	provider, err := d.world.cloud.wire().peer()
	if err != nil {
		return err
	}
	d.dsreg, err = dsreg.New(dsreg.Config{
		StateDir: dir("dsreg"), TPM: tpm, IdP: provider, Clock: d.world.clock, DeviceType: os.deviceType, OSVersion: os.version,
	})
	if err != nil {
		return err
	}
	for _, caller := range []string{"operator", "lsa-cloudap", "wam-broker"} {
		if d.conns[caller+">dsreg"], err = between(caller, "dsreg", dsreg.Allow(), d.dsreg.Register); err != nil {
			return err
		}
	}
	d.conns["lsa-cloudap>tpm-agent"], err = between("lsa-cloudap", "tpm-agent", tpmagent.Allow(), func(r grpc.ServiceRegistrar) {
		d.tpm.Register(noRecord{r})
	})
	return err
}

// noRecord leaves out the tpm-agent's record of CloudAP's files. It is one for a device,
// and each desk has a CloudAP of its own: to the record they would be each other's
// older copies.
type noRecord struct{ grpc.ServiceRegistrar }

func (r noRecord) RegisterService(d *grpc.ServiceDesc, impl any) {
	if d.ServiceName != tpmv1.StateRecordService_ServiceDesc.ServiceName {
		r.ServiceRegistrar.RegisterService(d, impl)
	}
}

// enrol brings the device into its state. Disabled is left for later: such a device
// has been used before.
func (d *device) enrol(ctx context.Context) error {
	who, err := d.world.joiner()
	if err != nil {
		return err
	}
	o, name := actor.Operator{Dsreg: d.conns["operator>dsreg"], Directory: d.world.cloud.operator}, "DESKTOP-"+string(d.state)
	switch d.state {
	case Registered:
		r, err := o.Register(ctx, who.name(), who.password, name)
		d.id = r.GetDeviceId()
		return err
	case Hybrid, HybridCompliant:
		if err := d.joinHybrid(ctx, o, name); err != nil {
			return err
		}
	default:
		r, err := o.Join(ctx, who.name(), who.password, name)
		if err != nil {
			return err
		}
		d.id = r.GetDeviceId()
	}
	compliant := d.state == JoinedCompliant || d.state == HybridCompliant
	_, err = d.world.cloud.admin.SetDeviceCompliance(ctx, &directoryv1.SetDeviceComplianceRequest{DeviceId: d.id, Compliant: compliant})
	return err
}

// joinHybrid joins as the scheduled task of Windows does, with the sync of the
// domain in between.
func (d *device) joinHybrid(ctx context.Context, o actor.Operator, name string) error {
	id := uuid.New()
	computer := actor.Computer{
		ID: id.String(), SID: fmt.Sprintf("S-1-5-21-1111111111-2222222222-3333333333-%d", binary.BigEndian.Uint32(id[:4])), Name: name,
		TenantID: string(d.world.cloud.tenant.ID), TargetDomain: d.world.cloud.tenant.Domains[0].Name,
	}
	if _, err := o.JoinHybrid(ctx, computer); err != nil { // waits for the sync
		return err
	}
	if err := o.Sync(ctx); err != nil {
		return err
	}
	pending, err := o.JoinHybrid(ctx, computer)
	if err == nil && pending {
		err = errors.New("after the sync of the domain the computer is not joined")
	}
	d.id = computer.ID
	return err
}

func (d *device) close() error {
	var errs []error
	if d.dsreg != nil {
		errs = append(errs, d.dsreg.Close())
	}
	if d.tpm != nil {
		errs = append(errs, d.tpm.Close())
	}
	return errors.Join(errs...)
}

// enable and disable are what an administrator does to the device.
func (d *device) enable(ctx context.Context) error { return d.setEnabled(ctx, true) }

func (d *device) disable(ctx context.Context) error { return d.setEnabled(ctx, false) }

func (d *device) setEnabled(ctx context.Context, on bool) error {
	_, err := d.world.cloud.admin.SetDeviceEnabled(ctx, &directoryv1.SetDeviceEnabledRequest{DeviceId: d.id, Enabled: on})
	return err
}
