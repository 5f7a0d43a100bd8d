package adfs_test

import (
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/services/adfs"
)

const (
	passiveQuery = "username=carol%40adatum.test&wa=wsignin1.0&wtrealm=urn%3afederation%3aMicrosoftOnline&wctx=LoginOptions%3D3%26estsrequest%3Dr%22%3E%3Cx%3E"
	signInForm   = "application/x-www-form-urlencoded"
	goodForm     = "UserName=carol%40adatum.test&Password=federated+horse&AuthMethod=FormsAuthentication&Kmsi=true"
)

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// inputs are the names and values of a page's inputs, as a browser would send them.
func inputs(page string) map[string]string {
	found := map[string]string{}
	for _, tag := range regexp.MustCompile(`<input [^>]*>`).FindAllString(page, -1) {
		name, value := regexp.MustCompile(` name="([^"]*)"`).FindStringSubmatch(tag), regexp.MustCompile(` value="([^"]*)"`).FindStringSubmatch(tag)
		if name != nil && value != nil {
			found[name[1]] = html.UnescapeString(value[1])
		}
	}
	return found
}

func action(page string) string {
	return html.UnescapeString(regexp.MustCompile(`<form [^>]*action="([^"]*)"`).FindStringSubmatch(page)[1])
}

// What a browser driver and AADInternals do: get the form, send it, carry the
// answer on.
func TestWire_ABrowserSignsIn(t *testing.T) {
	h := handler(t, adfs.Config{})
	first := ask(h, http.MethodGet, "/adfs/ls/?"+passiveQuery, "", "")
	page := first.Body.String()
	for _, id := range []string{`id="userNameInput" name="UserName"`, `id="passwordInput" name="Password"`, `id="submitButton"`, `name="AuthMethod" value="FormsAuthentication"`, `name="Kmsi"`} {
		if !strings.Contains(page, id) {
			t.Errorf("the form has no %s", id)
		}
	}
	if first.Code != 200 || inputs(page)["UserName"] != "carol@adatum.test" || !strings.Contains(first.Header().Get("Content-Security-Policy"), "form-action 'self'") {
		t.Errorf("the form: %d %v", first.Code, first.Header())
	}
	for _, where := range []string{action(page), "/adfs/ls?" + passiveQuery} {
		w := ask(h, http.MethodPost, where, signInForm, goodForm)
		page, fields := w.Body.String(), inputs(w.Body.String())
		if w.Code != 200 || action(page) != "https://login.microsoftonline.com/login.srf" || fields["wa"] != "wsignin1.0" || fields["wctx"] != `LoginOptions=3&estsrequest=r"><x>` {
			t.Fatalf("%d %s", w.Code, page)
		}
		if strings.Contains(page, "<x>") || strings.Contains(page, "federated horse") {
			t.Error("the page repeats what it was given")
		}
		result := fields["wresult"]
		if !strings.HasPrefix(result, `<t:RequestSecurityTokenResponse xmlns:t="http://schemas.xmlsoap.org/ws/2005/02/trust">`) {
			t.Fatalf("wresult is %s", result)
		}
		from, to := strings.Index(result, "<saml:Assertion"), strings.Index(result, "</t:RequestedSecurityToken>")
		checkAssertion(t, result[from:to])
		nonce := regexp.MustCompile(`<script nonce="([^"]+)">`).FindStringSubmatch(page)
		csp := w.Header().Get("Content-Security-Policy")
		if nonce == nil || !strings.Contains(csp, "script-src 'nonce-"+nonce[1]+"'") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "form-action") {
			t.Errorf("policy %q for nonce %q", csp, nonce)
		}
		if !strings.Contains(page, "<noscript>") {
			t.Error("nobody without scripts gets on")
		}
	}
}

