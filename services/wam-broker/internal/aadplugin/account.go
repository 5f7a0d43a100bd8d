package aadplugin

import (
	"context"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/upstream"
)

// authority has the PRT of an account: CloudAP where the device is joined, WAM's own
// where it is registered.
type authority interface {
	Sign(ctx context.Context, r apptoken.Request, redirect, nonce string, rt apptoken.Sealed) (secret.Text, error)
	Open(ctx context.Context, r apptoken.Request, answer string) (upstream.Opened, error)
	OfferPRT(ctx context.Context, session, prt secret.Text, lifetime time.Duration) error
	BeginInteraction(ctx context.Context, r apptoken.Request, signIn bool) (*authorityv1.Interaction, error)
	BeginConsent(ctx context.Context, r apptoken.Request) (*authorityv1.Interaction, error)
	CompleteInteraction(ctx context.Context, session secret.Text, id string, final secret.Text) error
	// Used is told how the identity provider answered a request with the PRT.
	Used(ctx context.Context, err error)
	// Served is told that an app got a token by its own refresh token.
	Served(ctx context.Context)
	// Kept is told that an app has a refresh token of the account.
	Kept(client ids.ClientID) error
}

// known is an account that an app may use, with the authority of its PRT.
type known struct {
	apptoken.Account
	name string
	by   authority
	// own is the account where WAM has the PRT, nil where CloudAP has it.
	own *account.Record
}

// accounts are those of whoever is signed in under a session, the default one first:
// CloudAP's if it has a PRT for the session, else the work accounts of the same user of
// the device. Whoever is signed in is asked first and every time: a session that has
// ended gets nothing.
func (p *Plugin) accounts(ctx context.Context, session secret.Text) (upstream.SignedIn, []known, error) {
	who, err := p.cloudAP.Who(ctx, session, p.owners()...)
	if err != nil {
		return who, nil, err
	}
	if len(who.Gone) > 0 {
		p.forgetLater(ctx, who.Gone)
	}
	if who.Account != nil {
		return who, []known{{Account: *who.Account, name: who.Name, by: p.cloudAP}}, nil
	}
	if p.own == nil || who.SID == "" {
		return who, nil, nil
	}
	var all []known
	for _, r := range p.own.Accounts(who.SID) {
		acc := apptoken.Account{Tenant: r.Tenant, User: r.User, UPN: r.UPN, SID: r.SID}
		if r.PRT != nil {
			acc.Kind = apptoken.CredentialKind(r.PRT.Kind)
		}
		all = append(all, known{Account: acc, name: r.DisplayName, by: p.own.Use(r.ID), own: &r})
	}
	return who, all, nil
}

// pick is the account that an app names, or the default one. An account of another user
// of the device is as unknown as one that does not exist.
func (p *Plugin) pick(ctx context.Context, session secret.Text, name string) (known, error) {
	who, all, err := p.accounts(ctx, session)
	switch {
	case err != nil:
		return known{}, err
	case len(all) == 0 && who.SID.Entra():
		return known{}, prterr.New(prterr.Interaction, "there is no PRT in this session yet: wait for the network, or sign in again")
	case len(all) == 0:
		return known{}, prterr.New(prterr.Interaction, "this user of the device has no work account: add one")
	case name == "":
		return all[0], nil
	}
	var names []string
	for _, k := range all {
		if strings.EqualFold(name, string(k.UPN)) || strings.EqualFold(name, string(k.User)) {
			return k, nil
		}
		names = append(names, string(k.UPN))
	}
	return known{}, prterr.New(prterr.NotFound, "account is none of this user's: there is %s", strings.Join(names, ", "))
}

// pickOwn is the same of the accounts whose PRT is WAM's own.
func (p *Plugin) pickOwn(ctx context.Context, session secret.Text, name string) (known, error) {
	if name == "" {
		return known{}, prterr.New(prterr.Invalid, "account is empty: use the user principal name or the object id")
	}
	k, err := p.pick(ctx, session, name)
	if err == nil && k.own == nil {
		return known{}, prterr.New(prterr.Conflict, "the account is the one that the user signs in to the device with: it goes when the device leaves its tenant")
	}
	return k, err
}
