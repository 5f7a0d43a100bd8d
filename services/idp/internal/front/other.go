package front

import (
	"html"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

func (f *Front) otherRoutes() []route {
	const v2 = idpv1.Protocol_PROTOCOL_V2
	return []route{
		{at: atGraph, methods: "GET POST", template: "/oidc/userinfo", serve: (*exchange).userInfo, fail: failUserInfo, open: everybody, protocol: v2},
		{at: atLogin, methods: "GET POST", template: "/{t}/openid/userinfo", serve: (*exchange).userInfo, fail: failUserInfo, open: everybody, protocol: v2},
		{at: atLogin, methods: "POST", template: "/webapp/bulkaadjtoken/begin", serve: (*exchange).bulkBegin, fail: failBulk},
		{at: atLogin, methods: "GET", template: "/webapp/bulkaadjtoken/poll", serve: (*exchange).bulkPoll, fail: failBulk},
		{at: atAutologon, methods: "POST", template: "/{t}/winauth/trust/2005/{kind}", serve: (*exchange).desktopSSO, fail: failOAuth},
		{at: anywhere, methods: "GET", template: "/error", serve: (*exchange).explained, fail: failOAuth},
	}
}

// explained hands over to the page about error codes.
func (x *exchange) explained() error {
	x.status = http.StatusOK // what it writes is its own
	x.errorPage.ServeHTTP(x.w, x.r)
	return nil
}

// userInfo is the userinfo endpoint of OpenID Connect.
func (x *exchange) userInfo() error {
	a, err := x.resource.GetUserInfo(x.ctx, &idpv1.GetUserInfoRequest{Bearer: x.bearerToken()})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, struct {
		Sub        string `json:"sub"`
		Name       string `json:"name,omitempty"`
		FamilyName string `json:"family_name,omitempty"`
		GivenName  string `json:"given_name,omitempty"`
		Picture    string `json:"picture"`
		Email      string `json:"email,omitempty"`
	}{a.GetSub(), a.GetName(), a.GetFamilyName(), a.GetGivenName(), x.sibling(atGraph) + "/v1.0/me/photo/$value", a.GetEmail()})
	return nil
}

// failUserInfo answers as RFC 6750 wants it.
func failUserInfo(x *exchange, err error) {
	r := x.explain(err)
	switch prterr.KindOf(err) {
	case prterr.Unauthenticated, prterr.Denied, prterr.Interaction, prterr.Invalid:
		x.w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		x.odata(http.StatusUnauthorized, "InvalidAuthenticationToken", r.message)
	default:
		failGraph(x, err)
	}
}

// bulkState is the answer of both calls for bulk enrolment tokens.
type bulkState struct {
	State      string `json:"state"`
	FlowToken  string `json:"flowToken,omitempty"`
	ResultData string `json:"resultData,omitempty"`
}

// bulkBegin begins the making of a bulk enrolment token.
func (x *exchange) bulkBegin() error {
	token, err := x.bearer()
	if err != nil {
		return err
	}
	var q struct {
		PackageID string `json:"pid"`
		Name      string `json:"name"`
		Expires   string `json:"exp"`
	}
	if err := x.object(&q); err != nil {
		return err
	}
	until, err := bulkTime(q.Expires)
	if err != nil {
		return err
	}
	a, err := x.grants.StartBulkEnrolment(x.ctx, &idpv1.StartBulkEnrolmentRequest{
		Caller: x.caller(), AccessToken: token, Name: q.Name, PackageId: q.PackageID, Expires: until.Unix(),
	})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, bulkState{State: "Inprogress", FlowToken: a.GetFlowToken()})
	return nil
}

// bulkTime reads the end of a token as the two known clients write it.
func bulkTime(s string) (time.Time, error) {
	for _, form := range []string{time.DateTime, time.RFC3339, "01/02/2006 15:04:05", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, prterr.AADSTS(aadsts.InvalidRequest, "The member exp is not a time of the form 2006-01-02 15:04:05.")
}

// bulkPoll asks for the token. The tokens are JSON inside a string.
func (x *exchange) bulkPoll() error {
	token, err := x.bearer()
	if err != nil {
		return err
	}
	q, err := x.query()
	if err != nil {
		return err
	}
	a, err := x.grants.PollBulkEnrolment(x.ctx, &idpv1.PollBulkEnrolmentRequest{Caller: x.caller(), AccessToken: token, FlowToken: q["flowtoken"]})
	if prterr.CodeOf(err) == aadsts.AuthorizationPending {
		x.json(http.StatusOK, bulkState{State: "Inprogress", FlowToken: q["flowtoken"]})
		return nil
	}
	if err != nil {
		return err
	}
	tokens, err := encodeJSON(tokenShape(a.GetTokens(), true))
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the tokens could not be written")
	}
	x.json(http.StatusOK, bulkState{State: "CompleteSuccess", ResultData: string(tokens)})
	return nil
}

// failBulk answers errors as a state: clients read nothing else.
func failBulk(x *exchange, err error) {
	r := x.explain(err)
	status := http.StatusOK
	if r.status >= http.StatusInternalServerError || r.status == http.StatusRequestEntityTooLarge {
		status = r.status
	}
	x.json(status, bulkState{State: "CompleteError", ResultData: x.description(r)})
}

// desktopSSO refuses sign-in by Kerberos from the desktop, in the words of the
// Passport services: a client that finds no text of theirs in a fault stops.
func (x *exchange) desktopSSO() error {
	if _, err := x.body(); err != nil {
		return err
	}
	const code = aadsts.SSOPermissionRequired
	message := code.String() + ": Seamless single sign-on is not offered here: sign in with the password."
	fault := `<?xml version="1.0" encoding="utf-8"?>
<S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope" xmlns:psf="http://schemas.microsoft.com/Passport/SoapServices/SOAPFault"><S:Body><S:Fault>` +
		`<S:Code><S:Value>S:Sender</S:Value><S:Subcode><S:Value>psf:invalidrequest</S:Value></S:Subcode></S:Code>` +
		`<S:Reason><S:Text xml:lang="en-US">` + html.EscapeString(message) + `</S:Text></S:Reason>` +
		`<S:Detail><psf:error><psf:value>0x80048821</psf:value><psf:internalerror><psf:code>0x80048821</psf:code><psf:text>` + html.EscapeString(message) +
		`</psf:text></psf:internalerror></psf:error></S:Detail></S:Fault></S:Body></S:Envelope>`
	x.send(http.StatusBadRequest, "application/soap+xml; charset=utf-8", []byte(strings.TrimSpace(fault)))
	return nil
}
