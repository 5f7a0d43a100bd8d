package pages_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
	"golang.org/x/net/html"
)

func compareQR(t *testing.T, viewBox, path string) {
	t.Helper()
	code, err := qr.Encode("otpauth://totp/Contoso:alice@contoso.test?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Contoso", qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	size := code.Bounds().Dx()
	if want := fmt.Sprintf("0 0 %d %d", size+8, size+8); viewBox != want {
		t.Errorf("viewBox %s, want %s", viewBox, want)
	}
	dark := map[[2]int]bool{}
	for run := range strings.SplitSeq(strings.TrimSuffix(path, "z"), "z") {
		var x, y, n, back int
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1h-%d", &x, &y, &n, &back); err != nil || n != back {
			t.Fatalf("%q: %v", run, err)
		}
		for i := range n {
			dark[[2]int{x + i - 4, y - 4}] = true
		}
	}
	for y := range size {
		for x := range size {
			r, _, _, _ := code.At(x, y).RGBA()
			if dark[[2]int{x, y}] != (r == 0) {
				t.Fatalf("module %d,%d is wrong", x, y)
			}
		}
	}
}

// node is an element of a page.
type node struct{ *html.Node }

func (n node) attr(key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func elements(t testing.TB, body []byte) (all []node) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, node{n})
		}
	}
	return all
}

