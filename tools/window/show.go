package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// options are those of the command.
type options struct {
	browser, trust, resolve string
	headless                bool
	timeout                 time.Duration
}

// flags starts a browser with a profile of its own, as a window without an address bar.
func (o options) flags(dir string) []chromedp.ExecAllocatorOption {
	out := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.UserDataDir(dir), chromedp.Flag("headless", o.headless),
		chromedp.Flag("app", "about:blank"), chromedp.Flag("enable-automation", false))
	if o.browser != "" {
		out = append(out, chromedp.ExecPath(o.browser))
	}
	if o.trust != "" {
		out = append(out, chromedp.Flag("ignore-certificate-errors-spki-list", o.trust))
	}
	if o.resolve != "" {
		out = append(out, chromedp.Flag("host-resolver-rules", o.resolve))
	}
	return append(out, sandbox()...)
}

// watch is one page being shown.
type watch struct {
	page
	mu    sync.Mutex
	sent  bool
	final chan string
}

// show opens the page and waits for its end. A window that the user closed ends empty.
func show(parent context.Context, p page) (string, error) {
	ctx, cancel := chromedp.NewContext(parent)
	defer cancel()
	w := &watch{page: p, final: make(chan string, 1)}
	paused := chromedp.Events(ctx, fetch.RequestPaused)
	go func() {
		for e, err := range paused {
			if err != nil || w.paused(ctx, &e) != nil {
				break // the window is closed
			}
		}
		w.end("")
	}()
	enable := fetch.EnableParams{Patterns: []*fetch.RequestPattern{
		{URLPattern: "*", ResourceType: network.ResourceTypeDocument, RequestStage: fetch.RequestStageRequest},
		{URLPattern: "*", ResourceType: network.ResourceTypeDocument, RequestStage: fetch.RequestStageResponse},
	}}
	if _, err := chromedp.Call(ctx, fetch.Enable, enable); err != nil {
		return "", err
	}
	opened := make(chan error, 1)
	go func() {
		_, err := chromedp.Run(ctx, chromedp.Navigate(p.URL))
		opened <- err
	}()
	for {
		select {
		case final := <-w.final:
			if final == "" && parent.Err() != nil {
				return "", errors.New("nobody answered the page in time")
			}
			return final, nil
		case err := <-opened:
			// The last navigation never arrives: that is how a page ends.
			if opened = nil; err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "net::ERR_ABORTED") {
				return "", err
			}
		case <-parent.Done():
			return "", errors.New("nobody answered the page in time")
		}
	}
}

// paused looks at a request before it is sent, and at its answer before it is followed.
func (w *watch) paused(ctx context.Context, e *fetch.EventRequestPaused) error {
	if e.ResponseStatusCode == 0 && e.ResponseErrorReason == "" {
		_, err := chromedp.Call(ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID, Headers: w.first(e)})
		return err
	}
	for _, h := range e.ResponseHeaders {
		if strings.EqualFold(h.Name, "location") && ends(h.Value, w.RedirectURI) {
			w.end(h.Value)
			_, err := chromedp.Call(ctx, fetch.FailRequest, fetch.FailRequestParams{RequestID: e.RequestID, ErrorReason: network.ErrorReasonAborted})
			return err
		}
	}
	_, err := chromedp.Call(ctx, fetch.ContinueResponse, fetch.ContinueResponseParams{RequestID: e.RequestID})
	return err
}

// first are the headers of the first request to the page, nil for every other one.
func (w *watch) first(e *fetch.EventRequestPaused) []*fetch.HeaderEntry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sent || e.Request.URL != w.URL {
		return nil
	}
	w.sent = true
	var all []*fetch.HeaderEntry
	for name, value := range e.Request.Headers {
		if text, ok := value.(string); ok {
			all = append(all, &fetch.HeaderEntry{Name: name, Value: text})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		all = append(all, &fetch.HeaderEntry{Name: name, Value: w.Headers[name]})
	}
	return all
}

// ends says whether an address is the answer: the whole redirect_uri, with nothing but
// a query or a fragment behind it.
func ends(address, redirect string) bool {
	rest, ok := strings.CutPrefix(address, redirect)
	return ok && (rest == "" || strings.IndexByte("?#&", rest[0]) >= 0)
}

func (w *watch) end(final string) {
	select {
	case w.final <- final:
	default: // it ended already
	}
}
