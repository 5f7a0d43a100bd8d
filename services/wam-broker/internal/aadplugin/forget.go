package aadplugin

import (
	"context"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/sid"
)

const (
	// eventOwnerGone is a work account whose user of the device was removed; ids from 9000
	// are Lockstep's own.
	eventOwnerGone = 9012
	// forgetTime bounds the work behind an app.
	forgetTime = 30 * time.Second
)

// owners are the users of the device who have work accounts.
func (p *Plugin) owners() []sid.SID {
	if p.own == nil {
		return nil
	}
	return p.own.Owners()
}

// forgetLater removes the work accounts of users whose account on this device was removed,
// as the profile of a user takes its accounts along in Windows: nobody could use them any
// more, and nobody remove them. It goes on behind whoever asked; one at a time is enough,
// the next request finds what is left.
func (p *Plugin) forgetLater(ctx context.Context, gone []sid.SID) {
	select {
	case p.turn <- struct{}{}:
	default:
		return // accounts are being changed: the next request sees to it
	}
	ctx = context.WithoutCancel(ctx)
	p.own.Behind(func(life context.Context) {
		defer func() { <-p.turn }()
		ctx, cancel := context.WithTimeout(ctx, forgetTime)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		p.forget(ctx, gone)
	}, func() { <-p.turn })
}

func (p *Plugin) forget(ctx context.Context, gone []sid.SID) {
	removed := false
	for _, s := range p.own.States() {
		if !slices.Contains(gone, s.SID) {
			continue
		}
		if err := p.remove(ctx, s.ID); err != nil && prterr.KindOf(err) != prterr.NotFound {
			p.log.WarnContext(ctx, "the work account of a removed user is still there", "sid", s.SID, "error", err)
			continue
		}
		removed = true
		p.events.Add(ctx, eventlog.Event{
			Channel: eventlog.AADOperational, ID: eventOwnerGone, Level: eventlog.Warning,
			Message: "a work account was removed, because the user of this device whose it was is no more",
			Fields:  []eventlog.Field{{Name: "UPN", Value: string(s.UPN)}, {Name: "SID", Value: string(s.SID)}},
		})
	}
	if !removed {
		return
	}
	if _, err := p.leaveWithLast(ctx); err != nil {
		p.log.WarnContext(ctx, "the device could not leave its tenant after its last work account", "error", err)
	}
}
