package idp_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// TestBadArtefactsChangeNothing brings what is cut, re-encoded, foreign or plain
// nonsense to every door that takes a signed request.
func TestBadArtefactsChangeNothing(t *testing.T) {
	w, other := newWorld(t, idp.Config{}), newWorld(t, idp.Config{})
	d, foreign := w.join(t, alice, alicePassword, 1, 2), other.join(t, alice, alicePassword, 1, 2)
	s, strange := d.first(t, alice, alicePassword), foreign.first(t, alice, alicePassword)
	proof := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceRemoval, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
	good := []string{d.sign(t, d.claims(t, alice, alicePassword)), s.sign(t, s.renewal(t)), s.sign(t, s.redemption(t, office, graph)), d.sign(t, proof)}
	bad := []string{
		"", "x", "..", "a.b.c", "{}", strings.Repeat("A", 70_000), "\x00", "1.AA.AA", s.prt, w.nonce(t),
		foreign.sign(t, foreign.claims(t, alice, alicePassword)), strange.sign(t, strange.renewal(t)),
	}
	for _, g := range good {
		parts := strings.Split(g, ".")
		payload, err := jose.DecodeSegment(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		bad = append(bad, g[:len(g)/2], g[:len(g)-1], g+"A", g+".", g+"\n", parts[0]+"."+parts[1]+".", parts[1]+"."+parts[0]+"."+parts[2],
			parts[0]+"."+base64.URLEncoding.EncodeToString(append(payload, ' '))+"."+parts[2], withPayload(g, []byte("{}")), withPayload(g, []byte("[]")))
	}
	doors := map[string]func(string) error{
		"RequestPRT":         func(r string) error { _, err := w.requestPRT(r); return err },
		"RenewPRT":           func(r string) error { _, err := w.renewPRT(r); return err },
		"RedeemPRT":          func(r string) error { _, err := w.redeemPRT(r); return err },
		"RedeemRefreshToken": func(r string) error { _, err := w.redeemRT(r); return err },
		"DeleteDevice": func(r string) error {
			_, err := w.devices.DeleteDevice(context.Background(), &idpv1.DeleteDeviceRequest{Request: r})
			return err
		},
		"RegisterDevice": func(r string) error {
			_, err := w.devices.RegisterDevice(context.Background(), &idpv1.RegisterDeviceRequest{AccessToken: strings.ToValidUTF8(r, "?"), JoinType: idpv1.JoinType_JOIN_TYPE_JOIN})
			return err
		},
		"Authorize": func(r string) error {
			return signedInOr(w.authorize(t, &idpv1.AuthorizeRequest{SsoNonce: "x", RefreshTokenCredential: r, SessionCookie: r}))
		},
	}
	w.unchanged(t, func() {
		for name, send := range doors {
			for i, r := range bad {
				if err := send(r); err == nil {
					t.Errorf("%s took %d: %.60q", name, i, r)
				} else {
					wantNamed(t, err)
				}
			}
		}
	})
	for i, send := range []string{"RequestPRT", "RenewPRT", "RedeemPRT", "DeleteDevice"} {
		if err := doors[send](good[i]); err != nil {
			t.Errorf("%s after all that: %v", send, err)
		}
	}
}

// TestRowsHaveSpans: checking and issuing is a row of its own in three tables.
func TestRowsHaveSpans(t *testing.T) {
	w := newWorld(t, idp.Config{})
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	dial := func(caller string) *world {
		conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "idp", Allow: idp.Allow(), TracerProvider: provider}, w.svc.Register)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		traced := *w
		traced.issuance, traced.sessions = idpv1.NewIssuanceServiceClient(conn), idpv1.NewSessionServiceClient(conn)
		return &traced
	}
	d := w.join(t, alice, alicePassword, 1, 2)
	d.w = dial("lsa-cloudap")
	s := d.first(t, alice, alicePassword)
	next, _ := s.renew(t, s.renewal(t))
	dial("browser").signedIn(t, next, "")
	seen := map[string]bool{}
	for _, span := range spans.Ended() {
		for _, a := range span.Attributes() {
			if a.Key == step.StepKey {
				seen[a.Value.AsString()] = true
			}
		}
	}
	for _, want := range []stepv1.Step{stepv1.Step_STEP_FIRST_SIGN_IN_E, stepv1.Step_STEP_RENEWAL_F, stepv1.Step_STEP_BROWSER_SSO_F} {
		if !seen[want.String()] {
			t.Errorf("no span for %v", want)
		}
	}
}
