package entracarrier

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	authorizePath = "/common/oauth2/v2.0/authorize"
	// sessionCookies are the names of the sign-in session, the one that outlives the
	// browser last.
	sessionCookie, persistentCookie = "ESTSAUTH", "ESTSAUTHPERSISTENT"
	// browserAgent is a browser that has the extension for single sign-on.
	browserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0"
)

// authorize visits the authorization endpoint as a browser does.
func (c *Carrier) authorize(ctx context.Context, req *idpv1.AuthorizeRequest) (*idpv1.AuthorizeResponse, error) {
	query := url.Values{
		"client_id": {req.GetClientId()}, "redirect_uri": {req.GetRedirectUri()}, "response_type": {"id_token"},
		"response_mode": {"fragment"}, "scope": {"openid profile"}, "nonce": {req.GetNonce()},
	}
	for name, value := range map[string]string{"prompt": req.GetPrompt(), "sso_nonce": req.GetSsoNonce(), "state": req.GetState()} {
		if value != "" {
			query.Set(name, value)
		}
	}
	header := http.Header{"User-Agent": {browserAgent}}
	if v := req.GetRefreshTokenCredential(); v != "" {
		header.Set(entrawire.CookieName, v)
	}
	if v := req.GetDeviceCredential(); v != "" {
		header.Set(entrawire.DeviceCookieName, v)
	}
	if v := req.GetSessionCookie(); v != "" {
		header.Set("Cookie", (&http.Cookie{Name: sessionCookie, Value: v}).String())
	}
	a, err := c.do(ctx, http.MethodGet, at(c.login, authorizePath, query), nil, header)
	if err != nil {
		return nil, err
	}
	switch {
	case a.status == http.StatusFound || a.status == http.StatusSeeOther:
		return c.redirected(a, req.GetRedirectUri())
	case a.status == http.StatusOK:
		return page(a)
	default:
		return nil, refusal(a)
	}
}

// redirected reads where the browser is sent: back here with a nonce, or to the
// application with tokens or an error.
func (c *Carrier) redirected(a answer, redirect string) (*idpv1.AuthorizeResponse, error) {
	u, err := c.login.Parse(a.header.Get("Location"))
	if err != nil {
		return nil, badAnswer("Location is not an address")
	}
	if nonce := u.Query().Get("sso_nonce"); nonce != "" && u.Host == c.login.Host {
		return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_NonceChallenge{NonceChallenge: &idpv1.NonceChallenge{SsoNonce: nonce}}}, nil
	}
	if to, _, _ := strings.Cut(u.String(), "#"); to != redirect {
		return nil, badAnswer("it sends the browser to an address that is not the application's")
	}
	values, err := url.ParseQuery(u.Fragment)
	if err != nil {
		return nil, badAnswer("the fragment of Location is not a list of values")
	}
	if values.Get("error") != "" {
		return nil, pageError(values.Get("error_description"))
	}
	out := &idpv1.SignedIn{IdToken: values.Get("id_token"), State: values.Get("state"), SessionState: values.Get("session_state")}
	for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
		if cookie.Name == sessionCookie || cookie.Name == persistentCookie {
			out.SessionCookie = cookie.Value
		}
	}
	if out.GetIdToken() == "" {
		return nil, badAnswer("it sends the browser to the application without a token")
	}
	return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignedIn{SignedIn: out}}, nil
}

// page tells the sign-in page from the error page by the number on it.
func page(a answer) (*idpv1.AuthorizeResponse, error) {
	config := between(string(a.body), "$Config=", "//]]>")
	if between(config, `"pgid":"`, `"`) == "ConvergedError" {
		return nil, pageError("AADSTS" + between(config, `"sErrorCode":"`, `"`) + ": " + between(config, `"strServiceExceptionMessage":"`, `"`))
	}
	return &idpv1.AuthorizeResponse{Outcome: &idpv1.AuthorizeResponse_SignInPage{SignInPage: &idpv1.SignInPage{}}}, nil
}

func between(s, before, after string) string {
	_, s, found := strings.Cut(s, before)
	if !found {
		return ""
	}
	s, _, found = strings.Cut(s, after)
	if !found {
		return ""
	}
	return s
}

// pageError makes an error of a description that begins with its code.
func pageError(description string) error {
	number, words, _ := strings.Cut(strings.TrimPrefix(description, "AADSTS"), ":")
	for _, row := range aadsts.Table() {
		if row.Code.String() == "AADSTS"+number {
			e := prterr.AADSTS(row.Code, "")
			if w := reason(strings.TrimSpace(words)); w != "" {
				e.Msg = w
			}
			return e
		}
	}
	return prterr.New(prterr.Denied, "%s", reason(description))
}
