package front

import (
	"bytes"
	"crypto/rand"
	"embed"
	"net/http"
	"net/url"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/sts"
)

//go:embed page
var pages embed.FS

const (
	// maxForm bounds what a sign-in form sends, in bytes.
	maxForm = 16 << 10
	// maxQuery bounds the query of a sign-in request, in bytes; wctx is the
	// cloud's own state and may be some KiB.
	maxQuery = 16 << 10
)

// signIn is a sign-in request of WS-Federation (1.2 section 13.2.2), checked.
type signIn struct {
	realm, reply, context string
	hasContext            bool
	// userName is what the form begins with.
	userName string
}

// why is what a person reads who comes with a request that is not served.
type why string

const (
	whyQuery why = "The query is malformed, too long, or names a parameter twice."
	whyWA    why = "Only wa=wsignin1.0 is served here."
	whyRealm why = "wtrealm is not a relying party of this provider."
	whyReply why = "wreply is not an address that is registered for wtrealm."
	whyForm  why = "The form is malformed or too long. Go back and try again."
	whyAuth  why = "AuthMethod is not served: only FormsAuthentication."
	whyCross why = "The form came from another site. Go back and sign in here."
)

// passive serves the sign-in of browsers: a form, and then a page that carries
// the answer to the relying party.
func (f *Front) passive(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r, http.MethodGet, http.MethodHead, http.MethodPost) {
		return
	}
	req, wrong := f.signInOf(r.URL.RawQuery)
	switch {
	case wrong != "":
		f.refuse(w, r, wrong)
	case r.Method == http.MethodPost:
		f.submitted(w, r, req)
	default:
		f.form(w, r, req, "")
	}
}

func (f *Front) signInOf(raw string) (signIn, why) {
	q, err := url.ParseQuery(raw)
	if err != nil || len(raw) > maxQuery {
		return signIn{}, whyQuery
	}
	for _, name := range []string{"wa", "wtrealm", "wreply", "wctx", "username"} {
		if len(q[name]) > 1 {
			return signIn{}, whyQuery
		}
	}
	replies := f.org.ReplyURLs()
	switch {
	case q.Get("wa") != "wsignin1.0":
		return signIn{}, whyWA
	case q.Get("wtrealm") != f.org.Audience() || len(replies) == 0:
		return signIn{}, whyRealm
	case q.Has("wreply") && !slices.Contains(replies, q.Get("wreply")):
		return signIn{}, whyReply
	}
	req := signIn{realm: q.Get("wtrealm"), reply: replies[0], context: q.Get("wctx"), hasContext: q.Has("wctx"), userName: q.Get("username")}
	if q.Has("wreply") {
		req.reply = q.Get("wreply")
	}
	return req, ""
}

// query is the request again, for the form to be sent to.
func (s signIn) query() string {
	q := url.Values{"wa": {"wsignin1.0"}, "wtrealm": {s.realm}, "wreply": {s.reply}}
	if s.hasContext {
		q.Set("wctx", s.context)
	}
	return q.Encode()
}

// submitted takes the form. Kmsi is read over: nobody is remembered here.
func (f *Front) submitted(w http.ResponseWriter, r *http.Request, req signIn) {
	if f.origin.Check(r) != nil {
		f.refuse(w, r, whyCross)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil || len(r.PostForm["UserName"]) != 1 || len(r.PostForm["Password"]) != 1 {
		f.refuse(w, r, whyForm)
		return
	}
	if r.PostForm.Get("AuthMethod") != "FormsAuthentication" {
		f.refuse(w, r, whyAuth)
		return
	}
	req.userName = r.PostForm.Get("UserName")
	token, err := f.sts.Issue(r.Context(), sts.Request{
		Name: req.userName, Password: secret.NewText(r.PostForm.Get("Password")), AppliesTo: req.realm,
	})
	switch {
	case prterr.KindOf(err) == prterr.Unauthenticated:
		f.form(w, r, req, "Incorrect user ID or password. Type the correct user ID and password, and try again.")
	case err != nil:
		f.log.ErrorContext(r.Context(), "sign-in not answered", "error", err)
		f.page(w, r, http.StatusServiceUnavailable, "error.html", "", map[string]any{"Text": "The provider could not answer. Try again."})
	default:
		f.carry(w, r, req, token)
	}
}

// form shows the form. It is sent to where it came from, so the policy can name
// that as the only place that it may be sent to.
func (f *Front) form(w http.ResponseWriter, r *http.Request, req signIn, wrong string) {
	f.page(w, r, http.StatusOK, "form.html", "; form-action 'self'", map[string]any{
		"Action": pathPassive + "?" + req.query(), "Host": f.org.Domain(), "UserName": req.userName, "Wrong": wrong,
	})
}

// carry shows the page that posts the answer on. There is no form-action in its
// policy: browsers hold redirects that follow to it too, and where the relying
// party sends a browser next is not for this provider to know.
func (f *Front) carry(w http.ResponseWriter, r *http.Request, req signIn, token sts.Token) {
	result, err := wstrust.Response{
		Version: wstrust.Trust2005, Created: token.From, Expires: token.Until,
		AppliesTo: req.realm, TokenType: wstrust.TokenSAML11, Assertion: token.Assertion,
	}.EncodeAlone()
	if err != nil {
		f.log.ErrorContext(r.Context(), "answer not written", "error", err)
		f.page(w, r, http.StatusInternalServerError, "error.html", "", map[string]any{"Text": "The answer could not be written."})
		return
	}
	f.page(w, r, http.StatusOK, "carry.html", "", map[string]any{
		"Reply": req.reply, "Result": result.Reveal(), "Context": req.context, "HasContext": req.hasContext,
	})
}

func (f *Front) refuse(w http.ResponseWriter, r *http.Request, wrong why) {
	f.page(w, r, http.StatusBadRequest, "error.html", "", map[string]any{"Text": string(wrong)})
}

// page writes a page under a policy that allows it one script and nothing else.
func (f *Front) page(w http.ResponseWriter, r *http.Request, status int, name, policy string, data map[string]any) {
	data["Nonce"] = rand.Text()
	var out bytes.Buffer
	if err := f.pages.ExecuteTemplate(&out, name, data); err != nil {
		f.log.ErrorContext(r.Context(), "page not written", "page", name, "error", err)
		http.Error(w, "the page could not be written: see the provider's log", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+data["Nonce"].(string)+"'; base-uri 'none'; frame-ancestors 'none'"+policy)
	h.Set("Referrer-Policy", "strict-origin") // the path has wctx in it
	h.Set("X-Frame-Options", "DENY")
	write(w, status, "text/html; charset=utf-8", out.Bytes())
}
