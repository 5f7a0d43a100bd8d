package pageagent_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// signInPages are a page for the name and one for the password.
func (s *site) signInPages(after string) {
	s.on("/authorize", always(page("ConvergedSignIn", nil, form("/name", nameBox))))
	s.on("/name", always(page("ConvergedSignIn", map[string]any{"sPOST_Username": "alice@contoso.test"}, form("/login", password))))
	s.on("/login", always(after))
}

func TestNameAndPassword(t *testing.T) {
	s := newSite(t)
	s.signInPages(done)
	headers := http.Header{"X-Ms-Refreshtokencredential": {"j.w.t"}}
	final, prompts, err := s.agent(t, alice()).Run(t.Context(), s.start(), headers)
	if err != nil || final != redirectURI+"?code=1.c.d&state=s1" || !slices.Equal(prompts, []string{"password"}) {
		t.Fatalf("%s, %q, %v", final, prompts, err)
	}
	if s.got["/name"]["login"] != "alice@contoso.test" || s.got["/login"]["passwd"] != "correct horse" || s.got["/login"]["flowToken"] != `1.f.t"` {
		t.Errorf("%v", s.got)
	}
	if s.forms["/authorize"].Get("X-Ms-Refreshtokencredential") != "j.w.t" || s.forms["/name"].Get("X-Ms-Refreshtokencredential") != "" {
		t.Error("the headers belong on the first request and on no other")
	}
	if s.forms["/login"].Get("Origin") != s.URL {
		t.Errorf("Origin %q", s.forms["/login"].Get("Origin"))
	}
	q, err := pageagent.Answer(final)
	if err != nil || q.Get("code") != "1.c.d" {
		t.Errorf("%v, %v", q, err)
	}
}

// TestErrorsOfPages: a page that says no is its code; one that only says why it is
// there is none.
func TestErrorsOfPages(t *testing.T) {
	s := newSite(t)
	s.signInPages(page("ConvergedSignIn", map[string]any{"iErrorCode": 50126, "sErrTxt": "wrong canary-text"}, form("/login", password)))
	_, prompts, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil)
	if prterr.CodeOf(err) != aadsts.InvalidCredentials || prterr.KindOf(err) != prterr.Unauthenticated || !slices.Equal(prompts, []string{"password"}) {
		t.Errorf("%q, %v", prompts, err)
	}
	if strings.Contains(prterr.ToStatus(err).Error(), "canary-text") || strings.Contains(err.Error(), "correct horse") {
		t.Errorf("words of the page, or a secret, cross: %v", err)
	}
	s = newSite(t)
	s.on("/authorize", always(page("ConvergedSignIn", map[string]any{"iErrorCode": 50058}, form("/name", nameBox))))
	s.on("/name", always(page("ConvergedError", map[string]any{"iErrorCode": 53003}, "")))
	if _, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); prterr.CodeOf(err) != aadsts.BlockedByPolicy {
		t.Errorf("%v", err)
	}
	s = newSite(t)
	s.on("/authorize", always(page("ConvergedError", map[string]any{"iErrorCode": 1}, "")))
	if _, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Denied || prterr.CodeOf(err) != 0 {
		t.Errorf("%v", err)
	}
}

// TestSecretsStayAtTheOriginsThatWereNamed: no page, redirect or form brings the
// person's password anywhere else.
func TestSecretsStayAtTheOriginsThatWereNamed(t *testing.T) {
	thief := newSite(t)
	var stolen bool
	thief.on("/", func(map[string]string) string { stolen = true; return "" })
	for what, answer := range map[string]string{
		"redirect": "302 " + thief.URL + "/x", "form": page("ConvergedSignIn", nil, form(thief.URL+"/x", password)),
		"plain": "302 http://" + thief.Listener.Addr().String() + "/x", "scheme": "302 file:///etc/passwd", "user": "302 https://a@" + thief.Listener.Addr().String(),
	} {
		s := newSite(t)
		s.on("/authorize", always(answer))
		if _, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", what, err)
		}
	}
	if stolen {
		t.Error("a request went to a place that was not named")
	}
	for _, address := range []string{"http://login.test/", "https://a:b@login.test/", "", "https://", "https://login.test/" + strings.Repeat("x", 64<<10)} {
		s := newSite(t)
		if _, _, err := s.agent(t, alice()).Run(t.Context(), address, nil); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%.40s: %v", address, err)
		}
	}
	// The redirect_uri is a whole address, not a beginning of one.
	s := newSite(t)
	s.on("/authorize", always("302 "+redirectURI+".evil?code=x"))
	if final, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); err == nil {
		t.Errorf("ended at %s", final)
	}
}

