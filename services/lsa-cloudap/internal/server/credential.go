package server

import (
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/cloudap"
)

// Bounds of a PIN, in characters, as Windows has them.
const minPIN, maxPIN = 6, 127

// readCredential reads who signs in and with what.
func readCredential(req *lsav1.LogonUserRequest) (ids.UPN, cloudap.Credential, error) {
	var cred cloudap.Credential
	var err error
	nameless := false
	switch c := req.GetCredential().(type) {
	case *lsav1.LogonUserRequest_Password:
		cred.Password, err = readPassword(c.Password)
	case *lsav1.LogonUserRequest_Pin:
		cred.PIN, err = readPIN("pin", c.Pin)
	case *lsav1.LogonUserRequest_WebSignIn:
		cred.Page, err = readEnd(c.WebSignIn.GetInteractionId(), c.WebSignIn.GetFinalUri())
		nameless = req.GetUserPrincipalName() == ""
	case *lsav1.LogonUserRequest_SmartCard:
		cred.Card, err = readCard(c.SmartCard)
	case *lsav1.LogonUserRequest_Other:
		cred.Other, err = readProvider(c.Other.GetProvider())
	default:
		err = prterr.New(prterr.Invalid, "credential is missing: give a password, a PIN, the end of a sign-in page or a smart card's proof")
	}
	if nameless {
		return "", cred, err
	}
	upn, bad := ids.ParseUPN(req.GetUserPrincipalName())
	if bad != nil {
		return "", cloudap.Credential{}, prterr.New(prterr.Invalid, "user_principal_name: %v", bad)
	}
	return upn, cred, err
}

// readUnlock reads what somebody unlocks with: what this device can judge by itself.
func readUnlock(req *lsav1.UnlockUserRequest) (cred cloudap.Credential, err error) {
	switch c := req.GetCredential().(type) {
	case *lsav1.UnlockUserRequest_Password:
		cred.Password, err = readPassword(c.Password)
	case *lsav1.UnlockUserRequest_Pin:
		cred.PIN, err = readPIN("pin", c.Pin)
	default:
		err = prterr.New(prterr.Invalid, "credential is missing: give a password or a PIN")
	}
	return cred, err
}

func readPassword(s string) (secret.Text, error) {
	if n := len(s); n == 0 || n > artefact.MaxPassword {
		return secret.Text{}, prterr.New(prterr.Invalid, "password must be 1 to %d bytes", artefact.MaxPassword)
	}
	return secret.NewText(s), nil
}

// readProvider reads the CLSID of somebody else's credential provider, in braces or
// without. What it gave stays here: nobody needs it.
func readProvider(s string) (string, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) > len("{}")+len(id.String()) {
		return "", prterr.New(prterr.Invalid, "other.provider is not a CLSID")
	}
	return id.String(), nil
}

func readPIN(field, pin string) (secret.Text, error) {
	if n := utf8.RuneCountInString(pin); !utf8.ValidString(pin) || n < minPIN || n > maxPIN {
		return secret.Text{}, prterr.New(prterr.Invalid, "%s must be %d to %d characters", field, minPIN, maxPIN)
	}
	return secret.NewText(pin), nil
}

// readEnd reads the end of a page. What is in the address is for the plug-in to judge.
func readEnd(id, final string) (*cloudap.PageEnd, error) {
	switch {
	case !artefact.Opaque(id, artefact.MaxName):
		return nil, prterr.New(prterr.Invalid, "interaction_id is empty, too long or has a character that is not allowed")
	case final == "" || !artefact.Line(final, artefact.MaxFinalURI):
		return nil, prterr.New(prterr.Invalid, "final_uri is empty, too long or has a character that is not allowed")
	}
	return &cloudap.PageEnd{ID: secret.NewText(id), Final: secret.NewText(final)}, nil
}

func readCard(m *lsav1.SmartCard) (*cloudap.SmartCard, error) {
	if err := artefact.CheckCard(m.GetChain(), m.GetSignature()); err != nil {
		return nil, prterr.New(prterr.Invalid, "smart_card.%v", err)
	}
	if err := m.GetCreatedAt().CheckValid(); err != nil {
		return nil, prterr.New(prterr.Invalid, "smart_card.created_at is not a time")
	}
	return &cloudap.SmartCard{Chain: m.GetChain(), Created: m.GetCreatedAt().AsTime(), Signature: m.GetSignature()}, nil
}

// interaction is a page as callers get it.
func interaction(i cloudap.Interaction) *authorityv1.Interaction {
	out := &authorityv1.Interaction{InteractionId: i.ID.Reveal(), Url: i.URL, RedirectUri: i.RedirectURI}
	for _, h := range i.Headers {
		out.Headers = append(out.Headers, &authorityv1.Header{Name: h.Name, Value: h.Value.Reveal()})
	}
	return out
}
