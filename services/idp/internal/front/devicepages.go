package front

import (
	"net/http"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// deviceAuth is the page where a user types the code of a device (RFC 8628
// section 3.3).
func (x *exchange) deviceAuth() error {
	p, err := x.both()
	if err != nil {
		return err
	}
	x.correlate(p)
	code := p["otc"]
	if code == "" {
		code = p["user_code"]
	}
	if x.r.Method != http.MethodPost {
		// A code in the address is only put into the form: the user has to send it.
		return x.page(&idpv1.SignInPage{Kind: idpv1.PageKind_PAGE_KIND_DEVICE_CODE, UserCode: code})
	}
	c := x.credentials()
	a, err := x.signIn.SubmitUserCode(x.ctx, &idpv1.SubmitUserCodeRequest{
		Caller: x.caller(), UserCode: code, SessionCookie: c.session, RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device,
	})
	if err == nil {
		return x.next(a.GetNext())
	}
	r := x.explain(err)
	if r.status >= http.StatusInternalServerError {
		return err
	}
	return x.page(&idpv1.SignInPage{
		Kind: idpv1.PageKind_PAGE_KIND_DEVICE_CODE, UserCode: bounded(code, 16), ErrorCode: int32(r.code), ErrorText: r.message,
	})
}

// confirmDevice is the form that asks whether it is the user who signs a device in.
func (x *exchange) confirmDevice() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	a, err := x.signIn.ConfirmDevice(x.ctx, &idpv1.ConfirmDeviceRequest{
		Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"], Confirm: isSet(p["ContinueAuth"]),
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}
