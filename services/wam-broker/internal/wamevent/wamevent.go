// Package wamevent writes what the token broker could not do into AAD/Operational, under
// the ids and codes that Windows uses.
//
// What lives here: the events and their words. What never may: a decision, a secret. The
// plug-in and the authority of work accounts call it.
package wamevent

import (
	"cmp"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

// Events, and the codes that they carry.
const (
	// Renewal is a token that the PRT did not bring, or a PRT that was not renewed.
	Renewal = 1097
	// Operation is an operation of the broker that failed.
	Operation = 1098

	renewalFailed   = 0xCAA90056
	operationFailed = 0xCAA5001C
)

// Of is the event of an error. renewal says that a PRT was to bring something.
func Of(renewal bool, e *prterr.Error, upn ids.UPN) eventlog.Event {
	out := eventlog.Event{
		Channel: eventlog.AADOperational, ID: Operation, Level: eventlog.Error, Message: "Token broker operation failed.", Status: operationFailed,
		Fields: []eventlog.Field{{Name: "Kind", Value: string(e.Kind)}, {Name: "Error", Value: Said(e)}},
	}
	switch {
	case renewal:
		out.ID, out.Level, out.Message, out.Status = Renewal, eventlog.Warning, "Renew token by the primary refresh token failed.", renewalFailed
	case e.Kind == prterr.Interaction:
		out.Level, out.Message, out.Status = eventlog.Warning, "The request requires user interaction.", uint32(wincode.InteractionRequired)
	}
	if upn != "" {
		out.Fields = append(out.Fields, eventlog.Field{Name: "UPN", Value: string(upn)})
	}
	return out
}

// Said is what an error says in words of ours: its causes are for the log.
func Said(e *prterr.Error) string {
	if row, ok := aadsts.Lookup(e.Code); ok {
		return e.Code.String() + ": " + row.Meaning
	}
	return cmp.Or(e.Msg, string(e.Kind))
}
