package flows

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// firstDevice is the device of a command that names none.
const firstDevice = "device-1"

// seat is a device and who is signed in there.
type seat struct {
	device   *lab.Device
	desktops map[string]actor.Desktop
	// cookie is the one that the browser of the device got last.
	cookie secret.Text
	// log is what was read of the device's events.
	log *status.Events
}

// computer is the name under which the device is registered.
func (s *seat) computer() string { return "DESKTOP-" + strings.TrimPrefix(s.device.Name, "device-") }

// sit goes to a device, and adds it to the lab of a script when it is the next one.
// The lab itself starts here too, with its first device.
func (r *Runner) sit(ctx context.Context, name string) error {
	if name == "" {
		name = firstDevice
	}
	ctx = context.WithoutCancel(ctx) // what starts stays longer than the command
	if r.lab == nil {
		l, err := lab.Start(ctx, r.cfg)
		if err != nil {
			return err
		}
		r.lab, r.own = l, true
		if err := r.add(ctx); err != nil {
			return err
		}
	}
	if r.seats[name] == nil && r.own && name == fmt.Sprintf("device-%d", len(r.seats)+1) {
		if err := r.add(ctx); err != nil {
			return err
		}
	}
	s := r.seats[name]
	if s == nil {
		return fmt.Errorf("there is no device %.80q: the lab has device-1 to device-%d", name, len(r.seats))
	}
	r.seat, r.device, r.desktops = s, s.device, s.desktops
	return nil
}

func (r *Runner) add(ctx context.Context) error {
	d, err := r.lab.AddDevice(ctx)
	if err != nil {
		return err
	}
	r.seats[d.Name] = &seat{device: d, desktops: map[string]actor.Desktop{}}
	return nil
}

// configure says what lab a script needs, before the lab starts.
func (r *Runner) configure(d *datadriven.TestData) string {
	if r.lab != nil {
		return failure(errors.New("the lab runs already: say what it is first of all"))
	}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "domain":
			r.cfg.Domain = true
		case "without-broker":
			r.cfg.WithoutBroker = true
		case "set":
			for _, v := range a.Vals {
				where, value, ok := strings.Cut(v, "=")
				component, name, ok2 := strings.Cut(where, "/")
				if !ok || !ok2 {
					return failure(fmt.Errorf("setting %.80q is not of the form COMPONENT/NAME=VALUE", v))
				}
				if r.cfg.DeviceSettings == nil {
					r.cfg.DeviceSettings = map[string]map[string]string{}
				}
				if r.cfg.DeviceSettings[component] == nil {
					r.cfg.DeviceSettings[component] = map[string]string{}
				}
				r.cfg.DeviceSettings[component][name] = value
			}
		default:
			return failure(fmt.Errorf("a lab has no %.80q", a.Key))
		}
	}
	return "the lab is as the script wants it\n"
}

// words are the arguments of a directive as they stand there.
func words(d *datadriven.TestData) []string {
	var all []string
	for _, a := range d.CmdArgs {
		switch {
		case len(a.Vals) == 0:
			all = append(all, a.Key)
		case len(a.Vals) == 1:
			all = append(all, a.Key+"="+a.Vals[0])
		default:
			all = append(all, a.Key+"=("+strings.Join(a.Vals, ", ")+")")
		}
	}
	return all
}
