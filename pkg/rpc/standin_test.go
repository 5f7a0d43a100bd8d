package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// town is a network on which everybody has an identity of one authority.
type town struct {
	t   *testing.T
	net *rpc.Mem
	ca  *rpc.CA
}

func newTown(t *testing.T) town {
	t.Helper()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	return town{t, rpc.NewMem(), ca}
}

func (w town) identity(name string) *rpc.Identity {
	w.t.Helper()
	id, err := w.ca.Issue(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w town) serve(addr string, cfg rpc.ServerConfig, do func(context.Context) (*idpv1.IssueNonceResponse, error)) {
	w.t.Helper()
	s, err := rpc.NewServer(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if do != nil {
		idpv1.RegisterNonceServiceServer(s, nonceServer{do: do})
	}
	l, err := w.net.Listen(addr)
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }() // ends with Stop
	w.t.Cleanup(s.Stop)
}

func (w town) dial(caller, addr string) *grpc.ClientConn {
	w.t.Helper()
	conn, err := rpc.Dial(rpc.DialConfig{Network: w.net, Addr: addr, Identity: w.identity(caller), Server: "idp"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w town) raw(caller, addr string) *rpc.RawConn {
	w.t.Helper()
	conn, err := rpc.DialRaw(rpc.DialConfig{Network: w.net, Addr: addr, Identity: w.identity(caller), Server: "idp"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

const standInFor = "lockstep-stand-in-for"

// TestT10_AStandInSpeaksForOthersInALabAlone: the word of a peer for whose call it hands on
// counts for the server's own name and in a laboratory only.
func TestT10_AStandInSpeaksForOthersInALabAlone(t *testing.T) {
	const own = "idp"
	for name, c := range map[string]struct {
		lab    bool
		peer   string
		says   []string
		caller string // "" is refused
		via    string
	}{
		"lab: the stand-in":               {true, own, []string{"lsa-cloudap"}, "lsa-cloudap", own},
		"lab: whom the list lacks":        {true, own, []string{"app"}, "", ""},
		"lab: no caller for itself":       {true, own, nil, "", ""},
		"lab: another peer":               {true, "wam-broker", []string{"lsa-cloudap"}, "", ""},
		"lab: another peer for itself":    {true, "wam-broker", []string{"wam-broker"}, "", ""},
		"lab: two names":                  {true, own, []string{"lsa-cloudap", "wam-broker"}, "", ""},
		"lab: no name":                    {true, own, []string{"LSA/.."}, "", ""},
		"lab: an empty name":              {true, own, []string{""}, "", ""},
		"lab: nobody claims anything":     {true, "wam-broker", nil, "wam-broker", ""},
		"outside: the own name":           {false, own, []string{"lsa-cloudap"}, "", ""},
		"outside: another peer, ignored":  {false, "wam-broker", []string{"lsa-cloudap"}, "wam-broker", ""},
		"outside: one who is not allowed": {false, "app", []string{"lsa-cloudap"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t)
			var caller, via string
			var log bytes.Buffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			w.serve("mem:idp", rpc.ServerConfig{Identity: w.identity(own), Allow: allow(), StandIn: c.lab, Log: logger}, func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
				caller, via = rpc.Caller(ctx), rpc.StandIn(ctx)
				return &idpv1.IssueNonceResponse{}, nil
			})
			ctx := t.Context()
			if c.says != nil {
				ctx = metadata.NewOutgoingContext(ctx, metadata.MD{standInFor: c.says})
			}
			_, err := idpv1.NewNonceServiceClient(w.dial(c.peer, "mem:idp")).IssueNonce(ctx, &idpv1.IssueNonceRequest{})
			if c.caller == "" && prterr.KindOf(err) != prterr.Denied || c.caller != "" && err != nil || caller != c.caller || via != c.via {
				t.Errorf("caller %q by %q, %v", caller, via, err)
			}
			if named := strings.Contains(log.String(), "caller=lsa-cloudap stand_in=idp"); named != (via != "") {
				t.Errorf("the log does not name both, or names them wrongly:\n%s", &log)
			}
		})
	}
}

// TestRawCallsAreHandedOnAsTheyCame: through a server that decodes nothing, caller, flow,
// deadline, answer and error are those of a call without it.
func TestRawCallsAreHandedOnAsTheyCame(t *testing.T) {
	w := newTown(t)
	var got struct {
		caller, via string
		flow        step.Flow
		left        time.Duration
	}
	fails := error(nil)
	w.serve("mem:real", rpc.ServerConfig{Identity: w.identity("idp"), Allow: allow(), StandIn: true}, func(ctx context.Context) (*idpv1.IssueNonceResponse, error) {
		end, _ := ctx.Deadline()
		got.caller, got.via, got.flow, got.left = rpc.Caller(ctx), rpc.StandIn(ctx), step.FlowFrom(ctx), time.Until(end)
		return &idpv1.IssueNonceResponse{Nonce: "n"}, fails
	})
	behind := w.raw("idp", "mem:real")
	w.serve("mem:idp", rpc.ServerConfig{Identity: w.identity("idp"), Raw: func(ctx context.Context, method string, request []byte) ([]byte, error) {
		return behind.Hand(ctx, rpc.Caller(ctx), method, request)
	}}, nil)
	ctx, cancel := context.WithTimeout(step.In(t.Context(), step.Renewal), 20*time.Second)
	defer cancel()
	client := idpv1.NewNonceServiceClient(w.dial("lsa-cloudap", "mem:idp"))
	r, err := client.IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	if err != nil || r.GetNonce() != "n" || got.caller != "lsa-cloudap" || got.via != "idp" || got.flow != step.Renewal || got.left > 20*time.Second {
		t.Errorf("%+v, %v, %v", got, r, err)
	}
	fails = prterr.AADSTS(aadsts.InvalidNonce, "again").WithHRESULT(0x80090016)
	_, err = client.IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	var e *prterr.Error
	if !errors.As(err, &e) || e.Code != aadsts.InvalidNonce || e.Msg != "again" || e.HRESULT != 0x80090016 || e.Kind != prterr.Denied {
		t.Errorf("the error became %#v", err)
	}
	if _, err := idpv1.NewNonceServiceClient(w.dial("app", "mem:idp")).IssueNonce(ctx, &idpv1.IssueNonceRequest{}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("the real server's list let app in: %v", err)
	}
}

// TestARawServerIsNoWeakerThanAnother: it authenticates, bounds and survives as others do.
func TestARawServerIsNoWeakerThanAnother(t *testing.T) {
	w := newTown(t)
	w.serve("mem:idp", rpc.ServerConfig{Identity: w.identity("idp"), StandIn: true, Raw: func(ctx context.Context, _ string, request []byte) ([]byte, error) {
		switch string(request) {
		case "panic":
			panic("canary")
		case "foreign":
			return nil, errors.New("canary")
		}
		return []byte(rpc.Caller(ctx)), nil
	}}, nil)
	conn := w.raw("lsa-cloudap", "mem:idp")
	if _, err := conn.Hand(t.Context(), "app", "/x.Y/Z", nil); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a peer with another name handed on a call: %v", err)
	}
	own := w.raw("idp", "mem:idp")
	if b, err := own.Hand(t.Context(), "app", "/x.Y/Z", []byte("hello")); err != nil || string(b) != "app" {
		t.Errorf("%q, %v", b, err)
	}
	for _, what := range []string{"panic", "foreign"} {
		if _, err := own.Hand(t.Context(), "app", "/x.Y/Z", []byte(what)); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := own.Hand(t.Context(), "app", "/x.Y/Z", make([]byte, 256<<10+1)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message over the limit: %v", err)
	}
	stranger, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	foreign := town{t, w.net, stranger}
	if _, err := foreign.raw("idp", "mem:idp").Hand(t.Context(), "app", "/x.Y/Z", nil); status.Code(err) != codes.Unavailable {
		t.Errorf("an identity of another authority: %v", err)
	}
	twice := &grpc.StreamDesc{ClientStreams: true}
	s, err := w.dial("app", "mem:idp").NewStream(t.Context(), twice, "/x.Y/Z")
	if err != nil {
		t.Fatal(err)
	}
	_ = s.SendMsg(&idpv1.IssueNonceRequest{})
	_ = s.SendMsg(&idpv1.IssueNonceRequest{})
	if err := s.RecvMsg(&idpv1.IssueNonceResponse{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a stream: %v", err)
	}
}
