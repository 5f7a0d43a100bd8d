package front

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// next does what follows a step of the sign-in.
func (x *exchange) next(a *idpv1.NextAction) error {
	switch o := a.GetAction().(type) {
	case *idpv1.NextAction_SignedIn:
		return x.signedIn(o.SignedIn)
	case *idpv1.NextAction_Page:
		return x.page(o.Page)
	case *idpv1.NextAction_RedirectError:
		return x.redirectError(o.RedirectError)
	case *idpv1.NextAction_Elsewhere:
		return x.elsewhere(o.Elsewhere)
	case *idpv1.NextAction_NonceChallenge:
		x.redirect(x.sibling(atLogin) + resumePath + "?ctx=" + escape(x.flow) + "&sso_nonce=" + escape(o.NonceChallenge.GetSsoNonce()))
		return nil
	default:
		return prterr.New(prterr.Internal, "the sign-in has no next action")
	}
}

// pair is a parameter of an answer to an application.
type pair struct{ Name, Value string }

func (x *exchange) signedIn(s *idpv1.SignedIn) error {
	if s.GetRedirectUri() == "" {
		return prterr.New(prterr.Internal, "the sign-in has no address to answer to")
	}
	x.remember(s)
	return x.respond(x.ownRedirect(s.GetRedirectUri()), s.GetResponseMode(), []pair{
		{"code", s.GetCode()}, {"id_token", s.GetIdToken()}, {"state", s.GetState()}, {"session_state", s.GetSessionState()},
	})
}

func (x *exchange) redirectError(e *idpv1.RedirectError) error {
	err := prterr.AADSTS(aadsts.Code(e.GetCode()), "")
	if e.GetDescription() != "" && err.Code != 0 {
		err.Msg = e.GetDescription()
	}
	if e.GetRedirectUri() == securityRedirect {
		return err // it is us whom it is for
	}
	r := x.explain(err)
	return x.respond(e.GetRedirectUri(), e.GetResponseMode(), []pair{
		{"error", r.oauth}, {"error_description", x.description(r)}, {"error_uri", x.errorURI(r.code)}, {"suberror", r.sub},
		{"claims", e.GetClaims()}, {"state", e.GetState()},
	})
}

// respond answers the application in the mode that it asked for.
func (x *exchange) respond(redirectURI, mode string, answer []pair) error {
	if !leads(redirectURI) {
		return prterr.AADSTS(aadsts.InvalidReplyTo, "")
	}
	answer = slices.DeleteFunc(answer, func(p pair) bool { return p.Value == "" })
	switch mode {
	case "form_post":
		return x.formPost(redirectURI, answer)
	case "fragment":
		x.redirect(redirectURI + "#" + encodePairs(answer))
	default:
		joint := "?"
		if strings.Contains(redirectURI, "?") {
			joint = "&"
		}
		x.redirect(redirectURI + joint + encodePairs(answer))
	}
	return nil
}

// leads reports whether a browser may be sent to an address: one that would run
// as a script on our page is none, whoever registered it.
func leads(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return false
	}
	return !slices.Contains([]string{"javascript", "data", "vbscript", "blob", "file", "about"}, strings.ToLower(u.Scheme))
}

func (x *exchange) elsewhere(e *idpv1.Elsewhere) error {
	if !strings.HasPrefix(e.GetUrl(), "https://") {
		return prterr.New(prterr.Internal, "the federation provider has no https address")
	}
	x.redirect(e.GetUrl())
	return nil
}

// redirect sends the browser on. Some clients follow Location and some the first
// link of the body, so both are there, the link absolute and escaped.
func (x *exchange) redirect(address string) {
	x.w.Header().Set("Location", address)
	x.w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	x.w.Header().Set("Referrer-Policy", "no-referrer")
	x.send(http.StatusFound, "text/html; charset=utf-8", []byte(`<html><head><title>Object moved</title></head><body>
<h2>Object moved to <a href="`+html.EscapeString(address)+`">here</a>.</h2>
</body></html>
`))
}

func encodePairs(all []pair) string {
	parts := make([]string, len(all))
	for i, p := range all {
		parts[i] = p.Name + "=" + escape(p.Value)
	}
	return strings.Join(parts, "&")
}

// encodeParams writes parameters in the order of their names.
func encodeParams(p params) string {
	all := make([]pair, 0, len(p))
	for name, value := range p {
		all = append(all, pair{escape(name), value})
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.Name, b.Name) })
	return encodePairs(all)
}

// escape is the escape of queries, with %20 for a space: everybody undoes that.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
