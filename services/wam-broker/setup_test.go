package wambroker_test

import (
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
)

// device is a broker that serves, with the world around it.
type device struct {
	*world
	dir string
	lab *clock.Lab
	app *grpc.ClientConn
	// authority is the broker's way to lsa-cloudap.
	authority *grpc.ClientConn
	client    wamv1.BrokerServiceClient
	service   *wambroker.Service
}

// start serves a broker on the state in dir and gives it app as its caller.
func start(t testing.TB, w *world, dir string, tp trace.TracerProvider) *device {
	t.Helper()
	lab := clock.NewLab()
	authority := connect(t, rpc.LoopbackConfig{Caller: "wam-broker", Server: "lsa-cloudap", TracerProvider: tp},
		func(r grpc.ServiceRegistrar) { authorityv1.RegisterTokenAuthorityServiceServer(r, w) },
		authorityv1.TokenAuthorityService_DescribeAccount_FullMethodName, authorityv1.TokenAuthorityService_SignTokenRequest_FullMethodName,
		authorityv1.TokenAuthorityService_OpenTokenAnswer_FullMethodName, authorityv1.TokenAuthorityService_OfferPRT_FullMethodName,
		authorityv1.TokenAuthorityService_BeginInteraction_FullMethodName, authorityv1.TokenAuthorityService_CompleteInteraction_FullMethodName)
	idp := connect(t, rpc.LoopbackConfig{Caller: "wam-broker", Server: "idp", TracerProvider: tp},
		func(r grpc.ServiceRegistrar) {
			idpv1.RegisterNonceServiceServer(r, w)
			idpv1.RegisterTokenServiceServer(r, w)
		},
		idpv1.NonceService_IssueNonce_FullMethodName, idpv1.TokenService_RedeemPRT_FullMethodName, idpv1.TokenService_RedeemRefreshToken_FullMethodName)
	dsreg := connect(t, rpc.LoopbackConfig{Caller: "wam-broker", Server: "dsreg"},
		func(r grpc.ServiceRegistrar) {
			dsregv1.RegisterDeviceStateServiceServer(r, w)
			dsregv1.RegisterRegistrationServiceServer(r, w)
		},
		dsregv1.DeviceStateService_GetDeviceState_FullMethodName, dsregv1.RegistrationService_RegisterDevice_FullMethodName,
		dsregv1.RegistrationService_LeaveDevice_FullMethodName)
	// The agent has no registration: what needs its keys fails, as after a cleared TPM.
	// A restart of the broker finds the same one.
	if w.agent == nil {
		w.agent = tpmagenttest.Soft(t, lab)
	}
	tpm := w.tpm
	if tpm == nil {
		tpm = w.agent.Dial("wam-broker")
	}
	s, err := wambroker.New(wambroker.Config{StateDir: dir, Authority: authority, TPM: tpm, IdP: idp, Dsreg: dsreg, Clock: lab, TracerProvider: tp})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d := &device{world: w, dir: dir, lab: lab, service: s, authority: authority}
	d.app = d.dial(t, "app", tp)
	d.client = wamv1.NewBrokerServiceClient(d.app)
	return d
}

// dial connects to the broker's door as some caller.
func (d *device) dial(t testing.TB, caller string, tp trace.TracerProvider) *grpc.ClientConn {
	t.Helper()
	return connect(t, rpc.LoopbackConfig{Caller: caller, Server: "wam-broker", Allow: wambroker.Allow(), Patience: wambroker.Patience(), TracerProvider: tp}, d.service.Register)
}

func newDevice(t testing.TB) *device {
	t.Helper()
	return start(t, newWorld(), t.TempDir(), nil)
}

func ask(change ...func(*wamv1.RequestTokenRequest)) *wamv1.RequestTokenRequest {
	r := &wamv1.RequestTokenRequest{LogonSession: "session-alice", ClientId: outlook, Resource: graph}
	for _, c := range change {
		c(r)
	}
	return r
}

func force(r *wamv1.RequestTokenRequest)    { r.ForceRefresh = true }
func asBob(r *wamv1.RequestTokenRequest)    { r.LogonSession = "session-bob" }
func fromNote(r *wamv1.RequestTokenRequest) { r.ClientId = onenote }

func (d *device) token(t testing.TB, change ...func(*wamv1.RequestTokenRequest)) *wamv1.RequestTokenResponse {
	t.Helper()
	resp, err := d.client.RequestToken(t.Context(), ask(change...))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
