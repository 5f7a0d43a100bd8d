package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/faulty"
)

// tpmOf is the device of a key such as device-1/tpm.
func (l *Lab) tpmOf(key string) (*Device, bool) {
	name, ok := strings.CutSuffix(key, "/"+faulty.TPM)
	for _, d := range l.devices {
		if ok && d.Name == name {
			return d, true
		}
	}
	return nil, false
}

// swapInTPM puts a stand-in before the TPM of a device. Its tpm-agent starts anew, for it
// learns the address of its TPM at the start; the TPM keeps everything.
func (l *Lab) swapInTPM(ctx context.Context, d *Device, key, rules string) error {
	if !strings.HasPrefix(l.cfg.TPM, "unix:") && !strings.HasPrefix(l.cfg.TPM, "tcp:") {
		return prterr.New(prterr.Conflict, "the TPM of %s is inside its tpm-agent, where nothing can stand before it: start the lab with a TPM behind a socket", d.Name)
	}
	if _, err := fault.Parse(rules); err != nil {
		return prterr.New(prterr.Invalid, "%v", err)
	}
	id, err := l.ca.Issue(faulty.TPM)
	if err != nil {
		return err
	}
	socket := "unix:" + l.path("run", d.Name+"-tpm-front.sock")
	s := spec{
		key: key + faultySuffix, name: faulty.Name, standsFor: faulty.TPM, door: key, listen: l.addr(key), state: l.path(key + faultySuffix),
		settings: map[string]string{"tpm": l.cfg.TPM, "tpm-listen": socket},
	}
	if err := l.host.start(ctx, s, id); err != nil {
		return fmt.Errorf("start the stand-in of the TPM of %s: %w", d.Name, err)
	}
	l.setSwapped(key, true)
	d.Set("tpm-agent", "tpm", socket)
	if err := d.Restart(context.WithoutCancel(ctx), "tpm-agent"); err != nil {
		return err
	}
	return l.SetRules(ctx, key, rules)
}
