package lsacloudap_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	domainv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/domain/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

const (
	tenant   = "aaaaaaaa-0000-4000-8000-000000000001"
	aliceID  = "bbbbbbbb-0000-4000-8000-000000000001"
	adaID    = "bbbbbbbb-0000-4000-8000-000000000002"
	appID    = "cccccccc-0000-4000-8000-000000000001"
	deviceID = "dddddddd-0000-4000-8000-000000000001"
	member   = "eeeeeeee-0000-4000-8000-000000000001"
	alice    = "alice@contoso.test"
	ada      = "ada@fabrikam.test" // federated
	password = "canary-Pa55word-7f3a"
	redirect = "ms-appx-web://Microsoft.AAD.BrokerPlugin/app"
)

// world is everything around the component: fakes that check what they are given,
// recorded spans, logs and the order of calls.
type world struct {
	t      *testing.T
	dir    string
	tpm    *fakeTPM
	idp    *fakeIdP
	adfs   *fakeFederation
	dsreg  *fakeDsreg
	domain *fakeDomain
	// records is what the tpm-agent remembers of the component's files.
	records *fakeRecords
	spans   *tracetest.SpanRecorder
	tp      *trace.TracerProvider
	conns   map[string]*grpc.ClientConn

	mu    sync.Mutex
	calls []string
	logs  bytes.Buffer
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), spans: tracetest.NewSpanRecorder(), conns: map[string]*grpc.ClientConn{}}
	w.tp = trace.NewTracerProvider(trace.WithSpanProcessor(w.spans))
	w.tpm, w.idp, w.adfs, w.dsreg = &fakeTPM{w: w}, newIdP(w), &fakeFederation{w: w}, &fakeDsreg{w: w, state: dsregv1.JoinState_JOIN_STATE_JOINED, device: deviceID, member: member}
	w.records = &fakeRecords{}
	w.tpm.hello = &fakeHello{w: w, faults: &w.tpm.faults, keys: map[string]*helloKey{}}
	w.tpm.data = &fakeDataKeys{w: w, unlocked: map[string]string{}, cloud: &fakeProviderKeys{w: w, key: "provider-canary", answers: map[string]answer{}}}
	w.serve("tpm-agent", func(r grpc.ServiceRegistrar) {
		tpmv1.RegisterPRTKeyServiceServer(r, w.tpm)
		tpmv1.RegisterHelloKeyServiceServer(r, w.tpm.hello)
		tpmv1.RegisterStateRecordServiceServer(r, w.records)
		tpmv1.RegisterDataKeyServiceServer(r, w.tpm.data)
	})
	w.serve("dsreg", func(r grpc.ServiceRegistrar) {
		dsregv1.RegisterDeviceStateServiceServer(r, w.dsreg)
		dsregv1.RegisterRecoveryServiceServer(r, w.dsreg)
	})
	w.serve("adfs", func(r grpc.ServiceRegistrar) { federationv1.RegisterFederationServiceServer(r, w.adfs) })
	w.domain = &fakeDomain{w: w, password: password}
	w.serve("domain", func(r grpc.ServiceRegistrar) { domainv1.RegisterDomainServiceServer(r, w.domain) })
	w.serve("idp", func(r grpc.ServiceRegistrar) {
		idpv1.RegisterRealmServiceServer(r, w.idp)
		idpv1.RegisterNonceServiceServer(r, w.idp)
		idpv1.RegisterIssuanceServiceServer(r, w.idp)
		idpv1.RegisterTokenServiceServer(r, w.idp)
		idpv1.RegisterGrantServiceServer(r, w.idp)
		idpv1.RegisterDeviceRegistrationServiceServer(r, w.idp)
		idpv1.RegisterPINResetServiceServer(r, w.idp)
		idpv1.RegisterDataKeyServiceServer(r, w.tpm.data.cloud)
	})
	return w
}

// open is an allow-list for a fake: its checks are in its handlers.
func open(methods ...string) rpc.AllowList {
	l := rpc.AllowList{}
	for _, m := range methods {
		l[m] = []string{"lsa-cloudap"}
	}
	return l
}

