package front

import (
	"cmp"
	"net/http"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// changePassword is the form of the page that wants a new password. Clients that
// drive the page have changed it by ssprBegin before they post here, so that only
// the page's own form, which has newpasswd, changes it.
func (x *exchange) changePassword() error {
	if x.isJSON() {
		var q ssprRequest
		if err := x.object(&q); err != nil {
			return err
		}
		x.flow = q.flow()
		return x.resumed()
	}
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	fresh, own := p["newpasswd"]
	if !own {
		return x.resumed()
	}
	if fresh != p["confirmnewpasswd"] {
		return x.page(&idpv1.SignInPage{
			Kind: idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD, FlowToken: x.flow, Canary: p["canary"], SessionId: sessionOf(p),
			ErrorCode: int32(aadsts.PasswordChangeRequired), ErrorText: "The two new passwords are not the same: type them again.",
		})
	}
	a, err := x.signIn.ChangePassword(x.ctx, &idpv1.ChangePasswordRequest{
		Caller: x.caller(), FlowToken: x.flow, Password: p["currentpasswd"], NewPassword: fresh,
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// resumed goes on after a change that ssprBegin made.
func (x *exchange) resumed() error {
	a, err := x.signIn.ResumeSignIn(x.ctx, &idpv1.ResumeSignInRequest{Caller: x.caller(), FlowToken: x.flow})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

type ssprRequest struct {
	Ctx         string `json:"Ctx"`
	FlowToken   string `json:"FlowToken"`
	OldPassword string `json:"OldPassword"`
	NewPassword string `json:"NewPassword"`
}

func (q ssprRequest) flow() string { return cmp.Or(q.FlowToken, q.Ctx) }

// ssprAnswer is the state of a password change.
type ssprAnswer struct {
	IsJobPending      bool   `json:"IsJobPending"`
	FlowToken         string `json:"FlowToken"`
	Ctx               string `json:"Ctx"`
	CoupledDataCenter string `json:"CoupledDataCenter"`
	CoupledScaleUnit  string `json:"CoupledScaleUnit"`
	ErrorMessage      string `json:"ErrorMessage,omitempty"`
	ErrorCode         int32  `json:"ErrCode,omitempty"`
}

// ssprBegin changes the password. It is done when the answer comes, so there is
// nothing to poll for. A client looks for ErrorMessage only while it polls; the
// status tells it earlier.
func (x *exchange) ssprBegin() error {
	var q ssprRequest
	if err := x.object(&q); err != nil {
		failOAuth(x, err)
		return nil
	}
	out := ssprAnswer{FlowToken: q.flow(), Ctx: q.flow()}
	a, err := x.signIn.ChangePassword(x.ctx, &idpv1.ChangePasswordRequest{
		Caller: x.caller(), FlowToken: q.flow(), Password: q.OldPassword, NewPassword: q.NewPassword,
	})
	switch page := a.GetNext().GetPage(); {
	case err != nil:
		r := x.explain(err)
		out.ErrorMessage, out.ErrorCode = r.code.String()+": "+r.message, int32(r.code)
	case page.GetErrorCode() != 0:
		out.FlowToken, out.Ctx = page.GetFlowToken(), page.GetFlowToken()
		out.ErrorMessage, out.ErrorCode = aadsts.Code(page.GetErrorCode()).String()+": "+page.GetErrorText(), page.GetErrorCode()
	case page != nil:
		out.FlowToken, out.Ctx = page.GetFlowToken(), page.GetFlowToken()
	}
	status := http.StatusOK
	if out.ErrorMessage != "" {
		status = http.StatusBadRequest
	}
	x.json(status, out)
	return nil
}

func (x *exchange) ssprPoll() error {
	var q ssprRequest
	if err := x.object(&q); err != nil {
		failOAuth(x, err)
		return nil
	}
	x.json(http.StatusOK, ssprAnswer{FlowToken: q.flow(), Ctx: q.flow()})
	return nil
}
