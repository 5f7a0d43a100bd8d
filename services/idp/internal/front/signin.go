package front

import (
	"cmp"
	"encoding/xml"
	"net/http"
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

// login is the form of the sign-in page. What is in it says how the person signs in;
// without anything it is the page's first half, where only the name is typed. A
// button for another way counts more than a box that was filled in before.
func (x *exchange) login() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	user := cmp.Or(p["login"], p["loginfmt"])
	_, password := p["passwd"]
	_, pass := p["accesspass"]
	switch {
	case p["credential"] != "":
		return x.loginBy(p, user, p["credential"])
	case p["assertion"] != "" || p["type"] == typePasskey:
		return x.submitPasskey(p)
	case pass:
		return x.submitAccessPass(p, user)
	case p["psRNGCSLK"] != "":
		return x.submitPhone(p, user)
	case password:
		return x.submitPassword(p, user)
	default:
		return x.loginBy(p, user, "")
	}
}

func (x *exchange) submitPassword(p params, user string) error {
	x.tried = byPassword
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

// loginBy goes from the name to the way to sign in that was chosen, or to the
// preferred one, or to the federation provider.
func (x *exchange) loginBy(p params, user, way string) error {
	page := &idpv1.SignInPage{Kind: idpv1.PageKind_PAGE_KIND_SIGN_IN, FlowToken: x.flow, Canary: p["canary"], SessionId: sessionOf(p)}
	switch {
	case way == byName:
		return x.page(page)
	case way == byPasskey && user == "":
		return x.signInBy(page, nil, byPasskey) // the authenticator knows who it is
	}
	a, err := x.signIn.DiscoverCredentials(x.ctx, &idpv1.DiscoverCredentialsRequest{Caller: x.caller(), UserPrincipalName: user, FlowToken: x.flow})
	switch {
	case err != nil && prterr.KindOf(err) != prterr.Invalid:
		return err
	case err != nil, !a.GetDomainKnown():
		page.ErrorCode, page.ErrorText = int32(aadsts.UserAccountNotFound), "There is no organisation with this domain here: check the user name."
		return x.page(page)
	case a.GetFederationUrl() != "" && (way == "" || way == byFederation):
		return x.elsewhere(&idpv1.Elsewhere{Url: a.GetFederationUrl()})
	}
	page.FlowToken, page.UserPrincipalName = cmp.Or(a.GetFlowToken(), x.flow), user
	if way == byPhone {
		return x.beginPhone(page)
	}
	return x.signInBy(page, a.GetCredentials(), way)
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
	q := &idpv1.ResumeSignInRequest{
		Caller: x.caller(), FlowToken: x.flow, RefreshTokenCredential: c.refreshToken, DeviceCredential: c.device, SsoNonce: p["sso_nonce"],
	}
	if x.r.Method == http.MethodPost {
		q.Canary = p["canary"] // in an address it proves nothing: no browser tells whose link that was
	}
	a, err := x.signIn.ResumeSignIn(x.ctx, q)
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
