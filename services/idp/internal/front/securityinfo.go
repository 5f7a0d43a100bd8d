package front

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// The pages of a person's own security information are a web application of their
// own: they sign the person in at the authorization endpoint like any other, and what
// they may do hangs on the access token that comes of it.
const (
	securityClient   = "19db86c3-b2b9-44cc-b339-36da233a3be2"
	securityResource = "https://mysignins.microsoft.com"
	// securityRedirect is registered for the application under this one name; what
	// is sent there goes to the same path of the name that was asked.
	securityRedirect = "https://" + loginHost + securitySignedIn

	securitySignedIn = securityInfoPath + "/signed-in"
	securityBegin    = securityInfoPath + "/begin"
	securityComplete = securityInfoPath + "/complete"
	securityRemove   = securityInfoPath + "/remove"
	securityDefault  = securityInfoPath + "/default"
	securitySignOut  = securityInfoPath + "/sign-out"

	// securityCookie holds the access token, securityFlow the sign-in under way.
	securityCookie = "LSSECINFO"
	securityFlow   = "LSSECFLOW"
	// maxCookie is what browsers keep of a cookie at least, with its name and
	// attributes (RFC 6265 section 6.1), in bytes.
	maxCookie = 4096 - 256
)

// How often the person was sent to sign in, and for what; it stands in the address.
const (
	signedPlain  = "1"
	signedFactor = "2"
)

func (f *Front) securityRoutes() []route {
	var all []route
	add := func(method, template string, serve func(*exchange) error) {
		all = append(all, route{at: atLogin, methods: method, template: template, serve: serve, fail: failPage, own: method == http.MethodPost, protocol: idpv1.Protocol_PROTOCOL_V1})
	}
	add(http.MethodGet, securityInfoPath, (*exchange).securityList)
	add(http.MethodGet, securitySignedIn, (*exchange).securityReturn)
	for template, serve := range map[string]func(*exchange, params) error{
		securityBegin: (*exchange).securityBegins, securityComplete: (*exchange).securityCompletes, securityRemove: (*exchange).securityRemoves,
		securityDefault: (*exchange).securityDefaults, securitySignOut: (*exchange).securityLeaves,
	} {
		add(http.MethodPost, template, func(x *exchange) error { return x.securityForm(serve) })
	}
	return all
}

// securitySignIn sends the person to sign in (RFC 6749 section 4.1, with RFC 7636).
// Only a second round demands a second factor: a person who has none yet comes here
// to register one.
func (x *exchange) securitySignIn(round string) error {
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	x.securitySet(securityFlow, state+"."+verifier+"."+round, 0)
	challenge := sha256.Sum256([]byte(verifier))
	q := []pair{
		{"client_id", securityClient}, {"redirect_uri", securityRedirect}, {"response_type", "code"}, {"resource", securityResource}, {"state", state},
		{"code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:])}, {"code_challenge_method", "S256"},
	}
	if round == signedFactor {
		q = append(q, pair{"amr_values", "mfa"})
	}
	if x.locales != "" {
		q = append(q, pair{"ui_locales", bounded(x.locales, 64)})
	}
	x.redirect(x.sibling(atLogin) + "/common/oauth2/authorize?" + encodePairs(q))
	return nil
}

// securityReturn redeems the code for the access token, which the browser keeps in a
// cookie that no script and no other path sees.
func (x *exchange) securityReturn() error {
	q, err := x.query()
	if err != nil {
		return err
	}
	flow := strings.Split(x.securityGet(securityFlow), ".")
	x.securitySet(securityFlow, "", -1)
	if len(flow) != 3 || subtle.ConstantTimeCompare([]byte(flow[0]), []byte(q["state"])) != 1 {
		return prterr.AADSTS(aadsts.FlowTokenExpired, "")
	}
	a, err := x.grants.RequestTokens(x.ctx, &idpv1.RequestTokensRequest{
		Caller: x.caller(), Tenant: "common", Protocol: idpv1.Protocol_PROTOCOL_V1, ClientId: securityClient, Resource: securityResource,
		Grant: &idpv1.RequestTokensRequest_AuthorizationCode{AuthorizationCode: &idpv1.AuthorizationCodeGrant{
			Code: q["code"], RedirectUri: securityRedirect, CodeVerifier: flow[1],
		}},
	})
	if err != nil {
		return err
	}
	token := a.GetTokens().GetAccessToken()
	if token == "" || len(token) > maxCookie {
		return prterr.New(prterr.Internal, "the access token of the security information has %d bytes: a cookie takes 1 to %d", len(token), maxCookie)
	}
	x.securitySet(securityCookie, token, 0)
	x.redirect(x.sibling(atLogin) + securityInfoPath + "?signed=" + flow[2])
	return nil
}

// securityToken is the access token of the browser, or empty.
func (x *exchange) securityToken() string { return x.securityGet(securityCookie) }

func (x *exchange) securityGet(name string) string {
	c, err := x.r.Cookie(name)
	if err != nil || !clean(c.Value) || len(c.Value) > maxCookie {
		return ""
	}
	return c.Value
}

// securitySet keeps a cookie until the browser is closed, or ends it.
func (x *exchange) securitySet(name, value string, age int) {
	http.SetCookie(x.w, &http.Cookie{
		Name: name, Value: value, Path: securityInfoPath, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: age,
	})
}

// securityCanary is what the forms of these pages carry: it follows from the token,
// which another site can neither read nor guess.
func securityCanary(token string) string {
	sum := sha256.Sum256([]byte("form of the security information\x00" + token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// securityForm opens a form of these pages: of a person who is signed in, from a page
// that was made for this sign-in.
func (x *exchange) securityForm(serve func(*exchange, params) error) error {
	p, err := x.form()
	if err != nil {
		return err
	}
	x.correlate(p)
	token := x.securityToken()
	if token == "" {
		x.see(securityInfoPath)
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(p["token"]), []byte(securityCanary(token))) != 1 {
		return prterr.AADSTS(aadsts.FlowTokenExpired, "")
	}
	return serve(x, p)
}

// see sends the browser on with a GET (RFC 9110 section 15.4.4), so that a page that
// is loaded again posts nothing.
func (x *exchange) see(path string) {
	x.w.Header().Set("Location", x.sibling(atLogin)+path)
	x.send(http.StatusSeeOther, "text/plain; charset=utf-8", nil)
}

// securityAgain is what follows an error of a call: another sign-in where that could
// help, with a second factor where one was missed, and after that the error. A policy
// against registering from here is final.
func (x *exchange) securityAgain(err error, round string) error {
	kind := prterr.KindOf(err)
	switch {
	case round == signedFactor || prterr.CodeOf(err) == aadsts.ProofUpBlockedByPolicy:
		return err
	case kind == prterr.Interaction, round == signedPlain && (kind == prterr.Unauthenticated || kind == prterr.Denied):
		return x.securitySignIn(signedFactor)
	case kind == prterr.Unauthenticated, kind == prterr.Denied:
		return x.securitySignIn(signedPlain)
	default:
		return err
	}
}

// ownRedirect leads the answer of the authorization endpoint back to these pages,
// under the name that was asked.
func (x *exchange) ownRedirect(to string) string {
	return cmp.Or(map[string]string{securityRedirect: x.sibling(atLogin) + securitySignedIn}[to], to)
}
