package enrol

import (
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/authority/retryhint"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// asker is for whom the tenant was asked: a user, a computer of a domain, or the device
// itself. A hint when to come again is for them, and for nobody else.
type asker struct{ user, computer, device string }

func byUser(u ids.UPN) asker            { return asker{user: string(u)} }
func byComputer(w state.Waiting) asker  { return asker{computer: string(w.Computer.ID)} }
func byDevice(id *state.Identity) asker { return asker{device: string(id.DeviceID)} }

// heldBack refuses what was throttled a moment ago, with the time that is left. Nobody is
// asked, and the last attempt stays what it was.
func (e *Enroller) heldBack(who asker) error {
	return retryhint.Told(e.hints.Check(who, e.clock.Now()))
}

// heard keeps a hint when to come again, and has the error say so. Another component of
// this device that is busy is no tenant.
func (e *Enroller) heard(who asker, err error) error {
	var keys *ofKeys
	if errors.As(err, &keys) {
		return err
	}
	e.hints.Learn(who, err, e.clock.Now())
	return retryhint.Told(err)
}
