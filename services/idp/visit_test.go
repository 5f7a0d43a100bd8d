package idp_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// TestAttack24_NoCodeForAnAddressThatIsNotRegistered: what is wrong with
// application or address is shown here and sent nowhere.
func TestAttack24_NoCodeForAnAddressThatIsNotRegistered(t *testing.T) {
	p := newPages(t, idp.Config{})
	for name, f := range map[string]struct {
		r    *idpv1.AuthorizeRequest
		code aadsts.Code
	}{
		"other path":       {&idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI + "/"}, aadsts.InvalidReplyTo},
		"other host":       {&idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: "https://portal.contoso.test.evil.test/signin"}, aadsts.InvalidReplyTo},
		"upper case":       {&idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: strings.ToUpper(portalURI)}, aadsts.InvalidReplyTo},
		"query added":      {&idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI + "?x=1"}, aadsts.InvalidReplyTo},
		"script":           {&idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: "javascript:alert(1)"}, aadsts.InvalidReplyTo},
		"another client's": {&idpv1.AuthorizeRequest{ClientId: office, RedirectUri: portalURI}, aadsts.InvalidReplyTo},
		"no address":       {&idpv1.AuthorizeRequest{ClientId: portal}, aadsts.MissingParameter},
		"unknown client":   {&idpv1.AuthorizeRequest{ClientId: contoso, RedirectUri: portalURI}, aadsts.ApplicationNotFound},
		"not a client":     {&idpv1.AuthorizeRequest{ClientId: "x", RedirectUri: portalURI}, aadsts.InvalidRequest},
		"unknown tenant":   {&idpv1.AuthorizeRequest{Tenant: "nowhere.test"}, aadsts.TenantNotFound},
		"consumers":        {&idpv1.AuthorizeRequest{Tenant: "consumers"}, aadsts.TenantNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			page := p.page(t, f.r, idpv1.PageKind_PAGE_KIND_ERROR, f.code)
			if page.GetErrorText() == "" || page.GetSessionId() == "" || page.GetCanary() == "" || page.GetFlowToken() != "" {
				t.Errorf("%v", page)
			}
		})
	}
	port := &idpv1.AuthorizeRequest{ClientId: cli, RedirectUri: "http://localhost:53211", Prompt: "none"}
	if e := p.refused(t, port, aadsts.UserInformationMissing); e.GetRedirectUri() != port.RedirectUri || e.GetState() != "s1" || e.GetResponseMode() != "query" {
		t.Errorf("%v", e)
	}
}