func text(n node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// What a person with a screen reader or a keyboard needs, on every page: a
// language, one main part with one heading, a label for each field, a name for each
// button, ids that are there once, errors that are announced and pointed to.
func TestPagesAreAccessible(t *testing.T) {
	s := newSet(t)
	for name, v := range every() {
		d, err := s.Write(v)
		if err != nil {
			t.Fatal(err)
		}
		count, ids, labelled := map[string]int{}, map[string]bool{}, map[string]bool{}
		all := elements(t, d.Body)
		for _, e := range all {
			count[e.Data]++
			if id := e.attr("id"); id != "" {
				if ids[id] {
					t.Errorf("%s: id %s twice", name, id)
				}
				ids[id] = true
			}
			if e.Data == "label" && text(e) != "" {
				labelled[e.attr("for")] = true
			}
		}
		if count["main"] != 1 || count["h1"] != 1 || count["title"] != 1 || count["footer"] != 1 {
			t.Errorf("%s: %v", name, count)
		}
		for _, e := range all {
			switch {
			case e.Data == "input" && e.attr("type") != "hidden" && !labelled[e.attr("id")]:
				t.Errorf("%s: the field %s has no label", name, e.attr("name"))
			case e.Data == "button" && text(e) == "" && e.attr("aria-label") == "":
				t.Errorf("%s: a button without a name", name)
			case e.Data == "svg" && e.attr("aria-hidden") != "true" && (e.attr("role") != "img" || e.attr("aria-label") == ""):
				t.Errorf("%s: a picture without words that is not hidden", name)
			case e.attr("aria-describedby") != "" && !ids[e.attr("aria-describedby")]:
				t.Errorf("%s: %s describes nothing", name, e.attr("aria-describedby"))
			case e.attr("style") != "" || e.attr("onclick") != "":
				t.Errorf("%s: an attribute that the content policy stops", name)
			case e.attr("aria-label") != "" && text(e) != "" && !strings.Contains(e.attr("aria-label"), text(e)):
				t.Errorf("%s: %q is read as %q", name, text(e), e.attr("aria-label"))
			}
		}
		if v.Problem != nil && !strings.Contains(string(d.Body), `role="alert"`) {
			t.Errorf("%s: the error is not announced", name)
		}
	}
}

// A page has one form, but for the list of security information: whatever button is
// pressed, everything that the service needs comes along, each name once. It works
// without scripts but for passkeys.
func TestFormsCarryTheirState(t *testing.T) {
	s := newSet(t)
	for name, v := range every() {
		d, err := s.Write(v)
		if err != nil {
			t.Fatal(err)
		}
		forms := 0
		for _, e := range elements(t, d.Body) {
			if e.Data != "form" {
				continue
			}
			forms++
			var names []string
			buttons := 0
			for n := range e.Descendants() {
				switch one := (node{n}); {
				case n.Type == html.ElementNode && n.Data == "input":
					names = append(names, one.attr("name"))
				case n.Type == html.ElementNode && n.Data == "button" && one.attr("type") == "submit":
					buttons++
				}
			}
			slices.Sort(names)
			if len(slices.Compact(slices.Clone(names))) != len(names) {
				t.Errorf("%s: a name twice in %v", name, names)
			}
			if buttons == 0 && name != "factor none" {
				t.Errorf("%s: a form without a button", name)
			}
			if e.attr("method") != "post" || e.attr("action") == "" {
				t.Errorf("%s: %s %s", name, e.attr("method"), e.attr("action"))
			}
			switch {
			case v.Info != nil:
				if !slices.Contains(names, "token") {
					t.Errorf("%s: %v", name, names)
				}
			case v.Name != "FormPost" && (!slices.Contains(names, "flowToken") || !slices.Contains(names, "canary")):
				t.Errorf("%s: %v", name, names)
			}
		}
		if forms > 1 && v.Stage != "list" {
			t.Errorf("%s has %d forms", name, forms)
		}
	}
}

func TestContentPolicy(t *testing.T) {
	s := newSet(t)
	seen := map[string]bool{}
	for name, v := range every() {
		d, err := s.Write(v)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[^']+'; script-src 'nonce-([\w-]{22})'; img-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'$`).FindStringSubmatch(d.Policy)
		if m == nil || seen[m[1]] {
			t.Fatalf("%s: %s", name, d.Policy)
		}
		seen[m[1]] = true
		for _, e := range elements(t, d.Body) {
			if e.Data == "script" && (e.attr("nonce") != m[1] || e.attr("src") != "") {
				t.Errorf("%s: a script without the nonce", name)
			}
		}
	}
}

// Nothing that a page is told can become markup or script.
func TestNothingIsInjected(t *testing.T) {
	const evil = `"'></script><script>alert(1)</script><img src=x onerror=alert(1)>javascript:`
	s := newSet(t)
	for name, v := range every() {
		p := v.Page
		p.UserPrincipalName, p.Application, p.TenantName, p.Guidance, p.RegisterUrl, p.UserCode = evil, evil, evil, evil, "javascript:"+evil, evil
		for _, m := range p.GetMethods() {
			m.MethodId, m.Display = evil, evil
		}
		for _, m := range p.GetPermissions() {
			m.Scope, m.Resource = evil, evil
		}
		v.Form.FlowToken, v.Form.Canary, v.Form.SessionID, v.Options, v.Wait.SessionID, v.Wait.MethodID = evil, evil, evil, evil, evil, evil
		if v.Problem != nil {
			v.Problem.Text, v.Problem.Code, v.Facts.Exception, v.Facts.CorrelationID = evil, evil, evil, evil
		}
		if v.Info != nil {
			v.Info.Person, v.Info.Registration, v.Info.Secret, v.Info.ActivationCode, v.Info.PhoneNumber = evil, evil, evil, evil, evil
			for i := range v.Info.Methods {
				v.Info.Methods[i].ID, v.Info.Methods[i].Kind, v.Info.Methods[i].Display = evil, evil, evil
			}
		}
		d, err := s.Write(v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, e := range elements(t, d.Body) {
			if e.Data == "img" || e.Data == "script" && e.attr("nonce") == "" || e.attr("onerror") != "" || strings.HasPrefix(e.attr("href"), "javascript:") || strings.HasPrefix(e.attr("action"), "javascript:") {
				t.Errorf("%s: injected %s %v", name, e.Data, e.Attr)
			}
		}
	}
}