// TestWhatIsTypedGoesIntoNoAddress: an address is in histories and logs, and the one
// that a run ends at goes to the application.
func TestWhatIsTypedGoesIntoNoAddress(t *testing.T) {
	for what, f := range map[string]string{
		"to the application": form(redirectURI, password), "by GET": `<form method="get" action="/login">` + password + `</form>`,
	} {
		s := newSite(t)
		s.on("/authorize", always(page("ConvergedSignIn", nil, f)))
		s.on("/login", always(done))
		final, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil)
		if prterr.KindOf(err) != prterr.Denied || strings.Contains(final, "correct") || len(s.got["/login"]) != 0 {
			t.Errorf("%s: %q, %v, %v", what, final, err, s.got)
		}
	}
}

func TestFederatedSignIn(t *testing.T) {
	sts, s := newSite(t), newSite(t)
	s.on("/authorize", always("302 "+sts.URL+"/adfs/ls/?wctx=x"))
	s.on("/login.srf", always(done))
	sts.on("/adfs/ls/", func(f map[string]string) string {
		if f["Password"] == "correct horse" && f["UserName"] == "alice@contoso.test" {
			return `<form method="POST" name="hiddenform" action="` + s.URL + `/login.srf">` + hidden("wresult", "<t:x/>") + `<noscript><input type="submit"></noscript></form>`
		}
		return `<form method="post" action="/adfs/ls/?wctx=x"><label id="errorText"></label><input name="UserName" type="email"><input name="Password" type="password"><button type="submit">Sign in</button></form>`
	})
	pool := s.Client()
	pool.Transport.(*http.Transport).TLSClientConfig.RootCAs.AddCert(sts.Certificate())
	named := func(c *pageagent.Config) { c.Origins = []string{sts.URL} }
	final, prompts, err := s.agent(t, alice(), named).Run(t.Context(), s.start(), nil)
	if err != nil || !strings.HasPrefix(final, redirectURI) || !slices.Equal(prompts, []string{"federatedPassword"}) || s.got["/login.srf"]["wresult"] != "<t:x/>" {
		t.Errorf("%s, %q, %v, %v", final, prompts, err, s.got)
	}
	wrong := alice()
	wrong.Password = secret.NewText("wrong")
	if _, _, err := s.agent(t, wrong, named).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("%v", err)
	}
	if _, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("an origin that was not named: %v", err)
	}
}

func TestRunsAreBounded(t *testing.T) {
	for what, answer := range map[string]string{
		"redirects": "302 /authorize?redirect_uri=x", "the same page": page("ConvergedSignIn", nil, form("/authorize", nameBox)),
		"long page": page("ConvergedSignIn", nil, form("/authorize", nameBox)) + strings.Repeat(" ", 1<<20),
		"no form":   page("ConvergedSignIn", nil, ""), "many forms": strings.Repeat("<form></form>", 40), "not JSON": "<script>$Config={{</script>",
		"many fields": "<form>" + strings.Repeat("<input name=a>", 300) + "</form>",
	} {
		s := newSite(t)
		s.on("/authorize", always(answer))
		if _, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); err == nil {
			t.Errorf("%s: it ended well", what)
		}
	}
	s := newSite(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	s.mux.HandleFunc("/authorize", func(http.ResponseWriter, *http.Request) { <-hang })
	short := func(c *pageagent.Config) { c.Timeout = 50 * time.Millisecond }
	if _, _, err := s.agent(t, alice(), short).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Deadline {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.agent(t, alice()).Run(ctx, s.start(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for what, cfg := range map[string]pageagent.Config{
		"no client": {}, "origin with a path": {HTTP: http.DefaultClient, Origins: []string{"https://sts.test/adfs"}},
	} {
		if _, err := pageagent.New(cfg); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

func TestAnswersOfApplications(t *testing.T) {
	_, err := pageagent.Answer("msauth://x?error=interaction_required&error_description=AADSTS50076%3A+more+canary&claims=%7B%22a%22%3A1%7D")
	var e *prterr.Error
	if !errors.As(err, &e) || e.Code != aadsts.MFARequired || e.Kind != prterr.Interaction || e.Claims != `{"a":1}` {
		t.Errorf("%+v", e)
	}
	if q, err := pageagent.Answer("msauth://x#code=c&state=s"); err != nil || q.Get("code") != "c" {
		t.Errorf("%v, %v", q, err)
	}
	if _, err := pageagent.Answer("msauth://x?error=access_denied"); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("%v", err)
	}
}
