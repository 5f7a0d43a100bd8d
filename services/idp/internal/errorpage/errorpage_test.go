package errorpage_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
	"github.com/lockstep-sso/lockstep/services/idp/internal/errorpage"
)

func ask(t testing.TB, method, query, accept string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := errorpage.Handler()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, "/error", nil)
	r.URL.RawQuery = query
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOBS07_ThePageExplainsTheCodeAndNamesTheTests(t *testing.T) {
	w := ask(t, http.MethodGet, "code=50126", "text/html,*/*")
	for _, want := range []string{"AADSTS50126: InvalidUserNameOrPassword", "The user name or the password is wrong", "<td>400</td>", "<code>invalid_grant</code>", "ISS06", "go test ./... -run &#39;ISS06"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, w.Body)
		}
	}
	if w.Code != 200 || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	for _, row := range aadsts.Table() {
		w := ask(t, http.MethodGet, fmt.Sprintf("code=%d", row.Code), "")
		if w.Code != 200 || !strings.Contains(w.Body.String(), row.Name) || !strings.Contains(w.Body.String(), row.OAuthError) {
			t.Errorf("%v: %d", row.Code, w.Code)
		}
	}
	// Both versions, and where the user meets it.
	if body := ask(t, http.MethodGet, "code=AADSTS50076", "").Body.String(); !strings.Contains(body, "<code>interaction_required</code>") || !strings.Contains(body, "suberror <code>basic_action</code>") {
		t.Errorf("50076:\n%s", body)
	}
	if body := ask(t, http.MethodGet, "code=50140", "").Body.String(); !strings.Contains(body, "On a page") {
		t.Errorf("50140:\n%s", body)
	}
	if body := ask(t, http.MethodGet, "", "").Body.String(); strings.Count(body, "<tr><td><a href=") != len(aadsts.Table()) {
		t.Error("the list is not whole")
	}
}

func TestOBS07_JSON(t *testing.T) {
	w := ask(t, http.MethodGet, "code=50076", "application/json")
	var got aadsts.Row
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if want, _ := aadsts.Lookup(aadsts.MFARequired); got != want || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%+v, %v", got, w.Header())
	}
	if w := ask(t, http.MethodGet, "code=4711", "application/json"); w.Code != 404 || !strings.Contains(w.Body.String(), "AADSTS4711") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var all []aadsts.Row
	if err := json.Unmarshal(ask(t, http.MethodGet, "", "application/json").Body.Bytes(), &all); err != nil || len(all) != len(aadsts.Table()) {
		t.Errorf("%d rows, %v", len(all), err)
	}
}

func TestOBS07_CodesOfWindows(t *testing.T) {
	for _, row := range wincode.Table() {
		w := ask(t, http.MethodGet, "code="+row.Code.String(), "application/json")
		var got wincode.Row
		if err := json.Unmarshal(w.Body.Bytes(), &struct {
			Name *string `json:"name"`
			Next *string `json:"next"`
		}{&got.Name, &got.Next}); err != nil || w.Code != 200 || got.Name != row.Name || got.Next != row.Next {
			t.Errorf("%v: %d %s, %v", row.Code, w.Code, w.Body, err)
		}
		if page := ask(t, http.MethodGet, "code="+row.Code.String(), ""); page.Code != 200 || !strings.Contains(page.Body.String(), row.Code.String()) || !strings.Contains(page.Body.String(), "Next step") {
			t.Errorf("%v: %d", row.Code, page.Code)
		}
	}
	if body := ask(t, http.MethodGet, "", "").Body.String(); strings.Count(body, `<tr id="0x`) != len(wincode.Table()) {
		t.Error("the list is not whole")
	}
	for query, want := range map[string]int{"code=0xdeadbeef": 400, "code=12029": 200, "code=3399614476": 200} {
		if w := ask(t, http.MethodGet, query, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", query, w.Code, want)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	for query, want := range map[string]int{
		"code=4711": 404, "code=abc": 400, "code=-1": 400, "code=99999999999999999999": 400, "code=%3Cscript%3E": 400,
		"code=50126": 200, "other=1": 200, "%zz": 200,
	} {
		if w := ask(t, http.MethodGet, query, ""); w.Code != want {
			t.Errorf("%s: %d, want %d", query, w.Code, want)
		}
	}
	if w := ask(t, http.MethodPost, "code=50126", ""); w.Code != 405 || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
}

// The page runs nothing and loads nothing, and its own style is what the policy
// lets through.
func TestThePolicyIsStrict(t *testing.T) {
	w := ask(t, http.MethodGet, "code=50126", "")
	policy := w.Header().Get("Content-Security-Policy")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindSubmatch(w.Body.Bytes())
	if len(style) != 2 {
		t.Fatal("the page has no style")
	}
	sum := sha256.Sum256(style[1])
	for _, want := range []string{"default-src 'none'", "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", "frame-ancestors 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(w.Body.String(), "<script") || strings.Contains(w.Body.String(), " style=") {
		t.Errorf("%s\n%s", policy, w.Body)
	}
}

// Nothing of the query comes back, so nothing can be planted in it.
func FuzzErrorPage(f *testing.F) {
	for _, s := range []string{"50126", "AADSTS1", "<script>alert(1)</script>", "\x00", "１"} {
		f.Add(s, "text/html")
		f.Add(s, "application/json")
	}
	f.Fuzz(func(t *testing.T, code, accept string) {
		w := ask(t, http.MethodGet, url.Values{"code": {code}}.Encode(), accept)
		if w.Code != 200 && w.Code != 400 && w.Code != 404 {
			t.Errorf("%d", w.Code)
		}
		if strings.ContainsAny(code, "<>\"") && len(code) > 8 && strings.Contains(w.Body.String(), code) {
			t.Error("the query came back as it was")
		}
	})
}
