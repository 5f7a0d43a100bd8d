package whatif

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// group is a piece of the lattice that one desk runs: one user, one device, one
// credential.
type group struct {
	person     *person
	device     DeviceState
	credential Credential
	cells      []int
}

// Under puts a policy file in force and executes cells. The answer is in their order.
// Devices are made, and their users get what they sign in with, before that: a policy
// decides about sign-ins, not about what was there.
func (w *World) Under(ctx context.Context, policies []byte, cells []Cell) ([]Ran, error) {
	var states []DeviceState
	for _, c := range cells {
		if !slices.Contains(states, c.Device) {
			states = append(states, c.Device)
		}
	}
	if err := w.prepare(ctx, states); err != nil {
		return nil, err
	}
	if err := w.provisionAll(ctx, cells); err != nil {
		return nil, err
	}
	if err := w.Apply(ctx, policies); err != nil {
		return nil, err
	}
	w.cfg.Progress(fmt.Sprintf("running %d cells", len(cells)))
	out := make([]Ran, len(cells))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(w.cfg.Workers)
	for _, g := range w.groups(cells) {
		work.Go(func() error { return w.runGroup(ctx, g, cells, out) })
	}
	return out, work.Wait()
}

func (w *World) groups(cells []Cell) []*group {
	var all []*group
	found := map[[3]string]*group{}
	for i, c := range cells {
		key := [3]string{c.User, string(c.Device), string(c.Credential)}
		g := found[key]
		if g == nil {
			at := slices.IndexFunc(w.people, func(p *person) bool { return p.name() == c.User })
			g = &group{person: w.people[at], device: c.Device, credential: c.Credential}
			found[key] = g
			all = append(all, g)
		}
		g.cells = append(g.cells, i)
	}
	return all
}

// runGroup signs the person in once and runs the cells of the group.
func (w *World) runGroup(ctx context.Context, g *group, cells []Cell, out []Ran) error {
	k, err := w.sit(ctx, g.person, g.device, g.credential)
	if err != nil {
		return err
	}
	for _, i := range g.cells {
		if k.spent {
			if err := k.close(); err != nil {
				return err
			}
			if k, err = w.sit(ctx, g.person, g.device, g.credential); err != nil {
				return err
			}
		}
		ran, err := k.run(ctx, cells[i])
		if err != nil {
			return errors.Join(fmt.Errorf("cell %s: %w", cells[i].Key(), err), k.close())
		}
		out[i] = ran
	}
	return k.close()
}

// run executes one cell.
func (k *desk) run(ctx context.Context, c Cell) (Ran, error) {
	ctx, cancel := context.WithTimeout(ctx, cellTime)
	defer cancel()
	if k.device != nil {
		k.device.signingIn.RLock()
		defer k.device.signingIn.RUnlock()
	}
	id := uuid.NewString()
	k.computer.begin(id)
	ran := Ran{Cell: c, Outcome: Outcome{Desktop: k.desktop}}
	o := &ran.Outcome
	var err error
	switch {
	case k.desktop == Shut:
		*o = Outcome{Desktop: Shut, Result: Refused}
		o.because(k.why)
	case c.Mode == Native && k.device != nil && k.device.state.joined():
		err = k.token(ctx, c.app, o)
	default:
		err = visit{desk: k, app: c.app, prt: c.Mode == Browser && k.desktop == Open}.open(ctx, o)
	}
	if err != nil {
		return ran, err
	}
	if o.Result == Refused {
		o.Guidance = k.computer.guidance()
	}
	judged := o.judged(k.world.cloud.take(id))
	if k.world.cfg.Check {
		if judged == nil && !k.world.ruled && o.Result != Refused {
			judged = []Applied{} // they were asked: there are none
		}
		ran.Answer, err = k.compare(ctx, c, *o, judged)
	}
	return ran, err
}

// because says why in the words of the component that refused.
func (o *Outcome) because(err error) {
	var e *prterr.Error
	if errors.As(err, &e) {
		o.Code, o.Reason = int(e.Code), e.Msg
		return
	}
	o.Reason = err.Error()
}

// updateName is what the sign-in log calls the resource of the broker's own pages.
const updateName = "PRT update"

// judged reads what the policies said last of the application, from the sign-in log. It
// answers nil when nobody asked them. What they said of the broker's page is about the
// PRT and not about the application.
func (o *Outcome) judged(events []idp.Event) []Applied {
	var last []Applied
	for _, e := range events {
		if e.Policies == nil || e.Resource == updateName {
			continue
		}
		last, o.RefusedBy = []Applied{}, nil
		for _, p := range e.Policies {
			last = append(last, Applied{Name: p.Name, Result: p.Result})
			if p.Result == "failure" {
				o.RefusedBy = append(o.RefusedBy, p.Name)
			}
		}
	}
	o.Asked, o.RefusedBy, o.Policies = orEmpty(o.Asked), orEmpty(o.RefusedBy), orEmpty(last)
	return last
}

// orEmpty makes a list of JSON of one that is nil.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
