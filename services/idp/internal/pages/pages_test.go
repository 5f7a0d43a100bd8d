package pages_test

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
	"unicode"

	"github.com/goccy/go-yaml"
	"golang.org/x/net/html"

	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

func catalogue(t testing.TB, language string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("text", language+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	if err := yaml.Unmarshal(b, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

// Every language has every text, with the same gaps to fill in.
func TestEveryLanguageIsComplete(t *testing.T) {
	gaps := regexp.MustCompile(`\{\d+\}`)
	english := catalogue(t, "en")
	files, err := filepath.Glob("text/*.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		language := strings.TrimSuffix(filepath.Base(file), ".yaml")
		texts := catalogue(t, language)
		for key, text := range english {
			other, ok := texts[key]
			switch {
			case !ok || strings.TrimSpace(other) == "":
				t.Errorf("%s has no %s", language, key)
			case !slices.Equal(gaps.FindAllString(text, -1), gaps.FindAllString(other, -1)):
				t.Errorf("%s: %s fills in %v, English %v", language, key, gaps.FindAllString(other, -1), gaps.FindAllString(text, -1))
			case language != "en" && other == text && len(strings.Fields(text)) > 2:
				t.Errorf("%s: %s is in English", language, key)
			}
		}
		for key := range texts {
			if _, ok := english[key]; !ok {
				t.Errorf("%s has %s, which English has not", language, key)
			}
		}
	}
}

// What stands in a template itself is markup: no words that nobody could translate.
func TestTemplatesHaveNoWordsOfTheirOwn(t *testing.T) {
	files, err := filepath.Glob("html/*.html")
	if err != nil || len(files) < 10 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range wordsOf(t, file, string(b)) {
			t.Errorf("%s: %q", file, word)
		}
	}
	for text, found := range map[string]bool{"<p>Hello</p>": true, `<img alt="Hello">`: true, `<p title="x y">`: true, `<p id="hello" class="soft">{{.T "a.b"}}</p>`: false} {
		if got := wordsOf(t, "a test", text); (len(got) > 0) != found {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// wordsOf finds text and attributes for people in the markup of a template, what
// the template fills in left out.
func wordsOf(t testing.TB, name, text string) (words []string) {
	t.Helper()
	trees := map[string]*parse.Tree{}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, "{{", "}}", trees); err != nil {
		t.Fatal(err)
	}
	var markup strings.Builder
	for _, one := range trees {
		plain(one.Root, &markup)
	}
	letters := func(s string) bool { return strings.ContainsFunc(s, unicode.IsLetter) }
	z := html.NewTokenizer(strings.NewReader(strings.ReplaceAll(markup.String(), "noscript>", "div>")))
	for z.Next() != html.ErrorToken {
		token := z.Token()
		if token.Type == html.TextToken && letters(token.Data) {
			words = append(words, token.Data)
		}
		for _, a := range token.Attr {
			if slices.Contains([]string{"alt", "title", "aria-label", "aria-description", "placeholder"}, a.Key) && letters(a.Val) {
				words = append(words, a.Val)
			}
		}
	}
	if !errors.Is(z.Err(), io.EOF) {
		t.Fatal(z.Err())
	}
	return words
}

func plain(n parse.Node, to *strings.Builder) {
	branch := func(lists ...*parse.ListNode) {
		for _, l := range lists {
			if l != nil {
				plain(l, to)
			}
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, one := range n.Nodes {
				plain(one, to)
			}
		}
	case *parse.TextNode:
		to.Write(n.Text)
	case *parse.IfNode:
		branch(n.List, n.ElseList)
	case *parse.RangeNode:
		branch(n.List, n.ElseList)
	case *parse.WithNode:
		branch(n.List, n.ElseList)
	}
}

// Every page shows texts and no key of one, in every language; every text is shown
// by some page.
func TestEveryTextIsShownByAPage(t *testing.T) {
	s := newSet(t)
	english := catalogue(t, "en")
	shown := map[string]bool{}
	keys := regexp.MustCompile(`[>"](\w+\.\w+)[<"]`)
	for name, v := range every() {
		for _, language := range []string{"en", "de", "sv", "ja"} {
			v.Accept = language
			d, err := s.Write(v)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if d.Language != language || !strings.Contains(string(d.Body), `<html lang="`+language+`"`) {
				t.Errorf("%s: asked for %s, got %s", name, language, d.Language)
			}
			for _, m := range keys.FindAllSubmatch(d.Body, -1) {
				if _, ok := english[string(m[1])]; ok {
					t.Errorf("%s shows the key %s", name, m[1])
				}
			}
		}
		v.Accept = "en"
		d, _ := s.Write(v)
		body := html.UnescapeString(string(d.Body))
		for key, text := range english {
			if !slices.ContainsFunc(strings.Split(text, "{1}"), func(part string) bool { return !strings.Contains(body, part) }) {
				shown[key] = true
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(english)) {
		// Errors come by their number, and these after something that a test cannot see here.
		if !shown[key] && !strings.HasPrefix(key, "error.") && !slices.Contains([]string{"security.removed", "security.changed", "security.waiting", "security.nosession", "certificate.none", "certificate.proxy"}, key) {
			t.Errorf("no page shows %s", key)
		}
	}
}

func newSet(t testing.TB) *pages.Set {
	t.Helper()
	s, err := pages.New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLanguageOfAPage(t *testing.T) {
	s := newSet(t)
	for _, c := range []struct{ locales, accept, want, carried string }{
		{"", "", "en", ""}, {"", "sv-SE,sv;q=0.9,en;q=0.5", "sv", ""}, {"", "fr-FR, ja;q=0.3", "ja", ""}, {"", "fr", "en", ""}, {"", "*", "en", ""},
		{"ja-JP de", "sv", "ja", "ja"}, {"fr", "de-AT", "de", ""}, {"de-CH", "", "de", "de"}, {"\x00\"><script>", "\xff", "en", ""},
		{strings.Repeat("sv ", 200), "de", "de", ""}, {"", strings.Repeat("sv,", 200), "en", ""},
	} {
		d, err := s.Write(pages.View{Name: "Home", Message: "home.say", Locales: c.locales, Accept: c.accept})
		if err != nil || d.Language != c.want {
			t.Errorf("%.40q, %.40q: %s, want %s; %v", c.locales, c.accept, d.Language, c.want, err)
		}
		v := every()["password"]
		v.Locales, v.Accept = c.locales, c.accept
		d, _ = s.Write(v)
		m := regexp.MustCompile(`name="ui_locales" value="([^"]*)"`).FindSubmatch(d.Body)
		if c.carried == "" && m != nil || c.carried != "" && (m == nil || string(m[1]) != c.carried) {
			t.Errorf("%.40q: carried %q, want %q", c.locales, m, c.carried)
		}
	}
}

// The picture of a QR code has the modules of the code, and a margin around them.
func TestQRCode(t *testing.T) {
	d, err := newSet(t).Write(every()["security softwareOath"])
	if err != nil {
		t.Fatal(err)
	}
	svg := regexp.MustCompile(`(?s)<svg class="qr".*?</svg>`).Find(d.Body)
	var picture struct {
		Label   string `xml:"aria-label,attr"`
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(svg, &picture); err != nil || picture.Label == "" || len(picture.Paths) != 2 {
		t.Fatalf("%v: %s", err, svg)
	}
	compareQR(t, picture.ViewBox, picture.Paths[1].D)
}
