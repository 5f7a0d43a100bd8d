package server

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
)

func authorizeResponse(o authorize.Outcome) *idpv1.AuthorizeResponse {
	switch {
	case o.SignedIn != nil:
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignedIn{SignedIn: signedIn(o.SignedIn)}}
	case o.Challenge != "":
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_NonceChallenge{NonceChallenge: &idpv1.NonceChallenge{SsoNonce: o.Challenge}}}
	case o.Refusal != nil:
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_RedirectError{RedirectError: refusal(o.Refusal)}}
	case o.Elsewhere != "":
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_Elsewhere{Elsewhere: &idpv1.Elsewhere{Url: o.Elsewhere}}}
	default:
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: page(o.Page)}}
	}
}

func next(o authorize.Outcome) *idpv1.NextAction {
	switch {
	case o.SignedIn != nil:
		return &idpv1.NextAction{Action: &idpv1.NextAction_SignedIn{SignedIn: signedIn(o.SignedIn)}}
	case o.Challenge != "":
		return &idpv1.NextAction{Action: &idpv1.NextAction_NonceChallenge{NonceChallenge: &idpv1.NonceChallenge{SsoNonce: o.Challenge}}}
	case o.Refusal != nil:
		return &idpv1.NextAction{Action: &idpv1.NextAction_RedirectError{RedirectError: refusal(o.Refusal)}}
	case o.Elsewhere != "":
		return &idpv1.NextAction{Action: &idpv1.NextAction_Elsewhere{Elsewhere: &idpv1.Elsewhere{Url: o.Elsewhere}}}
	default:
		return &idpv1.NextAction{Action: &idpv1.NextAction_Page{Page: page(o.Page)}}
	}
}

func signedIn(s *authorize.SignedIn) *idpv1.SignedIn {
	return &idpv1.SignedIn{
		IdToken: s.IDToken.Reveal(), SessionCookie: s.SessionCookie.Reveal(), Code: s.Code.Reveal(), RedirectUri: s.RedirectURI,
		ResponseMode: s.Mode, State: s.State, SessionState: s.SessionState, Persistent: s.Persistent,
	}
}

func refusal(r *authorize.Refusal) *idpv1.RedirectError {
	return &idpv1.RedirectError{
		RedirectUri: r.RedirectURI, ResponseMode: r.Mode, State: r.State, Code: int32(r.Code), Description: r.Text, Claims: r.Claims,
	}
}

func page(p *authorize.Page) *idpv1.SignInPage {
	out := &idpv1.SignInPage{
		Kind: pageKind(p.Kind), FlowToken: p.FlowToken.Reveal(), Canary: p.Canary.Reveal(), SessionId: p.SessionID, UserPrincipalName: p.UPN,
		Application: p.Application, TenantName: p.TenantName, ErrorCode: int32(p.Code), ErrorText: p.Text, SsoNonce: p.Nonce, UserCode: p.UserCode,
		Guidance: p.Guidance, RegisterUrl: p.RegisterURL, MayConsentForOrganization: p.MayConsentForAll,
	}
	for _, m := range p.Methods {
		out.Methods = append(out.Methods, &idpv1.Method{MethodId: m.ID, Display: m.Display, IsDefault: m.Default})
	}
	for _, w := range p.Permissions {
		out.Permissions = append(out.Permissions, &idpv1.Permission{Resource: w.Resource, Scope: w.Scope})
	}
	return out
}

func pageKind(k authorize.Kind) idpv1.PageKind {
	switch k {
	case authorize.PageSignIn:
		return idpv1.PageKind_PAGE_KIND_SIGN_IN
	case authorize.PageFactor:
		return idpv1.PageKind_PAGE_KIND_SECOND_FACTOR
	case authorize.PageDeviceCode:
		return idpv1.PageKind_PAGE_KIND_DEVICE_CODE
	case authorize.PageDeviceConfirm:
		return idpv1.PageKind_PAGE_KIND_DEVICE_CONFIRM
	case authorize.PageDeviceDone:
		return idpv1.PageKind_PAGE_KIND_DEVICE_DONE
	case authorize.PageChange:
		return idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD
	case authorize.PageRegister:
		return idpv1.PageKind_PAGE_KIND_REGISTER_METHOD
	case authorize.PageConsent:
		return idpv1.PageKind_PAGE_KIND_CONSENT
	case authorize.PageHandOver:
		return idpv1.PageKind_PAGE_KIND_HAND_OVER
	case authorize.PageError:
		return idpv1.PageKind_PAGE_KIND_ERROR
	default:
		return idpv1.PageKind_PAGE_KIND_UNSPECIFIED
	}
}
