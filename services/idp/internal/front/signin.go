package front

import (
	"encoding/xml"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// flowForm reads a form that goes on with a sign-in. Its state has several names,
// all for the same text.
func (x *exchange) flowForm() (params, error) {
	p, err := x.both()
	if err != nil {
		return nil, err
	}
	x.correlate(p)
	for _, name := range []string{"flowToken", "flowtoken", "FlowToken", "ctx", "Ctx", "request"} {
		if p[name] != "" {
			x.flow = p[name]
			break
		}
	}
	return p, nil
}

// login is the form of the sign-in page. Without a password it is its first half,
// where only the name is typed.
func (x *exchange) login() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	user := p["login"]
	if user == "" {
		user = p["loginfmt"]
	}
	if _, second := p["passwd"]; !second {
		return x.loginName(p, user)
	}
	c := x.credentials()
	a, err := x.signIn.SubmitPassword(x.ctx, &idpv1.SubmitPasswordRequest{
		Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"], UserPrincipalName: user, Password: p["passwd"],
		RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device, Stay: p["LoginOptions"] == "1",
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// loginName goes from the name to the password, or to the federation provider.
func (x *exchange) loginName(p params, user string) error {
	a, err := x.signIn.DiscoverCredentials(x.ctx, &idpv1.DiscoverCredentialsRequest{Caller: x.caller(), UserPrincipalName: user, FlowToken: x.flow})
	page := &idpv1.SignInPage{
		Kind: idpv1.PageKind_PAGE_KIND_SIGN_IN, FlowToken: a.GetFlowToken(), Canary: p["canary"], SessionId: sessionOf(p), UserPrincipalName: user,
	}
	switch {
	case err != nil && prterr.KindOf(err) != prterr.Invalid:
		return err
	case err != nil, !a.GetDomainKnown():
		page.FlowToken, page.UserPrincipalName = x.flow, ""
		page.ErrorCode, page.ErrorText = int32(aadsts.UserAccountNotFound), "There is no organisation with this domain here: check the user name."
	case a.GetFederationUrl() != "":
		return x.elsewhere(&idpv1.Elsewhere{Url: a.GetFederationUrl()})
	}
	if page.GetFlowToken() == "" {
		page.FlowToken = x.flow
	}
	return x.page(page)
}

// sessionOf is the name of the sign-in in the log, as the page before had it.
func sessionOf(p params) string {
	if id := p["hpgrequestid"]; isID(id) {
		return id
	}
	return ""
}

// stay is the form of the page that asks whether to stay signed in.
func (x *exchange) stay() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	a, err := x.signIn.ChooseStay(x.ctx, &idpv1.ChooseStayRequest{
		Caller: x.caller(), FlowToken: x.flow, Canary: p["canary"], Stay: p["LoginOptions"] == "1",
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// resume goes on with what came meanwhile, such as a PRT cookie.
func (x *exchange) resume() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	c := x.credentials()
	a, err := x.signIn.ResumeSignIn(x.ctx, &idpv1.ResumeSignInRequest{
		Caller: x.caller(), FlowToken: x.flow, RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device, SsoNonce: p["sso_nonce"],
	})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// federated takes what a federation provider has the browser post.
func (x *exchange) federated() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	if p["wa"] != "wsignin1.0" {
		return prterr.AADSTS(aadsts.InvalidRequest, "The parameter wa is not wsignin1.0.")
	}
	assertion, err := requestedToken(p["wresult"])
	if err != nil {
		return err
	}
	x.flow = p["wctx"]
	a, err := x.signIn.SubmitAssertion(x.ctx, &idpv1.SubmitAssertionRequest{Caller: x.caller(), SamlAssertion: assertion, Context: p["wctx"]})
	if err != nil {
		return err
	}
	return x.next(a.GetNext())
}

// requestedToken cuts the assertion out of a WS-Federation answer, byte for byte:
// it is signed.
func requestedToken(rstr string) (string, error) {
	bad := prterr.AADSTS(aadsts.InvalidAssertion, "The parameter wresult holds no RequestedSecurityToken with one assertion.")
	d := xml.NewDecoder(strings.NewReader(rstr))
	d.Entity = map[string]string{}
	for depth, inside := 0, false; ; {
		at := d.InputOffset()
		token, err := d.Token()
		if err != nil {
			return "", bad // the parser's own words quote the input
		}
		switch t := token.(type) {
		case xml.Directive:
			return "", bad // no document type: nothing in it may be expanded
		case xml.StartElement:
			if depth++; depth > 32 {
				return "", bad
			}
			if inside {
				if err := d.Skip(); err != nil {
					return "", bad
				}
				return rstr[at:d.InputOffset()], nil
			}
			inside = t.Name.Local == "RequestedSecurityToken"
		case xml.EndElement:
			depth--
			if inside {
				return "", bad
			}
		}
	}
}
