package chrome

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Look is a way to see a page.
type Look struct {
	// Name of the look.
	Name string
	// Width and Height are CSS pixels.
	Width, Height int64
	// Dark asks for dark colours, Phone for the layout of a telephone.
	Dark, Phone bool
}

// Looks are the ways in which every page is seen: the sizes of a desktop and a
// small telephone, and both schemes of colours.
func Looks() []Look {
	return []Look{
		{Name: "desktop-light", Width: 1280, Height: 800}, {Name: "desktop-dark", Width: 1280, Height: 800, Dark: true},
		{Name: "phone-light", Width: 360, Height: 740, Phone: true}, {Name: "phone-dark", Width: 360, Height: 740, Dark: true, Phone: true},
	}
}

// As takes a look and calls back while the page is seen so. The page may not go
// meanwhile. The first of Looks is taken again in the end.
func (w *Window) As(l Look, look func()) {
	w.t.Helper()
	w.take(l)
	look()
	w.take(Looks()[0])
}

func (w *Window) take(l Look) {
	w.t.Helper()
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	w.do("look as "+l.Name, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: l.Width, Height: l.Height, DeviceScaleFactor: 1, Mobile: l.Phone,
		})
		return err
	}))
}

// Picture is the page as a PNG, whole even where it has to be scrolled.
func (w *Window) Picture() []byte {
	w.t.Helper()
	whole := true
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	raw, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		r, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &whole, OptimizeForSpeed: &whole})
		return r.Data, err
	})
	if err != nil {
		w.t.Fatalf("take a picture: %v\n%s", err, w.State())
	}
	return raw
}

// Hold stops the clocks of the page's scripts, so that a page that goes on by
// itself stays to be looked at.
func (w *Window) Hold() {
	w.t.Helper()
	w.Add("for (let last = setTimeout(() => {}, 1e6); last > 0; last--) clearTimeout(last)")
}

// Wide is by how many CSS pixels the page is wider than the window: a person would
// have to scroll sideways.
func (w *Window) Wide() int {
	w.t.Helper()
	n, err := eval[int](w, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
	if err != nil {
		w.t.Fatalf("measure the page: %v", err)
	}
	return n
}

// Ask runs a script of the tests in the page and answers the JSON text of its value.
func (w *Window) Ask(script string) string {
	w.t.Helper()
	return w.ask("JSON.stringify(" + script + ") ?? 'null'")
}

// AskLater is Ask for a promise, which is waited for. It is kept only where the
// scripts of pages run.
func (w *Window) AskLater(script string) string {
	w.t.Helper()
	return w.ask("("+script+").then((v) => JSON.stringify(v) ?? 'null')", chromedp.EvalAwaitPromise)
}

func (w *Window) ask(script string, options ...chromedp.EvaluateOption) string {
	w.t.Helper()
	text, err := eval[string](w, script, options...)
	if err != nil {
		w.t.Fatalf("run a script: %v\n%s", err, w.State())
	}
	return text
}

// Add runs a script of the tests in the page and drops its value.
func (w *Window) Add(script string) {
	w.t.Helper()
	if _, err := eval[bool](w, script+"\n;true"); err != nil {
		w.t.Fatalf("add a script: %v\n%s", err, w.State())
	}
}
