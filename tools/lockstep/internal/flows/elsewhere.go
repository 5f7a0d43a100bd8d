package flows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// elsewhere are the commands for a deployment: those of persons, apps, browsers and the
// operator, who come to the components as strangers do. Every other one reaches behind
// them, to a process, a network, a file or a span that is on another machine there.
func elsewhere() []string {
	return strings.Fields(`
		join leave device sync recover hybrid-join
		sign-in sign-out unlock guess token browse visit state standing
		hello pass policy admin sign-ins
		advance clock fault heal faults`)
}

// SignOut signs out whoever is signed in on the devices. A deployment goes on when a play
// is over, and who is still at a desktop then has the PRT renewed there for good.
func (r *Runner) SignOut(ctx context.Context) error {
	var errs []error
	for _, s := range r.seats {
		for user, desktop := range s.desktops {
			delete(s.desktops, user)
			if err := s.device.LogonUI.SignOut(ctx, desktop); err != nil {
				errs = append(errs, fmt.Errorf("sign %s out of %s: %w", user, s.device.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// here refuses what a deployment cannot do.
func (r *Runner) here(command string) error {
	if r.lab == nil || !r.lab.Elsewhere() || slices.Contains(elsewhere(), command) {
		return nil
	}
	return prterr.New(prterr.Invalid, "%.40q is not for a deployment, whose components run elsewhere: there are %s; lockstep lab has the others", command, strings.Join(elsewhere(), ", "))
}
