package aadplugin

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
)

// authenticate reads which credential there is and uses it.
func (e *edge) authenticate(ctx context.Context, req *cloudapv1.AuthenticateUserRequest) (authority.Issued, error) {
	if c, ok := req.GetCredential().(*cloudapv1.AuthenticateUserRequest_Other); ok {
		return authority.Issued{}, notSupported(c.Other)
	}
	if c, ok := req.GetCredential().(*cloudapv1.AuthenticateUserRequest_Page); ok {
		end, err := readPageEnd(c.Page)
		if err != nil {
			return authority.Issued{}, err
		}
		var upn ids.UPN
		if req.GetUserPrincipalName() != "" {
			if upn, err = readUPN(req.GetUserPrincipalName()); err != nil {
				return authority.Issued{}, err
			}
		}
		return e.plugin.authenticateAtPage(ctx, upn, end)
	}
	upn, err := readUPN(req.GetUserPrincipalName())
	if err != nil {
		return authority.Issued{}, err
	}
	switch c := req.GetCredential().(type) {
	case *cloudapv1.AuthenticateUserRequest_Hello:
		h, err := readHello(c.Hello)
		if err != nil {
			return authority.Issued{}, err
		}
		return e.plugin.authenticateHello(ctx, upn, h)
	case *cloudapv1.AuthenticateUserRequest_SmartCard:
		card, err := readSmartCard(c.SmartCard)
		if err != nil {
			return authority.Issued{}, err
		}
		return e.plugin.authenticateCard(ctx, upn, card)
	default:
		password, err := readPassword(req.GetPassword())
		if err != nil {
			return authority.Issued{}, err
		}
		if password.Empty() {
			return authority.Issued{}, prterr.New(prterr.Invalid, "password is missing")
		}
		return e.plugin.authenticate(ctx, upn, password)
	}
}

// hresultNotSupported is ERROR_NOT_SUPPORTED, as STATUS_NOT_SUPPORTED (0xC00000BB)
// becomes.
const hresultNotSupported = 0x80070032

// notSupported refuses what a credential provider of somebody else gave. It is named by
// its CLSID, whose form is checked: nothing else of the caller's goes into a message.
func notSupported(m *cloudapv1.UnknownCredential) error {
	id, err := uuid.Parse(m.GetProvider())
	if err != nil {
		return prterr.New(prterr.Invalid, "other.provider is not a CLSID")
	}
	return prterr.New(prterr.Invalid, "the credential provider {%s} is not supported: a PRT is obtained and renewed with a password, a PIN, a smart card or a sign-in page", id).WithHRESULT(hresultNotSupported)
}

func readHello(m *cloudapv1.HelloCredential) (helloPIN, error) {
	tenant, err := ids.ParseTenant(m.GetTenantId())
	if err != nil {
		return helloPIN{}, prterr.New(prterr.Invalid, "hello.tenant_id: %v", err)
	}
	user, err := ids.ParseUser(m.GetUserId())
	if err != nil {
		return helloPIN{}, prterr.New(prterr.Invalid, "hello.user_id: %v", err)
	}
	if n := len(m.GetPin()); n == 0 || n > artefact.MaxPIN {
		return helloPIN{}, prterr.New(prterr.Invalid, "hello.pin is empty or longer than %d bytes", artefact.MaxPIN)
	}
	return helloPIN{tenant: tenant, user: user, pin: secret.NewText(m.GetPin())}, nil
}

func readSmartCard(m *cloudapv1.SmartCardProof) (smartCard, error) {
	if err := artefact.CheckCard(m.GetChain(), m.GetSignature()); err != nil {
		return smartCard{}, prterr.New(prterr.Invalid, "smart_card.%v", err)
	}
	return smartCard{chain: m.GetChain(), created: time.Unix(m.GetCreatedAt(), 0), signature: m.GetSignature()}, nil
}

func readPageEnd(m *cloudapv1.PageEnd) (pageEnd, error) {
	state, err := signinpage.ReadState(m.GetState())
	if err != nil {
		return pageEnd{}, err
	}
	if m.GetFinalUri() == "" || !artefact.Line(m.GetFinalUri(), artefact.MaxFinalURI) {
		return pageEnd{}, prterr.New(prterr.Invalid, "final_uri is empty, too long or has a character that is not allowed")
	}
	return pageEnd{state: state, final: secret.NewText(m.GetFinalUri())}, nil
}
