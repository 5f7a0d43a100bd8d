package diagram_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/cockroachdb/datadriven" // for the flag -rewrite, which means the same everywhere
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/diagram"
)

// golden compares with a file, or renews it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if flag.Lookup("rewrite").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is another picture now; run with -rewrite and look at it:\n%s", path, got)
	}
}

// fixed is a trace made by hand: a browser sign-in with a call between components, an
// arrow to itself, and a failure at its end.
func fixed() ladder.Ladder {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	span := func(n byte, service, name string, s stepv1.Step) ladder.Span {
		at := began.Add(time.Duration(n) * 1500 * time.Microsecond)
		return ladder.Span{
			Trace: trace.TraceID{0: 0xab, 15: 1}, ID: trace.SpanID{7: n}, Parent: trace.SpanID{7: n - 1}, Service: service, Name: name, Step: s,
			Start: at, End: at.Add(time.Millisecond), Server: s == stepv1.Step_STEP_UNSPECIFIED,
		}
	}
	spans := []ladder.Span{
		span(1, "browser", "", stepv1.Step_STEP_BROWSER_SSO_A), span(2, "browser", "", stepv1.Step_STEP_BROWSER_SSO_B),
		span(3, "lsa-cloudap", "", stepv1.Step_STEP_BROWSER_SSO_C), span(4, "tpm-agent", "prt.tpm.v1.PRTKeyService/SignPRTCookie", stepv1.Step_STEP_UNSPECIFIED),
		span(5, "lsa-cloudap", "", stepv1.Step_STEP_BROWSER_SSO_D), span(6, "idp", "", stepv1.Step_STEP_BROWSER_SSO_E), span(7, "idp", "", stepv1.Step_STEP_BROWSER_SSO_F),
	}
	spans[6].Failed = true
	return ladder.Build(step.BrowserSSO, trace.TraceID{0: 0xab, 15: 1}, spans, true)
}

func TestPicturesOfAFixedTrace(t *testing.T) {
	for name, hops := range map[string]bool{"fixed": false, "hops": true} {
		d := diagram.Of(fixed(), hops)
		golden(t, filepath.Join("testdata", name+".svg"), d.SVG())
		golden(t, filepath.Join("testdata", name+".txt"), d.Text())
	}
	empty := diagram.Of(ladder.Ladder{}, false)
	if !strings.Contains(empty.Text(), "nothing to draw") || !strings.Contains(empty.SVG(), "</svg>") {
		t.Error("a trace without spans")
	}
}

// element is what a test needs to know of an element of a picture.
type element struct{ name, class, text string }

// elements reads an SVG as a viewer does.
func elements(t *testing.T, svg string) (all []element) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v\n%s", err, svg)
		}
		switch tok := token.(type) {
		case xml.StartElement:
			e := element{name: tok.Name.Local}
			for _, a := range tok.Attr {
				if a.Name.Local == "class" {
					e.class = a.Value
				}
				if strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "://") && a.Name.Local != "xmlns" {
					t.Errorf("the picture has %s=%q: it must need nothing else", a.Name.Local, a.Value)
				}
			}
			all = append(all, e)
		case xml.CharData:
			if len(all) > 0 {
				all[len(all)-1].text += string(tok)
			}
		}
	}
}

func TestAPictureNeedsNothingElse(t *testing.T) {
	d := diagram.Of(fixed(), true)
	d.Title, d.Arrows[0].What = `<script>alert("1")</script> & more`, `a < b & "c"`
	has := map[string]bool{}
	for _, e := range elements(t, d.SVG()) {
		has[e.name] = true
		switch e.name {
		case "svg", "title", "desc", "style", "rect", "text", "line", "g", "path", "circle":
		default:
			t.Errorf("an element %s", e.name)
		}
		if e.name == "title" && e.text != d.Title+"\n" {
			t.Errorf("the title is %q", e.text)
		}
		if e.name == "style" && (strings.Contains(e.text, "@import") || strings.Contains(e.text, "url(") || !strings.Contains(e.text, "prefers-color-scheme:dark")) {
			t.Errorf("the style: %s", e.text)
		}
	}
	if !has["desc"] || !has["title"] {
		t.Error("who does not see the picture learns nothing")
	}
}
