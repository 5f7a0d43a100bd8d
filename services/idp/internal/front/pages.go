package front

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

//go:embed page.html
var pageText string

//go:embed page.css
var styleText string

// pages are the interactive pages, one template for all of them. They work
// without scripts and keep the ids of elements that test drivers look for.
type pages struct {
	template *template.Template
	// styleHash lets the one style sheet of the page pass the content policy.
	styleHash string
}

func newPages() (*pages, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"methodName": methodName}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("front: page: %w", err)
	}
	sum := sha256.Sum256([]byte(styleText))
	return &pages{template: t, styleHash: base64.StdEncoding.EncodeToString(sum[:])}, nil
}

// view is what the template shows.
type view struct {
	// Kind of page, pgid.
	Kind string
	// Page as the sign-in wants it shown.
	Page *idpv1.SignInPage
	// Config is $Config.
	Config pageConfig
	// Stage is empty, or what of the second factor is asked: code or wait.
	Stage string
	// Challenge under way in the second factor.
	Challenge challengeView
	// Post is where a form_post answer goes, with its parameters.
	Post   template.URL
	Answer []pair
	// Message of the pages that only tell something.
	Message string
	// ErrorURL explains the error.
	ErrorURL string
	Nonce    string
	Script   template.HTML
	Style    template.HTML
}

// Title is the heading.
func (v view) Title() string {
	switch v.Kind {
	case "ConvergedTFA":
		return "Prove that it is you"
	case "KmsiInterrupt":
		return "Stay signed in?"
	case "ConvergedRemoteConnect":
		return "Enter code"
	case "CmsiInterrupt":
		return "Is it you who signs in?"
	case "ConvergedRemoteConnectDone", "FormPost":
		return "Signed in"
	case "ConvergedChangePassword":
		return "Change your password"
	case "ConvergedProofUpRedirect":
		return "More is needed"
	case "ConvergedError":
		return "This did not work"
	case "ConvergedSignOut":
		return "Signed out"
	case "NativeClient":
		return "Done"
	case "Home":
		return "Lockstep"
	case "ConvergedSignIn":
		if v.Page.GetUserPrincipalName() != "" {
			return "Enter password"
		}
	}
	return "Sign in"
}

// Signing reports whether it is the page for name and password.
func (v view) Signing() bool { return v.Kind == "ConvergedSignIn" }

// BeginAuth and EndAuth are where the forms of the second factor go.
func (v view) BeginAuth() string { return beginAuthPath }

// EndAuth takes the code, or asks whether it was approved.
func (v view) EndAuth() string { return endAuthPath }

// methodName is what a second factor is called.
func methodName(m *idpv1.Method) string {
	name := map[string]string{
		methodCode: "Enter a code from your authenticator", "PhoneAppNotification": "Approve in your authenticator",
		"CompanionAppsNotification": "Approve in your authenticator", "OneWaySMS": "Enter a code from a text message",
		"TwoWayVoiceMobile": "Answer a call",
	}[m.GetMethodId()]
	if name == "" {
		name = m.GetMethodId()
	}
	if m.GetDisplay() != "" && !strings.Contains(name, "authenticator") {
		name += " (" + m.GetDisplay() + ")" // a number, so that the user knows which telephone
	}
	return name
}

// challengeView is a second factor that was begun.
type challengeView struct {
	MethodID, SessionID string
	Entropy             int32
	Poll                int
}

// page shows a page of the sign-in.
func (x *exchange) page(p *idpv1.SignInPage) error {
	if p.GetKind() == idpv1.PageKind_PAGE_KIND_SIGNED_OUT {
		x.forget()
	}
	v := view{Page: p, Config: x.config(p)}
	if p.GetKind() == idpv1.PageKind_PAGE_KIND_ERROR && p.GetErrorCode() != 0 {
		v.ErrorURL = x.errorURI(aadsts.Code(p.GetErrorCode()))
	}
	return x.render(http.StatusOK, v)
}

// render writes a page. Forms may lead to an application at any address, so the
// policy says nothing about form-action: browsers would hold the redirect that
// follows a form to it as well.
func (x *exchange) render(status int, v view) error {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw)
	v.Nonce, v.Kind = base64.RawURLEncoding.EncodeToString(raw), v.Config.PageID
	script, err := v.Config.script(v.Nonce)
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the page could not be written")
	}
	v.Script, v.Style = template.HTML(script), template.HTML("<style>"+styleText+"</style>") //nolint:gosec // both are ours: JSON without < > &, and an embedded file
	var b bytes.Buffer
	if err := x.pages.template.Execute(&b, v); err != nil {
		return prterr.Wrap(prterr.Internal, err, "the page could not be written")
	}
	h := x.w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+x.pages.styleHash+"'; script-src 'nonce-"+v.Nonce+
		"'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: with that a browser hides the Origin of our own forms from us.
	h.Set("Referrer-Policy", "same-origin")
	x.send(status, "text/html; charset=utf-8", b.Bytes())
	return nil
}

// formPost is the page that posts an answer to the application: at once when
// scripts run, by a button otherwise. The call in its script has the name that a
// test driver looks for to stop it.
func (x *exchange) formPost(redirectURI string, answer []pair) error {
	p := &idpv1.SignInPage{}
	c := x.config(p)
	c.PageID, c.PostURL = "FormPost", ""
	return x.render(http.StatusOK, view{Page: p, Config: c, Post: template.URL(redirectURI), Answer: answer}) //nolint:gosec // leads() was asked
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
	v := view{Page: p, Config: x.config(p), Message: r.message, ErrorURL: x.errorURI(r.code)}
	v.Config.ExceptionMsg = x.description(r)
	if err := x.render(status, v); err != nil {
		x.text(http.StatusInternalServerError, "internal error: see the component's log")
	}
}
