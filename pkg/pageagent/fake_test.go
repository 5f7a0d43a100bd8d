package pageagent_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const redirectURI = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"

// site is a server of pages: each path answers with what a test put there.
type site struct {
	*httptest.Server
	mux   *http.ServeMux
	forms map[string]http.Header
	got   map[string]map[string]string
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{mux: http.NewServeMux(), forms: map[string]http.Header{}, got: map[string]map[string]string{}}
	s.Server = httptest.NewTLSServer(s.mux)
	t.Cleanup(s.Close)
	return s
}

// on answers a path; what was sent to it is kept.
func (s *site) on(path string, answer func(form map[string]string) string) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		form := map[string]string{}
		for k := range r.Form {
			form[k] = r.Form.Get(k)
		}
		s.got[path], s.forms[path] = form, r.Header
		text := answer(form)
		if to, ok := strings.CutPrefix(text, "302 "); ok {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		_, _ = fmt.Fprint(w, text)
	})
}

func always(text string) func(map[string]string) string {
	return func(map[string]string) string { return text }
}

// done sends the browser back to the application.
const done = "302 " + redirectURI + "?code=1.c.d&state=s1"

// page is a page of a kind, with forms in it.
func page(kind string, config map[string]any, body string) string {
	all := map[string]any{"pgid": kind}
	for k, v := range config {
		all[k] = v
	}
	text, _ := json.Marshal(all)
	return `<!DOCTYPE html><html><head><script nonce="x">//<![CDATA[
$Config=` + string(text) + `;
//]]></script></head><body>` + body + `</body></html>`
}

// form is one that is posted.
func form(action, inside string) string {
	return `<form method="post" action="` + action + `"><input type="hidden" name="flowToken" value="1.f.t&quot;">` + inside + `</form>`
}

func hidden(name, value string) string {
	return `<input type="hidden" name="` + name + `" value="` + html.EscapeString(value) + `">`
}

const (
	next     = `<button type="submit" id="idSIButton9">Next</button>`
	nameBox  = `<input type="text" name="login" value="">` + next
	password = `<input type="password" name="passwd">` + next
)

func (s *site) start() string {
	return s.URL + "/authorize?redirect_uri=ms-appx-web%3A%2F%2FMicrosoft.AAD.BrokerPlugin%2FDRS&state=s1"
}

func (s *site) agent(t testing.TB, p pageagent.Person, more ...func(*pageagent.Config)) *pageagent.Agent {
	t.Helper()
	cfg := pageagent.Config{HTTP: s.Client(), Person: p}
	for _, m := range more {
		m(&cfg)
	}
	a, err := pageagent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func alice() pageagent.Person {
	return pageagent.Person{Name: "alice@contoso.test", Password: secret.NewText("correct horse")}
}

// fixed is a clock that stands still.
type fixed int64

func (f fixed) Now() time.Time                       { return time.Unix(int64(f), 0) }
func (f fixed) NewTimer(d time.Duration) clock.Timer { return clock.Real().NewTimer(d) }
