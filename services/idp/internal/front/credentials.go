package front

import (
	"net/http"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

// submitAccessPass is the form with a Temporary Access Pass.
func (x *exchange) submitAccessPass(p params, user string) error {
	x.tried = byAccessPass
	c := x.credentials()
	a, err := x.signIn.SubmitAccessPass(x.ctx, &idpv1.SubmitAccessPassRequest{
		Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"], UserPrincipalName: user, AccessPass: p["accesspass"],
		RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device,
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// submitPasskey is the form with the answer of an authenticator.
func (x *exchange) submitPasskey(p params) error {
	x.tried = byPasskey
	credential, err := credentialJSON(p["assertion"])
	if err != nil {
		return err
	}
	c := x.credentials()
	a, err := x.signIn.SubmitPasskey(x.ctx, &idpv1.SubmitPasskeyRequest{
		Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"], Credential: credential,
		RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device,
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// beginPhone asks the authenticator of the user, and shows the number to compare.
func (x *exchange) beginPhone(page *idpv1.SignInPage) error {
	x.tried = byPhone
	a, err := x.signIn.BeginPhoneSignIn(x.ctx, &idpv1.BeginPhoneSignInRequest{
		Caller: x.caller(), FlowToken: page.GetFlowToken(), UserPrincipalName: page.GetUserPrincipalName(),
	})
	if err != nil {
		return err
	}
	page.FlowToken = a.GetFlowToken()
	if a.GetErrorCode() != 0 {
		page.ErrorCode, page.ErrorText = a.GetErrorCode(), a.GetMessage()
		return x.page(page)
	}
	return x.phonePage(page, a.GetSessionId(), a.GetEntropy(), false)
}

// phonePage waits for the authenticator.
func (x *exchange) phonePage(page *idpv1.SignInPage, session string, entropy int32, again bool) error {
	c := x.config(page)
	v := x.view(page, c)
	v.Stage, v.SessionState = "phone", sessionStatePath
	v.Wait = pages.Wait{SessionID: session, Entropy: entropy, Polls: maxPolls, Every: pollInterval, Again: again}
	v.Ways = []pages.Way{{Value: byPassword}}
	return x.render(http.StatusOK, v, c)
}

// submitPhone goes on when the authenticator has approved. A person without scripts
// may be faster than that, and gets the page again.
func (x *exchange) submitPhone(p params, user string) error {
	x.tried = byPhone
	session := p["psRNGCSLK"]
	state, err := x.signIn.CheckPhoneSignIn(x.ctx, &idpv1.CheckPhoneSignInRequest{Caller: x.caller(), SessionId: session})
	if err != nil {
		return err
	}
	if state.GetState() == idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_PENDING {
		return x.phonePage(&idpv1.SignInPage{
			Kind: idpv1.PageKind_PAGE_KIND_SIGN_IN, FlowToken: x.flow, Canary: p["canary"], SessionId: sessionOf(p), UserPrincipalName: user,
		}, session, entropyOf(p["psRNGCEntropy"]), true)
	}
	c := x.credentials()
	a, err := x.signIn.SubmitPhoneSignIn(x.ctx, &idpv1.SubmitPhoneSignInRequest{
		Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"], SessionId: session,
		RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device,
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// sessionState tells a client how its phone sign-in stands. It knows no other
// answers than these: who asks for what does not exist is told that it was denied.
func (x *exchange) sessionState() error {
	var q struct {
		DeviceCode string `json:"DeviceCode"`
	}
	p, err := x.query()
	if err != nil {
		return err
	}
	if err := x.object(&q); err != nil {
		return err
	}
	if q.DeviceCode == "" {
		q.DeviceCode = p["code"]
	}
	a, err := x.signIn.CheckPhoneSignIn(x.ctx, &idpv1.CheckPhoneSignInRequest{Caller: x.caller(), SessionId: q.DeviceCode})
	if err != nil {
		return err
	}
	state := map[idpv1.PhoneSignInState]int{
		idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_PENDING: authorizationPending, idpv1.PhoneSignInState_PHONE_SIGN_IN_STATE_APPROVED: authorizationApproved,
	}
	out := struct {
		SessionID string `json:"SessionIdentifier"`
		State     int    `json:"AuthorizationState"`
	}{SessionID: q.DeviceCode, State: authorizationDenied}
	if n, known := state[a.GetState()]; known {
		out.State = n
	}
	x.json(http.StatusOK, out)
	return nil
}

// How a phone sign-in stands, in numbers.
const (
	authorizationPending, authorizationDenied, authorizationApproved = 0, 1, 2
)

// consent is the form of the page that lists what an application wants.
func (x *exchange) consent() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	if p["accept"] == "" {
		return prterr.AADSTS(aadsts.MissingField, "The form has no answer: choose one of its buttons.")
	}
	a, err := x.signIn.AnswerConsent(x.ctx, &idpv1.AnswerConsentRequest{
		Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"], Accept: isSet(p["accept"]), ForOrganization: isSet(p["forOrganization"]),
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}
