package front

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

// page shows a page of the sign-in.
func (x *exchange) page(p *idpv1.SignInPage) error {
	switch p.GetKind() {
	case idpv1.PageKind_PAGE_KIND_SIGNED_OUT:
		x.forget()
	case idpv1.PageKind_PAGE_KIND_HAND_OVER:
		return x.formPost(x.sibling(atLogin)+resumePath, []pair{{"flowToken", p.GetFlowToken()}, {"canary", p.GetCanary()}})
	case idpv1.PageKind_PAGE_KIND_UNSPECIFIED, idpv1.PageKind_PAGE_KIND_SIGN_IN:
		return x.signInPage(p)
	default:
	}
	c := x.config(p)
	return x.render(http.StatusOK, x.view(p, c), c)
}

// view is what a page shows, before anything that only some pages have.
func (x *exchange) view(p *idpv1.SignInPage, c pageConfig) pages.View {
	if strings.HasPrefix(p.GetRegisterUrl(), "/") {
		p.RegisterUrl = x.here(p.GetRegisterUrl())
	}
	v := pages.View{
		Name: c.PageID, Page: p, Locales: x.locales, Accept: header(x.r, "Accept-Language", 512),
		Form: pages.Form{FlowToken: c.FlowToken, Canary: c.Canary, SessionID: c.SessionID},
		Addresses: pages.Addresses{
			Post: x.here(postPath(p.GetKind())), Prove: x.here(loginPath), BeginAuth: x.here(beginAuthPath), EndAuth: x.here(endAuthPath),
			ProcessAuth: x.here(processAuthPath), CertAuth: x.certAuth(), Skip: x.here(skipPath), SecurityInfo: securityInfoPath,
		},
		Message: messageOf(c.PageID),
	}
	switch p.GetKind() {
	case idpv1.PageKind_PAGE_KIND_SECOND_FACTOR:
		v.Stage, v.Prove = "choose", v.ProcessAuth
	case idpv1.PageKind_PAGE_KIND_ERROR:
		v.Facts = pages.Facts{CorrelationID: x.correlationID, TraceID: x.requestID, Time: x.timestamp(), Exception: c.ExceptionMsg}
	default:
	}
	if p.GetErrorCode() != 0 {
		v.ErrorURL = x.errorURI(aadsts.Code(p.GetErrorCode()))
		v.Problem = &pages.Problem{Number: p.GetErrorCode(), Code: aadsts.Code(p.GetErrorCode()).String(), Text: c.ErrorText}
	}
	return v
}

// messageOf is the text of a page that only says something.
func messageOf(pageID string) string {
	return map[string]string{"Home": "home.say", "NativeClient": "native.say", "ConvergedSignOut": "signedout.say"}[pageID]
}

// here is the address of a form: a path, or under the login host when another
// name of ours was asked.
func (x *exchange) here(path string) string {
	if x.at() == atCertAuth {
		return x.sibling(atLogin) + path
	}
	return path
}

// render writes a page.
func (x *exchange) render(status int, v pages.View, c pageConfig) error {
	config, err := json.Marshal(c) // with its escapes for < > &: the text is the same whoever reads it as HTML
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the page could not be written")
	}
	v.Config = config
	return x.write(status, v)
}

// write sends a page with the headers that guard it.
func (x *exchange) write(status int, v pages.View) error {
	d, err := x.pages.Write(v)
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the page could not be written")
	}
	h := x.w.Header()
	h.Set("Content-Security-Policy", d.Policy)
	h.Set("Content-Language", d.Language)
	h.Add("Vary", "Accept-Language")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// The name of the host and nothing more. With no-referrer or same-origin a browser
	// hides the Origin of our forms from the host that asks for certificates.
	h.Set("Referrer-Policy", "strict-origin")
	x.send(status, "text/html; charset=utf-8", d.Body)
	return nil
}

// formPost is the page that posts an answer to the application, or a sign-in back to
// the login host: at once when
// scripts run, by a button otherwise. The call in its script has the name that a
// test driver looks for to stop it.
func (x *exchange) formPost(redirectURI string, answer []pair) error {
	p := &idpv1.SignInPage{}
	c := x.config(p)
	c.PageID, c.PostURL = "FormPost", ""
	v := x.view(p, c)
	v.Answer.To = template.URL(redirectURI) //nolint:gosec // leads() was asked
	for _, a := range answer {
		v.Answer.Pairs = append(v.Answer.Pairs, pages.Pair(a))
	}
	return x.render(http.StatusOK, v, c)
}

// configError puts the error of a page into $Config.
func (x *exchange) configError(c *pageConfig, p *idpv1.SignInPage) {
	code := aadsts.Code(p.GetErrorCode())
	text := p.GetErrorText()
	if row, ok := aadsts.Lookup(code); ok && text == "" {
		text = row.Meaning
	}
	c.ErrorCode, c.ErrorNumber, c.ErrorText = strconv.Itoa(int(p.GetErrorCode())), p.GetErrorCode(), text
	if p.GetKind() == idpv1.PageKind_PAGE_KIND_ERROR {
		c.MainMessage, c.MoreMessage = "Sorry, but we have trouble signing you in.", text
		c.ExceptionMsg = code.String() + ": " + text
	}
}

// failPage shows an error to whoever sits at the browser. Answers of the real
// service have status 200 then, and clients read the page.
func failPage(x *exchange, err error) {
	r := x.explain(err)
	status := http.StatusOK
	if r.status >= http.StatusInternalServerError || r.status == http.StatusRequestEntityTooLarge {
		status = r.status
	}
	p := &idpv1.SignInPage{Kind: idpv1.PageKind_PAGE_KIND_ERROR, ErrorCode: int32(r.code), ErrorText: r.message}
	c := x.config(p)
	c.ExceptionMsg = x.description(r)
	if err := x.render(status, x.view(p, c), c); err != nil {
		x.text(http.StatusInternalServerError, "internal error: see the component's log")
	}
}
