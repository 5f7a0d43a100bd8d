package deviceflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Approve answers a flow with who signed in and how. The artefact is of the type
// of a code, for the client of the flow and a user of its tenant; that it came of
// a device code, and when, is added here, so that nobody can forget it. A flow is
// answered once: the second answer is a conflict.
func (f *Flows) Approve(ctx context.Context, userCode string, who sealed.Artefact) error {
	now := f.clock.Now()
	who.Type, who.Origin, who.Issued, who.Expires = sealed.Code, Origin, now, now.Add(Lifetime)
	text, err := f.sealer.Seal(who)
	if err != nil {
		return fmt.Errorf("answer to a device code: %w", err)
	}
	return f.answer(ctx, userCode, func(p *store.Pending, rec *record) error {
		if who.Client != rec.Client || rec.Tenant != "" && who.Tenant != rec.Tenant {
			return prterr.AADSTS(aadsts.UserNotInTenant, "the sign-in is not for the application and the tenant of the device code")
		}
		p.User, rec.Status, rec.Answer = who.User, Approved, text.Reveal()
		return nil
	})
}

// Decline answers a flow with no.
func (f *Flows) Decline(ctx context.Context, userCode string) error {
	return f.answer(ctx, userCode, func(_ *store.Pending, rec *record) error {
		rec.Status = Declined
		return nil
	})
}

func (f *Flows) answer(ctx context.Context, userCode string, change func(*store.Pending, *record) error) error {
	code, now := canonical(userCode), f.clock.Now()
	if code == "" {
		return prterr.AADSTS(aadsts.BadVerificationCode, "")
	}
	return named(f.pendings.UpdatePending(ctx, kind, code, now, func(p *store.Pending) error {
		rec, err := read(*p)
		switch {
		case err != nil:
			return err
		case now.After(rec.Expires):
			return prterr.AADSTS(aadsts.CodeExpired, "")
		case rec.Status != Waiting:
			return prterr.New(prterr.Conflict, "the code was answered already: start again on the device")
		}
		if err := change(p, &rec); err != nil {
			return err
		}
		p.Data, err = json.Marshal(rec)
		return err
	}))
}

// Redeem is a poll of the client. It gives the flow and the person's answer, once;
// AADSTS70016 while nobody has answered, 65004 when the person declined, 70020
// after the end, 70018 for a code that is not one of ours, is another client's or
// was redeemed. May is asked before anything is used up, with the answer when there
// is one; its error is returned. It may be nil.
func (f *Flows) Redeem(ctx context.Context, deviceCode secret.Text, client ids.ClientID, may func(Flow, sealed.Artefact) error) (Flow, sealed.Artefact, error) {
	refused := prterr.AADSTS(aadsts.BadVerificationCode, "")
	typed, proof, _ := strings.Cut(deviceCode.Reveal(), ".")
	code := canonical(typed)
	if code != typed {
		return Flow{}, sealed.Artefact{}, refused
	}
	rec, err := f.find(ctx, code)
	if err != nil {
		return Flow{}, sealed.Artefact{}, err
	}
	if !rec.same(proof) || rec.Client != client {
		return Flow{}, sealed.Artefact{}, refused
	}
	flow := Flow{Request: rec.Request, UserCode: code, Status: rec.Status, Expires: rec.Expires}
	var who sealed.Artefact
	if rec.Status == Approved {
		if who, err = f.sealer.Open(sealed.Code, secret.NewText(rec.Answer)); err != nil {
			// Sealed under keys that are gone: it ended sooner than was said.
			return flow, sealed.Artefact{}, prterr.AADSTS(aadsts.DeviceCodeExpired, "")
		}
	}
	if may != nil {
		if err := may(flow, who); err != nil {
			return flow, sealed.Artefact{}, err
		}
	}
	if err := f.ended(ctx, rec, code); err != nil {
		return flow, sealed.Artefact{}, err
	}
	return flow, who, nil
}

// ended is nil when the flow was approved and this poll is the one that gets it:
// of several at once one removes it.
func (f *Flows) ended(ctx context.Context, rec record, code string) error {
	switch {
	case f.clock.Now().After(rec.Expires):
		return prterr.AADSTS(aadsts.DeviceCodeExpired, "")
	case rec.Status == Waiting:
		return prterr.AADSTS(aadsts.AuthorizationPending, "")
	}
	if err := f.pendings.DeletePending(ctx, kind, code); err != nil {
		return named(err)
	}
	if rec.Status == Declined {
		return prterr.AADSTS(aadsts.AuthorizationDeclined, "")
	}
	return nil
}
