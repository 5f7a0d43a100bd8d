package front

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// The names that cross with browsers.
const (
	refreshTokenCredential = "x-ms-RefreshTokenCredential"
	deviceCredential       = "x-ms-DeviceCredential"
	sessionCookie          = "ESTSAUTH"
	persistentCookie       = "ESTSAUTHPERSISTENT"

	// maxAccounts bounds the numbered credentials of further accounts.
	maxAccounts = 9
	// persistentLife is how long a browser keeps the session of a user who wants to
	// stay signed in. The session itself may end earlier.
	persistentLife = 90 * 24 * time.Hour
)

func (x *exchange) authorize() error {
	p, err := x.both()
	if err != nil {
		return err
	}
	x.correlate(p)
	a, err := x.sessions.Authorize(x.ctx, x.authorizeRequest(p))
	if err != nil {
		return err
	}
	switch o := a.GetOutcome().(type) {
	case *idpv1.AuthorizeResponse_SignedIn:
		return x.signedIn(o.SignedIn)
	case *idpv1.AuthorizeResponse_NonceChallenge:
		return x.challenge(o.NonceChallenge, p)
	case *idpv1.AuthorizeResponse_RedirectError:
		return x.redirectError(o.RedirectError)
	case *idpv1.AuthorizeResponse_Elsewhere:
		return x.elsewhere(o.Elsewhere)
	default:
		return x.page(a.GetSignInPage())
	}
}

func (x *exchange) authorizeRequest(p params) *idpv1.AuthorizeRequest {
	c := x.credentials()
	return &idpv1.AuthorizeRequest{
		Caller: x.caller(), Tenant: x.tenant(), Protocol: x.route.protocol, ClientId: p["client_id"], RedirectUri: p["redirect_uri"],
		ResponseType: p["response_type"], ResponseMode: p["response_mode"], State: p["state"], Scope: p["scope"], Resource: p["resource"],
		Nonce: p["nonce"], Prompt: p["prompt"], CodeChallenge: p["code_challenge"], CodeChallengeMethod: p["code_challenge_method"],
		LoginHint: p["login_hint"], DomainHint: p["domain_hint"], Claims: p["claims"], AmrValues: p["amr_values"],
		SsoNonce: p["sso_nonce"], SsoReload: isSet(p["sso_reload"]), WindowsApiVersion: p["windows_api_version"],
		RefreshTokenCredential: c.refreshToken, FurtherCredentials: c.further, DeviceCredential: c.device, SessionCookie: c.session,
	}
}

// presented are the credentials that came beside a request.
type presented struct {
	refreshToken, device, session string
	further                       []string
}

// credentials finds what a browser or a broker sent: as headers, or as cookies of
// the same names in any case.
func (x *exchange) credentials() presented {
	cookies := map[string]string{}
	for _, c := range x.r.Cookies() {
		name := strings.ToLower(c.Name)
		if _, twice := cookies[name]; !twice {
			cookies[name] = c.Value
		}
	}
	get := func(name string) string {
		v := x.r.Header.Get(name)
		if v == "" {
			v = cookies[strings.ToLower(name)]
		}
		return strings.ToValidUTF8(v, "?")
	}
	c := presented{refreshToken: get(refreshTokenCredential), device: get(deviceCredential), session: cookies[strings.ToLower(sessionCookie)]}
	if c.session == "" {
		c.session = cookies[strings.ToLower(persistentCookie)]
	}
	c.session = strings.ToValidUTF8(c.session, "?")
	for i := 1; i <= maxAccounts; i++ {
		if v := get(refreshTokenCredential + strconv.Itoa(i)); v != "" {
			c.further = append(c.further, v)
		}
	}
	return c
}

// challenge sends the browser back to where it came from, with a nonce. The query
// is kept byte for byte but for a nonce that is too old.
func (x *exchange) challenge(c *idpv1.NonceChallenge, p params) error {
	query := x.r.URL.RawQuery
	if x.r.Method == http.MethodPost {
		query = encodeParams(p)
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); pair != "" && name != "sso_nonce" {
			kept = append(kept, pair)
		}
	}
	kept = append(kept, "sso_nonce="+escape(c.GetSsoNonce()))
	x.redirect("https://" + strings.ToLower(x.r.Host) + onePath(x.r.URL.EscapedPath()) + "?" + strings.Join(kept, "&"))
	return nil
}

// onePath is a path without the slashes that do not count: an address that
// begins with two names a host.
func onePath(escaped string) string {
	return "/" + strings.Join(strings.FieldsFunc(escaped, func(r rune) bool { return r == '/' }), "/")
}

// remember gives the browser the session of the sign-in: in cookies of the one host that
// was asked, with no Domain, which browsers refuse for names such as localhost.
func (x *exchange) remember(s *idpv1.SignedIn) {
	if s.GetSessionCookie() == "" {
		return
	}
	set := func(name string, until time.Time) {
		http.SetCookie(x.w, &http.Cookie{
			Name: name, Value: s.GetSessionCookie(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode, Expires: until,
		})
	}
	set(sessionCookie, time.Time{})
	if s.GetPersistent() {
		// Browsers keep it by their own clock, not by a laboratory's.
		set(persistentCookie, time.Now().Add(persistentLife))
	}
}

// forget ends the browser's session.
func (x *exchange) forget() {
	for _, name := range []string{sessionCookie, persistentCookie} {
		http.SetCookie(x.w, &http.Cookie{
			Name: name, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode, MaxAge: -1,
		})
	}
}