func (w *world) serve(name string, register func(grpc.ServiceRegistrar)) {
	w.conns[name] = w.dial(rpc.LoopbackConfig{Caller: "lsa-cloudap", Server: name, Allow: open(
		tpmv1.PRTKeyService_SignPRTRequest_FullMethodName, tpmv1.PRTKeyService_ImportSessionKey_FullMethodName,
		tpmv1.PRTKeyService_ProtectPRT_FullMethodName, tpmv1.StateRecordService_BeginState_FullMethodName,
		tpmv1.StateRecordService_ConfirmState_FullMethodName, tpmv1.StateRecordService_CheckState_FullMethodName,
		tpmv1.PRTKeyService_SignPRTRenewal_FullMethodName, tpmv1.PRTKeyService_OpenPRTAnswer_FullMethodName,
		tpmv1.PRTKeyService_SignTokenRequest_FullMethodName, tpmv1.PRTKeyService_OpenTokenAnswer_FullMethodName,
		tpmv1.PRTKeyService_SignPRTCookie_FullMethodName, tpmv1.PRTKeyService_SignDeviceCookie_FullMethodName,
		tpmv1.HelloKeyService_CreateHelloKey_FullMethodName, tpmv1.HelloKeyService_SignHelloPRTRequest_FullMethodName,
		tpmv1.HelloKeyService_VerifyHelloPIN_FullMethodName, tpmv1.HelloKeyService_ChangeHelloPIN_FullMethodName,
		tpmv1.HelloKeyService_ResetHelloPIN_FullMethodName, tpmv1.HelloKeyService_DeleteHelloKey_FullMethodName,
		tpmv1.HelloKeyService_DescribeHelloKey_FullMethodName,
		tpmv1.DataKeyService_SignDataKeyRequest_FullMethodName, tpmv1.DataKeyService_CreateDataKey_FullMethodName,
		tpmv1.DataKeyService_UnlockDataKey_FullMethodName, tpmv1.DataKeyService_LockDataKey_FullMethodName, idpv1.DataKeyService_RequestDataKey_FullMethodName,
		idpv1.GrantService_RequestTokens_FullMethodName, idpv1.DeviceRegistrationService_RegisterHelloKey_FullMethodName,
		idpv1.PINResetService_DescribePINReset_FullMethodName, idpv1.PINResetService_OpenResetSecret_FullMethodName,
		dsregv1.DeviceStateService_GetDeviceState_FullMethodName, dsregv1.RecoveryService_StartRecovery_FullMethodName,
		domainv1.DomainService_RequestTicket_FullMethodName,
		federationv1.FederationService_GetMetadata_FullMethodName, federationv1.FederationService_IssueToken_FullMethodName,
		idpv1.RealmService_DiscoverRealm_FullMethodName, idpv1.NonceService_IssueNonce_FullMethodName,
		idpv1.IssuanceService_RequestPRT_FullMethodName, idpv1.IssuanceService_RenewPRT_FullMethodName,
		idpv1.TokenService_RedeemPRT_FullMethodName, idpv1.TokenService_RedeemRefreshToken_FullMethodName,
	), TracerProvider: w.tp}, register)
}

func (w *world) dial(cfg rpc.LoopbackConfig, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	w.t.Helper()
	conn, stop, err := rpc.Loopback(cfg, register)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(stop)
	return conn
}

// called notes a call and returns an error when the fake was told to fail.
func (w *world) called(ctx context.Context, name string, f *faults) error {
	w.mu.Lock()
	w.calls = append(w.calls, name)
	w.mu.Unlock()
	return f.strike(ctx, name)
}

// took returns the calls since the last time and forgets them.
func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

// Write takes the component's log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.String()
}

// machine is one run of the component, with a connection for each caller.
type machine struct {
	w       *world
	svc     *lsacloudap.Service
	logon   lsav1.LogonServiceClient
	web     lsav1.WebSignInServiceClient
	hello   lsav1.HelloServiceClient
	state   lsav1.SSOStateServiceClient
	locals  lsav1.LocalAccountServiceClient
	offline lsav1.OfflinePolicyServiceClient
	tokens  authorityv1.TokenAuthorityServiceClient
	cookies authorityv1.CookieAuthorityServiceClient
}

