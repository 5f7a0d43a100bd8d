package whatif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
)

// mayHello are the users of a run who sign in with Windows Hello, by the devices on
// which they do.
func (w *World) mayHello(cells []Cell) map[DeviceState]map[string]bool {
	all := map[DeviceState]map[string]bool{}
	for _, c := range cells {
		if c.Credential != Hello {
			continue
		}
		if all[c.Device] == nil {
			all[c.Device] = map[string]bool{}
		}
		all[c.Device][c.User] = true
	}
	return all
}

// provisionAll has everybody who signs in with Windows Hello set it up on the devices
// where they do, before any policy is in force: what is asked is what happens to
// people who have it. Each device is one person's at a time, as its TPM is one.
func (w *World) provisionAll(ctx context.Context, cells []Cell) error {
	todo := w.mayHello(cells)
	if len(todo) == 0 {
		return nil
	}
	w.cfg.Progress("setting up Windows Hello: a TPM makes an RSA key for each user and device")
	if err := w.Apply(ctx, noPolicies()); err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(w.cfg.Workers)
	for state, users := range todo {
		work.Go(func() error {
			for _, p := range w.people {
				if !users[p.name()] {
					continue
				}
				if err := w.provisionOne(ctx, p, state); err != nil {
					return fmt.Errorf("Windows Hello of %s on %s: %w", p.name(), state, err)
				}
			}
			return nil
		})
	}
	return work.Wait()
}

// provisionOne sets Windows Hello up for one person on one device, once.
func (w *World) provisionOne(ctx context.Context, p *person, state DeviceState) error {
	seed := w.helloSeed(p, state)
	if _, err := os.Stat(seed); err == nil {
		return nil
	}
	k, err := w.sit(ctx, p, state, begins(p.spare()[0]))
	if err != nil {
		return err
	}
	if k.desktop != Open {
		return errors.Join(k.why, k.close())
	}
	if state == Disabled {
		k.device.signingIn.Lock()
		defer k.device.signingIn.Unlock()
		if err := k.device.enable(ctx); err != nil {
			return errors.Join(err, k.close())
		}
	}
	k.only = append([]string{pageagent.Password}, p.spare()...)
	if _, err := k.provision(ctx); err != nil {
		return errors.Join(err, k.close())
	}
	return errors.Join(os.CopyFS(seed, os.DirFS(k.dir+"/lsa-cloudap/"+helloFolder)), k.close())
}

// helloFolder is where CloudAP keeps which key is whose; the key is in the TPM.
const helloFolder = "hello"

// helloSeed is what CloudAP knew when Windows Hello had been set up.
func (w *World) helloSeed(p *person, state DeviceState) string {
	return w.path(string(state), "windows-hello", p.user.GetUserId())
}

// remember gives CloudAP at a new desk what it knew of the person's Windows Hello.
func (k *desk) remember() error {
	err := os.CopyFS(k.dir+"/lsa-cloudap/"+helloFolder, os.DirFS(k.world.helloSeed(k.person, k.device.state)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nobody set it up: the sign-in will say so
	}
	return err
}