// TestVisitChecksTheRequestForTheApplication: everything else that is wrong goes
// to the application, with its state.
func TestVisitChecksTheRequestForTheApplication(t *testing.T) {
	p := newPages(t, idp.Config{})
	for name, f := range map[string]struct {
		r    *idpv1.AuthorizeRequest
		code aadsts.Code
		mode string
	}{
		"token":                {&idpv1.AuthorizeRequest{ResponseType: "token"}, aadsts.UnsupportedResponseType, "query"},
		"id_token token":       {&idpv1.AuthorizeRequest{ResponseType: "id_token token", Nonce: "n"}, aadsts.UnsupportedResponseType, "fragment"},
		"id_token in a query":  {&idpv1.AuthorizeRequest{ResponseType: "id_token", ResponseMode: "query", Nonce: "n"}, aadsts.UnsupportedResponseMode, "fragment"},
		"mode unknown":         {&idpv1.AuthorizeRequest{ResponseMode: "web_message"}, aadsts.UnsupportedResponseMode, "query"},
		"id_token, no nonce":   {&idpv1.AuthorizeRequest{ResponseType: "code id_token"}, aadsts.MissingParameter, "fragment"},
		"form_post":            {&idpv1.AuthorizeRequest{ResponseMode: "form_post", Prompt: "none"}, aadsts.UserInformationMissing, "form_post"},
		"prompt unknown":       {&idpv1.AuthorizeRequest{Prompt: "perhaps"}, aadsts.InvalidRequest, "query"},
		"prompt none and more": {&idpv1.AuthorizeRequest{Prompt: "none login"}, aadsts.InvalidRequest, "query"},
		"resource unknown":     {&idpv1.AuthorizeRequest{Resource: "https://nobody.test"}, aadsts.ResourceNotFound, "query"},
		"scope unknown":        {&idpv1.AuthorizeRequest{Protocol: idpv1.Protocol_PROTOCOL_V2, Scope: "https://nobody.test/.default"}, aadsts.InvalidScope, "query"},
		"two resources":        {&idpv1.AuthorizeRequest{Protocol: idpv1.Protocol_PROTOCOL_V2, Scope: graph + "/User.Read https://vault.azure.net/.default"}, aadsts.InvalidScope, "query"},
		"page, no proof key":   {&idpv1.AuthorizeRequest{ClientId: spaApp, RedirectUri: spaURI}, aadsts.ProofKeyRequired, "query"},
		"claims not JSON":      {&idpv1.AuthorizeRequest{Claims: "{"}, aadsts.InvalidRequest, "query"},
		"claims twice":         {&idpv1.AuthorizeRequest{Claims: `{"access_token":{},"access_token":{}}`}, aadsts.InvalidRequest, "query"},
		"challenge too short":  {&idpv1.AuthorizeRequest{CodeChallenge: "abc", CodeChallengeMethod: "S256"}, aadsts.InvalidRequest, "query"},
		"challenge, alphabet":  {&idpv1.AuthorizeRequest{CodeChallenge: strings.Repeat("a", 21) + "+" + strings.Repeat("a", 21)}, aadsts.InvalidRequest, "query"},
		"challenge method":     {&idpv1.AuthorizeRequest{CodeChallenge: strings.Repeat("a", 43), CodeChallengeMethod: "S512"}, aadsts.InvalidRequest, "query"},
		"method alone":         {&idpv1.AuthorizeRequest{CodeChallengeMethod: "S256"}, aadsts.MissingParameter, "query"},
		"nonce too long":       {&idpv1.AuthorizeRequest{Nonce: strings.Repeat("n", 513)}, aadsts.InvalidRequest, "query"},
		"scope too long":       {&idpv1.AuthorizeRequest{Scope: strings.Repeat("s", 4097)}, aadsts.InvalidRequest, "query"},
		"hint too long":        {&idpv1.AuthorizeRequest{LoginHint: strings.Repeat("h", 257)}, aadsts.InvalidRequest, "query"},
	} {
		t.Run(name, func(t *testing.T) {
			e := p.refused(t, f.r, f.code)
			if e.GetResponseMode() != f.mode || e.GetState() != "s1" || e.GetRedirectUri() != f.r.RedirectUri || e.GetDescription() == "" {
				t.Errorf("%v", e)
			}
		})
	}
	if e := p.refused(t, &idpv1.AuthorizeRequest{State: strings.Repeat("s", 4097)}, aadsts.InvalidRequest); e.GetState() != "" {
		t.Error("a state that is too long was carried on")
	}
	a, err := p.visits.Authorize(context.Background(), &idpv1.AuthorizeRequest{
		Caller: &idpv1.Caller{}, ClientId: office, RedirectUri: redirectOf(office), State: strings.Repeat("s", 4096), Scope: strings.Repeat("s", 4096),
		ResponseType: "code", Nonce: strings.Repeat("n", 512), LoginHint: strings.Repeat("h", 256), Resource: graph,
	})
	if err != nil || a.GetSignInPage().GetKind() != idpv1.PageKind_PAGE_KIND_SIGN_IN {
		t.Errorf("the longest request that is taken: %v, %v", a, err)
	}
}

