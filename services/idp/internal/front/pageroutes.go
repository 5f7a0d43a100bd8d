package front

import (
	"net/http"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// pageRoutes are what people see, and what clients do in their place.
func (f *Front) pageRoutes() []route {
	const v1, v2 = idpv1.Protocol_PROTOCOL_V1, idpv1.Protocol_PROTOCOL_V2
	type serve = func(*exchange) error
	var all []route
	add := func(methods, template string, s serve, p idpv1.Protocol) {
		all = append(all, route{at: atLogin, methods: methods, template: template, serve: s, fail: failPage, protocol: p})
	}
	own := func(methods, template string, s serve) {
		add(methods, template, s, v1)
		all[len(all)-1].own = true
	}
	add("GET POST", "/{t}/oauth2/authorize", (*exchange).authorize, v1)
	add("GET POST", "/{t}/oauth2/v2.0/authorize", (*exchange).authorize, v2)
	add("GET POST", "/{t}/oauth2/logout", (*exchange).logout, v1)
	add("GET POST", "/{t}/oauth2/v2.0/logout", (*exchange).logout, v2)
	own("GET POST", "/{t}/oauth2/deviceauth", (*exchange).deviceAuth)
	own("GET POST", "/devicelogin", (*exchange).deviceAuth)
	own("POST", confirmPath, (*exchange).confirmDevice)
	add("GET", "/", (*exchange).home, v1)
	add("GET", "/{t}/oauth2/nativeclient", (*exchange).nativeClient, v1)
	add("POST", "/login.srf", (*exchange).federated, v1)
	for _, prefix := range []string{"", "/{t}"} {
		own("POST", prefix+"/login", (*exchange).login)
		own("POST", prefix+"/kmsi", (*exchange).stay)
		own("GET POST", prefix+"/resume", (*exchange).resume)
		own("GET POST", prefix+"/reprocess", (*exchange).resume)
		own("POST", prefix+"/SAS/ProcessAuth", (*exchange).processAuth)
		own("POST", prefix+"/SAS/BeginAuth", (*exchange).beginAuth)
		own("GET POST", prefix+"/SAS/EndAuth", (*exchange).endAuth)
	}
	own("POST", consentPath, (*exchange).consent)
	own("POST", fidoPath, (*exchange).fido)
	own("POST", skipPath, (*exchange).resume) // a registration that was put off
	own("POST", changePasswordPath, (*exchange).changePassword)
	own("POST", ssprBeginPath, (*exchange).ssprBegin)
	own("POST", ssprPollPath, (*exchange).ssprPoll)
	for _, prefix := range []string{"", "/{t}"} {
		all = append(all,
			route{at: atLogin, methods: "POST", template: prefix + "/passkey/begin", serve: (*exchange).passkeyBegin, fail: failOAuth, own: true, protocol: v1},
			route{at: atLogin, methods: "POST", template: prefix + "/DeviceCodeStatus", serve: (*exchange).sessionState, fail: failOAuth, own: true, protocol: v1},
		)
	}
	return all
}

// home is for people who look whether somebody is there.
func (x *exchange) home() error {
	return x.say("Home")
}

// nativeClient is where sign-ins of desktop applications end: the application
// watches the address.
func (x *exchange) nativeClient() error {
	return x.say("NativeClient")
}

// say shows a page that only says something.
func (x *exchange) say(pageID string) error {
	q, err := x.query()
	if err != nil {
		return err
	}
	x.correlate(q)
	p := &idpv1.SignInPage{}
	c := x.config(p)
	c.PageID, c.PostURL = pageID, ""
	return x.render(http.StatusOK, x.view(p, c), c)
}

// logout ends the session of the browser, and sends it to where the application
// wants it when that is registered.
func (x *exchange) logout() error {
	p, err := x.both()
	if err != nil {
		return err
	}
	x.correlate(p)
	a, err := x.signIn.SignOut(x.ctx, &idpv1.SignOutRequest{
		Caller: x.caller(), SessionCookie: x.credentials().session, IdTokenHint: p["id_token_hint"],
		PostLogoutRedirectUri: p["post_logout_redirect_uri"], State: p["state"], ClientId: p["client_id"],
	})
	x.forget() // whatever the answer is: who asked to be signed out is signed out here
	if err != nil {
		return err
	}
	if a.GetRedirectUri() == "" {
		return x.page(&idpv1.SignInPage{Kind: idpv1.PageKind_PAGE_KIND_SIGNED_OUT})
	}
	return x.respond(a.GetRedirectUri(), "query", []pair{{"state", p["state"]}})
}