func TestWire_ABrowserIsRefused(t *testing.T) {
	h := handler(t, adfs.Config{})
	realm := "wtrealm=urn%3afederation%3aMicrosoftOnline"
	for name, c := range map[string]struct {
		query, contentType, form string
		status                   int
		text                     string
	}{
		"unknown realm":     {"wa=wsignin1.0&wtrealm=urn:evil", "", "", 400, "wtrealm is not"},
		"no realm":          {"wa=wsignin1.0", "", "", 400, "wtrealm is not"},
		"another reply":     {"wa=wsignin1.0&" + realm + "&wreply=https%3A%2F%2Fevil.test%2Flogin.srf", "", "", 400, "wreply is not"},
		"a reply like it":   {"wa=wsignin1.0&" + realm + "&wreply=https%3A%2F%2Flogin.microsoftonline.com%2Flogin.srf%2F", "", "", 400, "wreply is not"},
		"an empty reply":    {"wa=wsignin1.0&" + realm + "&wreply=", "", "", 400, "wreply is not"},
		"sign-out":          {"wa=wsignout1.0", "", "", 400, "Only wa=wsignin1.0"},
		"two realms":        {"wa=wsignin1.0&" + realm + "&wtrealm=urn:evil", "", "", 400, "names a parameter twice"},
		"two contexts":      {"wa=wsignin1.0&" + realm + "&wctx=a&wctx=b", "", "", 400, "names a parameter twice"},
		"a malformed query": {"wa=wsignin1.0&" + realm + "&wctx=%zz", "", "", 400, "malformed"},
		"a long query":      {"wa=wsignin1.0&" + realm + "&wctx=" + strings.Repeat("a", 16<<10), "", "", 400, "too long"},
		"wrong password":    {passiveQuery, signInForm, strings.Replace(goodForm, "horse", "cow", 1), 200, "Incorrect user ID or password"},
		"unknown user":      {passiveQuery, signInForm, strings.Replace(goodForm, "carol", "dave", 1), 200, "Incorrect user ID or password"},
		"another method":    {passiveQuery, signInForm, strings.Replace(goodForm, "Forms", "Windows", 1), 400, "AuthMethod"},
		"no password":       {passiveQuery, signInForm, "UserName=x&AuthMethod=FormsAuthentication", 400, "The form is malformed"},
		"two user names":    {passiveQuery, signInForm, goodForm + "&UserName=x", 400, "The form is malformed"},
		"not a form":        {passiveQuery, "text/plain", goodForm, 400, "The form is malformed"},
		"a long form":       {passiveQuery, signInForm, goodForm + "&x=" + strings.Repeat("a", 16<<10), 400, "The form is malformed or too long"},
		"a bad realm":       {"wa=wsignin1.0&wtrealm=urn:evil", signInForm, goodForm, 400, "wtrealm is not"},
	} {
		method := http.MethodGet
		if c.form != "" {
			method = http.MethodPost
		}
		w := ask(h, method, "/adfs/ls/?"+c.query, c.contentType, c.form)
		page := w.Body.String()
		if w.Code != c.status || !strings.Contains(page, c.text) {
			t.Errorf("%s: %d %s", name, w.Code, page)
		}
		if strings.Contains(page, "evil") || strings.Contains(page, "wresult") || strings.Contains(page, "cow") {
			t.Errorf("%s: the page repeats what it was given, or answers: %s", name, page)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", name, csp)
		}
	}
	w := ask(h, http.MethodPost, "/adfs/ls/?"+passiveQuery, signInForm, strings.Replace(goodForm, "carol", url.QueryEscape(`"><script>alert(1)</script>`), 1))
	if page := w.Body.String(); strings.Contains(page, "<script>alert") || inputs(page)["UserName"] == "" {
		t.Errorf("the user name is written as markup: %s", page)
	}
	r := httptest.NewRequest(http.MethodPost, "https://sts.adatum.test/adfs/ls/?"+passiveQuery, strings.NewReader(goodForm))
	r.Header.Set("Content-Type", signInForm)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	rec := httptest.NewRecorder()
	if h.ServeHTTP(rec, r); rec.Code != 400 || !strings.Contains(rec.Body.String(), "another site") {
		t.Errorf("a form from another site: %d", rec.Code)
	}
}

func TestABrowserIsCarriedToARegisteredAddressOnly(t *testing.T) {
	const users = "issuer: http://sts.a.test/trust/\ndomain: a.test\nusers:\n  - {upn: x@a.test, password: federated horse, immutable_id: AAAAAAAAAAAAAAAAAAAAAA==}\n"
	h := handler(t, adfs.Config{Organisation: []byte("reply_urls: ['https://login.test:8443/login.srf', 'https://other.test/login.srf']\n" + users)})
	form := strings.Replace(goodForm, "carol%40adatum.test", "x%40a.test", 1)
	for reply, want := range map[string]string{
		"": "https://login.test:8443/login.srf",
		"&wreply=https%3A%2F%2Fother.test%2Flogin.srf": "https://other.test/login.srf",
	} {
		w := ask(h, http.MethodPost, "/adfs/ls/?wa=wsignin1.0&wtrealm=urn:federation:MicrosoftOnline"+reply, signInForm, form)
		if got := action(w.Body.String()); w.Code != 200 || got != want || strings.Contains(w.Body.String(), `name="wctx"`) {
			t.Errorf("%q: carried to %s", reply, got)
		}
	}
	h = handler(t, adfs.Config{Organisation: []byte("audience: urn:other\n" + users)})
	if w := ask(h, http.MethodGet, "/adfs/ls/?wa=wsignin1.0&wtrealm=urn:other", "", ""); w.Code != 400 {
		t.Errorf("a realm without an address: %d", w.Code)
	}
}