func TestVisitAnswersWithWhatWasAskedFor(t *testing.T) {
	p := newPages(t, idp.Config{})
	challenge := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	c, s := p.typed(t, &idpv1.AuthorizeRequest{
		ClientId: spaApp, RedirectUri: spaURI, ResponseType: "id_token code", Nonce: "n1", Protocol: idpv1.Protocol_PROTOCOL_V2,
		Scope: "openid  profile User.Read", CodeChallenge: challenge, CodeChallengeMethod: "S256", Claims: `{"access_token":{"xms_cc":{"values":["CP1"]}}}`,
	}, alice, alicePassword)
	if c.RedirectURI != spaURI || c.Challenge != "S256:"+challenge || c.Nonce != "n1" || !c.SPA || !c.CAE || c.Resource != graph ||
		c.Scope != "openid profile User.Read" || c.Client != spaApp || c.ID == "" || c.Device != "" || !c.SessionKey.Empty() || c.Expires.Sub(c.Issued).Minutes() != 10 {
		t.Errorf("code: %+v", c)
	}
	if s.GetResponseMode() != "fragment" || s.GetRedirectUri() != spaURI || s.GetState() != "s1" || s.GetSessionState() == "" || s.GetSessionCookie() == "" {
		t.Errorf("%v", s)
	}
	token, err := jose.Parse(s.GetIdToken())
	if err != nil {
		t.Fatal(err)
	}
	pub, _ := p.svc.Authority().PublicKey()
	if err := token.VerifyRS256(pub); err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(token.Payload, &claims); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(s.GetCode()))
	if claims["c_hash"] != base64.RawURLEncoding.EncodeToString(sum[:16]) || claims["nonce"] != "n1" || claims["aud"] != spaApp || claims["ver"] != "2.0" ||
		claims["iss"] != "https://login.microsoftonline.com/"+contoso+"/v2.0" {
		t.Errorf("%v", claims)
	}
}

// TestDEP09_TenantsAtTheAuthorizationEndpoint: a tenant in the path takes its own
// users and nobody else's.
func TestDEP09_TenantsAtTheAuthorizationEndpoint(t *testing.T) {
	p := newPages(t, idp.Config{})
	for segment, users := range map[string][2]bool{
		"": {true, true}, "common": {true, true}, "organizations": {true, true},
		contoso: {true, false}, "Contoso.test": {true, false}, fabrikam: {false, true}, "fabrikam.test": {false, true},
	} {
		for i, u := range [][2]string{{alice, alicePassword}, {frank, frankPassword}} {
			page := p.page(t, &idpv1.AuthorizeRequest{Tenant: segment}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
			next := p.password(t, page, u[0], u[1])
			if !users[i] {
				wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_SIGN_IN, aadsts.UserNotInTenant, next)
				continue
			}
			if c := p.code(t, next.GetSignedIn(), next); string(c.Tenant) != []string{contoso, fabrikam}[i] {
				t.Errorf("%s: %+v", segment, c)
			}
		}
	}
	// An address that only the other tenant has registered.
	page := p.page(t, &idpv1.AuthorizeRequest{ClientId: portal, RedirectUri: portalURI}, idpv1.PageKind_PAGE_KIND_SIGN_IN, 0)
	next := p.password(t, page, frank, frankPassword)
	wantKindOfPage(t, next.GetPage(), idpv1.PageKind_PAGE_KIND_ERROR, aadsts.InvalidReplyTo, next)
	// A session of one tenant is nothing in the other.
	_, s := p.typed(t, &idpv1.AuthorizeRequest{}, alice, alicePassword)
	p.refused(t, &idpv1.AuthorizeRequest{Tenant: fabrikam, SessionCookie: s.GetSessionCookie(), Prompt: "none"}, aadsts.UserInformationMissing)
	if c, _ := p.silent(t, &idpv1.AuthorizeRequest{Tenant: contoso, SessionCookie: s.GetSessionCookie(), Prompt: "none"}); c.SessionID == "" {
		t.Error("no session")
	}
}
