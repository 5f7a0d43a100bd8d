package flows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/cockroachdb/datadriven"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp"
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
	// session is the token of a session at Graph.
	session secret.Text
	// log is what was read of the device's events.
	log *status.Events
	// told are events that were read for a search.
	told string
	// keys are session keys as they lay on the disk earlier, by user.
	keys map[string][]byte
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
		if err := r.tenants(); err != nil {
			return err
		}
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
		case "crash-points":
			if r.die == nil {
				return failure(errors.New("nobody said how a component of this lab dies"))
			}
			r.cfg.Points = map[string]durable.Points{"lsa-cloudap": r.dies}
		case "log":
			r.log = &logged{}
			r.cfg.Log, r.cfg.LogLevel = r.log, cmp.Or(strings.Join(a.Vals, ""), "info")
		case "metrics":
			r.meters = &meters{texts: map[string]http.Handler{}}
			r.cfg.MetricReader = r.meters.reader
		case "profile": // profile=2020|today|strict: the compatibility profile of the tenants
			r.profile = strings.Join(a.Vals, "")
		case "idle": // idle=240h: how long a refresh token may lie unused
			r.idle = strings.Join(a.Vals, "")
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

// tenants makes the tenant file of a script that wants another than the embedded one.
func (r *Runner) tenants() error {
	if r.profile == "" && r.idle == "" {
		return nil
	}
	const today, life = "    profile: today\n", "      refresh_token: 2160h\n"
	file := string(idp.DefaultTenants())
	if !strings.Contains(file, today) || !strings.Contains(file, life) {
		return errors.New("the embedded tenants are not as they were")
	}
	if r.profile != "" {
		file = strings.ReplaceAll(file, today, "    profile: "+r.profile+"\n")
	}
	if r.idle != "" {
		file = strings.ReplaceAll(file, life, life+"      refresh_token_idle: "+r.idle+"\n")
	}
	f, err := os.CreateTemp("", "tenants-*.yaml")
	if err != nil {
		return err
	}
	r.cfg.Tenants = f.Name()
	_, err = f.WriteString(file)
	return errors.Join(err, f.Close())
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