func (w *world) start(change ...func(*lsacloudap.Config)) *machine {
	w.t.Helper()
	cfg := lsacloudap.Config{
		StateDir: w.dir, TPM: w.conns["tpm-agent"], Dsreg: w.conns["dsreg"], IdP: w.conns["idp"], Federation: w.conns["adfs"],
		Log:            slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug})),
		TracerProvider: w.tp,
	}
	for _, c := range change {
		c(&cfg)
	}
	svc, err := lsacloudap.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	m := &machine{w: w, svc: svc}
	as := func(caller string) *grpc.ClientConn {
		return w.dial(rpc.LoopbackConfig{Caller: caller, Server: "lsa-cloudap", Allow: lsacloudap.Allow(), TracerProvider: w.tp}, svc.Register)
	}
	ui := as("logonui")
	m.logon, m.web, m.hello = lsav1.NewLogonServiceClient(ui), lsav1.NewWebSignInServiceClient(ui), lsav1.NewHelloServiceClient(ui)
	operator := as("operator")
	m.state, m.locals = lsav1.NewSSOStateServiceClient(operator), lsav1.NewLocalAccountServiceClient(operator)
	m.offline = lsav1.NewOfflinePolicyServiceClient(operator)
	m.tokens = authorityv1.NewTokenAuthorityServiceClient(as("wam-broker"))
	m.cookies = authorityv1.NewCookieAuthorityServiceClient(as("browsercore"))
	w.t.Cleanup(m.stop)
	return m
}

// stop ends this run; it may be called twice.
func (m *machine) stop() {
	if m.svc != nil {
		if err := m.svc.Close(); err != nil {
			m.w.t.Error(err)
		}
		m.svc = nil
	}
}

func (m *machine) try(upn, pw string) (*lsav1.LogonUserResponse, error) {
	return m.logon.LogonUser(m.w.t.Context(), &lsav1.LogonUserRequest{
		UserPrincipalName: upn, Credential: &lsav1.LogonUserRequest_Password{Password: pw},
	})
}

func (m *machine) signIn(upn string) *lsav1.LogonUserResponse {
	m.w.t.Helper()
	got, err := m.try(upn, password)
	if err != nil {
		m.w.t.Fatalf("sign-in of %s: %v", upn, err)
	}
	return got
}

func (m *machine) logoff(session string) {
	m.w.t.Helper()
	if _, err := m.logon.LogoffUser(m.w.t.Context(), &lsav1.LogoffUserRequest{LogonSession: session}); err != nil {
		m.w.t.Fatal(err)
	}
}

// only returns the state of the one partition.
func (m *machine) only() *lsav1.PartitionState {
	m.w.t.Helper()
	s, err := m.state.GetSSOState(m.w.t.Context(), &lsav1.GetSSOStateRequest{})
	if err != nil || len(s.GetPartitions()) != 1 {
		m.w.t.Fatalf("state: %v, %v", s, err)
	}
	return s.GetPartitions()[0]
}

func (m *machine) sign(session string) (string, error) {
	a, err := m.tokens.SignTokenRequest(m.w.t.Context(), &authorityv1.SignTokenRequestRequest{
		LogonSession: session, ClientId: appID, Resource: "https://graph.test", RedirectUri: redirect, RequestNonce: m.w.idp.nonce(),
	})
	return a.GetRequest(), err
}

// token is the fakes' form of everything that is signed or sealed: readable
// JSON in the alphabet of a compact token, with the name of the key.
func token(v any) string {
	raw, _ := json.Marshal(v)
	return "tok." + base64.RawURLEncoding.EncodeToString(raw) + ".x"
}

func readToken(s string, v any) bool {
	if len(s) < 6 {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(s[4 : len(s)-2])
	return err == nil && json.Unmarshal(raw, v) == nil
}

// faults is how a fake is told to fail.
type faults struct {
	mu    sync.Mutex
	down  error
	stall []string
	on    map[string]error
	slow  time.Duration
}

func (f *faults) set(change func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faults) strike(ctx context.Context, name string) error {
	f.mu.Lock()
	down, stall, on, slow := f.down, slices.Contains(f.stall, name), f.on[name], f.slow
	f.mu.Unlock()
	if stall {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(slow)
	if down != nil {
		return down
	}
	return on
}
