package chrome

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Test is the test that has a window; *testing.T is one.
type Test interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Window is one window with a profile of its own: no other window sees its
// cookies, and it sees those of none.
type Window struct {
	t   Test
	ctx context.Context
	// still: the scripts of pages do not run.
	still bool
}

// Open opens a window, which is closed with the test.
func (c *Chrome) Open(t Test) *Window {
	t.Helper()
	ctx, closeWindow := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(closeWindow)
	w := &Window{t: t, ctx: ctx}
	// The window lives as long as the context of its first step: no time limit here.
	if _, err := chromedp.Run(ctx, chromedp.Title()); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	w.take(Looks()[0])
	w.bare()
	return w
}

func (w *Window) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := w.try(steps...); err != nil {
		w.t.Fatalf("%s: %v\n%s", what, err, w.State())
	}
}

func (w *Window) try(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// Go opens an address. Where it leads to is not looked at.
func (w *Window) Go(url string) {
	w.t.Helper()
	w.do("open "+url, chromedp.Navigate(url))
}

// NoScripts switches the scripts of pages off, from the next page on.
func (w *Window) NoScripts() {
	w.t.Helper()
	w.still = true
	w.do("switch scripts off", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
}

// Still says whether the scripts of pages are off.
func (w *Window) Still() bool { return w.still }

// eval runs an expression in the page; it also answers when scripts of pages are off.
func eval[T any](w *Window, expression string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
}

// quoted is an ASCII string as a script has it.
func quoted(s string) string { return strconv.QuoteToASCII(s) }

// until asks an expression over and over until it is true. A page that is on its
// way answers nothing, which is a no.
func (w *Window) until(expression string) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(30 * time.Millisecond) {
		if yes, err := eval[bool](w, expression); err == nil && yes {
			return true
		}
	}
	return false
}

const seen = `((s) => { const e = document.querySelector(s); return !!e && e.checkVisibility({visibilityProperty: true}); })`

// See waits until something is to be seen, by its CSS selector.
func (w *Window) See(selector string) {
	w.t.Helper()
	if !w.until("document.readyState === 'complete' && " + seen + "(" + quoted(selector) + ")") {
		w.t.Fatalf("there is no %s to be seen\n%s", selector, w.State())
	}
}

// Sees says whether it is to be seen now.
func (w *Window) Sees(selector string) bool {
	yes, err := eval[bool](w, seen+"("+quoted(selector)+")")
	return err == nil && yes
}

// Text is what stands there.
func (w *Window) Text(selector string) string {
	w.t.Helper()
	w.See(selector)
	text, err := eval[string](w, "document.querySelector("+quoted(selector)+").innerText")
	if err != nil {
		w.t.Fatalf("read %s: %v\n%s", selector, err, w.State())
	}
	return strings.TrimSpace(text)
}

// Reads waits until a text stands there.
func (w *Window) Reads(selector, text string) {
	w.t.Helper()
	if !w.until(seen + "(" + quoted(selector) + ") && document.querySelector(" + quoted(selector) + ").innerText.includes(" + quoted(text) + ")") {
		w.t.Fatalf("%s does not say %q\n%s", selector, text, w.State())
	}
}

// Type puts the caret there and presses keys.
func (w *Window) Type(selector, text string) {
	w.t.Helper()
	w.See(selector)
	w.do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Click clicks there and waits for nothing.
func (w *Window) Click(selector string) {
	w.t.Helper()
	w.See(selector)
	w.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Press clicks there and waits for the page that comes.
func (w *Window) Press(selector string) {
	w.t.Helper()
	w.See(selector)
	w.leave("press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Enter presses the key and waits for the page that comes.
func (w *Window) Enter() {
	w.t.Helper()
	w.leave("press Enter", chromedp.KeyEvent("\r"))
}

// PressNamed is Press for what has this role and this accessible name: what a
// screen reader says is what a person looks for.
func (w *Window) PressNamed(role, name string) {
	w.t.Helper()
	w.leave("press the "+role+" "+name, w.named(role, name, func(ctx context.Context, t *chromedp.Target, id cdp.BackendNodeID) error {
		if _, err := cdp.Call(ctx, t, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: id}); err != nil {
			return err
		}
		quads, err := cdp.Call(ctx, t, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: id})
		if err != nil {
			return err
		}
		if len(quads.Quads) == 0 {
			return fmt.Errorf("the %s %q is nowhere on the page", role, name)
		}
		q := quads.Quads[0]
		x, y := (q[0]+q[2]+q[4]+q[6])/4, (q[1]+q[3]+q[5]+q[7])/4
		_, err = chromedp.MouseClickXY(x, y, chromedp.ButtonLeft)(ctx, t)
		return err
	}))
}

// TypeNamed types into the box with this accessible name.
func (w *Window) TypeNamed(name, text string) {
	w.t.Helper()
	w.do("type into "+name, w.named("textbox", name, func(ctx context.Context, t *chromedp.Target, id cdp.BackendNodeID) error {
		if _, err := cdp.Call(ctx, t, dom.Focus, dom.FocusParams{BackendNodeID: id}); err != nil {
			return err
		}
		_, err := chromedp.KeyEvent(text)(ctx, t)
		return err
	}))
}

// named finds the one thing with a role and an accessible name.
func (w *Window) named(role, name string, use func(context.Context, *chromedp.Target, cdp.BackendNodeID) error) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		depth := int64(0)
		root, err := cdp.Call(ctx, t, dom.GetDocument, dom.GetDocumentParams{Depth: &depth})
		if err != nil {
			return err
		}
		found, err := cdp.Call(ctx, t, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{
			BackendNodeID: root.Root.BackendNodeID, Role: role, AccessibleName: name,
		})
		if err != nil {
			return err
		}
		var ids []cdp.BackendNodeID
		for _, n := range found.Nodes {
			if !n.Ignored {
				ids = append(ids, n.BackendDOMNodeID)
			}
		}
		if len(ids) != 1 {
			return fmt.Errorf("there are %d of the %s %q, not one", len(ids), role, name)
		}
		return use(ctx, t, ids[0])
	})
}

// leave does something that makes the page go, and waits for the next one.
func (w *Window) leave(what string, step chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if _, err := eval[bool](w, "window.wasHere = true"); err != nil {
		w.t.Fatalf("%s: %v\n%s", what, err, w.State())
	}
	w.do(what, step)
	w.Left()
}

// Left waits until the page that was there has gone and the next one is whole.
func (w *Window) Left() {
	w.t.Helper()
	if !w.until("!window.wasHere && document.readyState === 'complete'") {
		w.t.Fatalf("no other page came\n%s", w.State())
	}
}

// Address is where the window is.
func (w *Window) Address() string {
	a, err := eval[string](w, "location.href")
	if err != nil {
		return "nowhere: " + err.Error()
	}
	return a
}

// State says what is to be seen, for the text of a failure.
func (w *Window) State() string {
	title, _ := eval[string](w, "document.title")
	text, _ := eval[string](w, "document.body ? document.body.innerText : ''")
	return fmt.Sprintf("address %s\ntitle %s\n%.1500s", w.Address(), title, text)
}
