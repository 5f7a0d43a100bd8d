package authority

import (
	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
)

// State is an account as an operator sees it: no secret in it.
type State struct {
	account.Record
	// Default is true for the one that answers an app that names none.
	Default bool
	// Expired says that the PRT has ended.
	Expired bool
	// Renewing says that a renewal runs.
	Renewing bool
	// LastAttempt is the last failure, if it is younger than the PRT.
	LastAttempt prt.Attempt
}

// States of all accounts.
func (a *Authority) States() []State {
	entries := a.all()
	now := a.cfg.Clock.Now()
	all := make([]State, 0, len(entries))
	for _, e := range entries {
		e.mu.Lock()
		s := State{Record: e.rec, LastAttempt: a.cfg.Attempts.Get(attemptName(e.rec.ID)), Renewing: e.renewing}
		e.mu.Unlock()
		if s.PRT != nil {
			s.Expired = s.PRT.Expired(now)
			if s.LastAttempt.At.Before(s.PRT.ObtainedAt) {
				s.LastAttempt = prt.Attempt{}
			}
		}
		mine := a.Accounts(s.SID)
		s.Default = len(mine) > 0 && mine[0].ID == s.ID
		all = append(all, s)
	}
	return all
}
