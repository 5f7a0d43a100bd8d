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
	add("GET POST", "/{t}/oauth2/authorize", (*exchange).authorize, v1)
	add("GET POST", "/{t}/oauth2/v2.0/authorize", (*exchange).authorize, v2)
	add("GET POST", "/{t}/oauth2/logout", (*exchange).logout, v1)
	add("GET POST", "/{t}/oauth2/v2.0/logout", (*exchange).logout, v2)
	add("GET POST", "/{t}/oauth2/deviceauth", (*exchange).deviceAuth, v1)
	add("GET POST", "/devicelogin", (*exchange).deviceAuth, v1)
	add("POST", confirmPath, (*exchange).confirmDevice, v1)
	add("GET", "/{t}/oauth2/nativeclient", (*exchange).nativeClient, v1)
	add("POST", "/login.srf", (*exchange).federated, v1)
	for _, prefix := range []string{"", "/{t}"} {
		add("POST", prefix+"/login", (*exchange).login, v1)
		add("POST", prefix+"/kmsi", (*exchange).stay, v1)
		add("GET POST", prefix+"/resume", (*exchange).resume, v1)
		add("GET POST", prefix+"/reprocess", (*exchange).resume, v1)
		add("POST", prefix+"/SAS/ProcessAuth", (*exchange).processAuth, v1)
		add("POST", prefix+"/SAS/BeginAuth", (*exchange).beginAuth, v1)
		add("GET POST", prefix+"/SAS/EndAuth", (*exchange).endAuth, v1)
	}
	add("POST", changePasswordPath, (*exchange).changePassword, v1)
	add("POST", ssprBeginPath, (*exchange).ssprBegin, v1)
	add("POST", ssprPollPath, (*exchange).ssprPoll, v1)
	return all
}

// nativeClient is where sign-ins of desktop applications end: the application
// watches the address.
func (x *exchange) nativeClient() error {
	p := &idpv1.SignInPage{}
	c := x.config(p)
	c.PageID, c.PostURL = "NativeClient", ""
	return x.render(http.StatusOK, view{Page: p, Config: c, Message: "You can close this window."})
}

// logout ends the session of the browser, and sends it to where the application
// wants it when that is registered.
func (x *exchange) logout() error {
	p, err := x.both()
	if err != nil {
		return err
	}
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
