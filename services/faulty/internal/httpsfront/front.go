// Package httpsfront is the side of the stand-in at which HTTPS requests come in: it hands
// them on to the real component and breaks those that rules strike.
//
// It reads of a request what rules ask for: its path, the call of the contracts that it is
// the HTTPS form of, the flow in its headers, who and which device it names. It checks
// nothing of that: the real component does. A TLS client certificate stays here, because
// nobody but its owner can show it again.
// The door of the stand-in calls it.
package httpsfront

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/step"
)

// maxBody bounds a request and an answer, in bytes: the largest of idp is a page of some
// 100 KiB.
const maxBody = 4 << 20

// Config is what a Front needs.
type Config struct {
	// Component in whose place the stand-in is: idp or adfs.
	Component string
	Engine    *fault.Engine
	// Real gives what reaches the component's own HTTPS side, whatever host a request names,
	// and follows no redirects. It is asked until it has it: the component may start later.
	Real  func() (*http.Client, error)
	Clock clock.Clock
	Log   *slog.Logger
}

// Front is the HTTPS side of a stand-in, an http.Handler.
type Front struct{ cfg Config }

// New makes the front. Every part of Config but Clock and Log is needed.
func New(cfg Config) (*Front, error) {
	if cfg.Component == "" || cfg.Engine == nil || cfg.Real == nil {
		return nil, errors.New("https front: Component, Engine and Real are all needed")
	}
	cfg.Clock = clock.Or(cfg.Clock)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Front{cfg: cfg}, nil
}

// request is one that came in, read as a whole.
type request struct {
	front *Front
	*http.Request
	body []byte
}

// answer is what goes back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP hands a request on, or breaks it.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request is longer than a stand-in takes", http.StatusRequestEntityTooLarge)
		return
	}
	req := request{f, r, body}
	if a, ok := req.struck(r.Context()); ok {
		a.write(w)
	}
}

// struck is the answer of the first rule that decides, or the real one; false is none.
func (r request) struck(ctx context.Context) (answer, bool) {
	for _, s := range r.front.cfg.Engine.Strike(r.describe()) {
		r.front.cfg.Log.InfoContext(ctx, "a rule struck", "rule", s.Rule.String(), "index", s.Index, "path", r.URL.Path, "delay", s.Delay)
		if s.Rule.Decides() {
			return r.broken(ctx, s)
		}
		if clock.Sleep(ctx, r.front.cfg.Clock, s.Delay) != nil {
			return answer{}, false // the sender has gone
		}
	}
	return r.hand(ctx), true
}

// describe tells the engine what is known of a request.
func (r request) describe() fault.Call {
	// The headers say in which flow it is; nothing else of them is believed.
	flow := step.FlowFrom(rpc.Propagators().Extract(context.Background(), propagation.HeaderCarrier(r.Header)))
	call := fault.Call{Path: r.URL.Path, Flow: flow}
	r.recognise(&call)
	call.Step = step.RowIn(flow, call.Method)
	return call
}

// hand hands the request on as it came, and the answer back.
func (r request) hand(ctx context.Context) answer {
	to := *r.URL
	to.Scheme, to.Host = "https", r.Host
	out, err := http.NewRequestWithContext(ctx, r.Method, to.String(), bytes.NewReader(r.body))
	if err != nil {
		return plain(http.StatusBadGateway, "the request cannot be handed on")
	}
	out.Header = r.Header.Clone()
	passedOn(out.Header)
	out.Header.Del("Accept-Encoding") // the transport asks for what it can undo itself
	client, err := r.front.cfg.Real()
	if err != nil {
		r.front.cfg.Log.WarnContext(ctx, "nobody knows where the real component is yet", "error", err)
		return plain(http.StatusBadGateway, "the real component has not started")
	}
	resp, err := client.Do(out)
	if err != nil {
		r.front.cfg.Log.WarnContext(ctx, "the real component cannot be reached", "error", err)
		return plain(http.StatusBadGateway, "the real component cannot be reached")
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		return plain(http.StatusBadGateway, "the answer of the real component broke off, or is too long")
	}
	header := resp.Header.Clone()
	passedOn(header)
	return answer{resp.StatusCode, header, body}
}

// passedOn leaves in a header what is not about the one connection it came by (RFC 9110,
// section 7.6.1): what Connection names goes as well. No length stays: that is the body's own.
func passedOn(h http.Header) {
	for _, list := range h.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length"} {
		h.Del(name)
	}
}

func plain(status int, text string) answer {
	return answer{status, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, []byte(text + "\n")}
}

func (a answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // to somebody who may have gone
}
