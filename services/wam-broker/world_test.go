package wambroker_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

const (
	tenant   = "11111111-1111-4111-8111-111111111111"
	alice    = "22222222-2222-4222-8222-222222222222"
	bob      = "33333333-3333-4333-8333-333333333333"
	outlook  = "44444444-4444-4444-8444-444444444444"
	onenote  = "55555555-5555-4555-8555-555555555555"
	maria    = "S-1-5-21-1-2-3-1000"
	noah     = "S-1-5-21-1-2-3-1001"
	graph    = "https://graph.microsoft.com"
	canaryRT = "canary-refresh-token"

	redirectURI = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"
)

// grant is one request that the authority signed: what a real one says in its
// claims, kept here under a handle instead.
type grant struct {
	user, client, resource, redirect, nonce string
	refresh                                 string // empty is the PRT
}

// world is the authority of the PRT, the identity provider and dsreg at once,
// with an honest memory of what was asked of them.
type world struct {
	authorityv1.UnimplementedTokenAuthorityServiceServer
	idpv1.UnimplementedNonceServiceServer
	idpv1.UnimplementedTokenServiceServer
	dsregv1.UnimplementedDeviceStateServiceServer
	dsregv1.UnimplementedRegistrationServiceServer

	// agent is the device's, and tpm stands in its way, nil for nothing.
	agent *tpmagenttest.Agent
	tpm   grpc.ClientConnInterface

	mu       sync.Mutex
	key      secret.Bytes
	sessions map[string]*authorityv1.DescribeAccountResponse
	signed   map[string]grant
	answers  map[string]*tpmv1.OpenTokenAnswerResponse
	answerRT map[string]string
	sealed   map[string][3]string // handle -> user, client, refresh token
	nonces   map[string]bool
	calls    map[string]int
	offers   []string
	redeemed []grant
	claimed  []string // claims beside each redemption
	begun    []*authorityv1.BeginInteractionRequest
	pages    map[string]string // page -> session, until it is completed
	finals   []string
	n        int

	// What a test changes.
	claims      func(map[string]any) // of the next access tokens
	opened      func(*tpmv1.OpenTokenAnswerResponse)
	refuse      map[string]error // by RPC name
	newPRT      string
	weak        error   // what the PRT and refresh tokens meet until a page was completed
	stages      []error // what the PRT meets after so many pages
	proofs      int     // pages that were completed
	pageURL     string  // of the next pages
	lifetime    int64
	joinState   dsregv1.JoinState
	registered  []*dsregv1.RegisterDeviceRequest
	register    *dsregv1.RegisterDeviceResponse // the answer of dsreg
	left        []*dsregv1.LeaveDeviceRequest
	owners      []string      // whom the last DescribeAccount asked about
	gone        []string      // and what the next ones answer
	hold        chan struct{} // RedeemPRT waits for it
	beforeHold  func()
	registering func() // in RegisterDevice, when the device is registered
}

func newWorld() *world {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &world{
		key: secret.NewBytes(key), signed: map[string]grant{}, answers: map[string]*tpmv1.OpenTokenAnswerResponse{},
		answerRT: map[string]string{}, sealed: map[string][3]string{}, nonces: map[string]bool{}, calls: map[string]int{},
		refuse: map[string]error{}, pages: map[string]string{}, pageURL: "https://login.test/authorize", lifetime: 3600, joinState: dsregv1.JoinState_JOIN_STATE_JOINED,
		sessions: map[string]*authorityv1.DescribeAccountResponse{
			"session-alice": {TenantId: tenant, UserId: alice, UserPrincipalName: "alice@contoso.test", CredentialKind: "password"},
			"session-maria": {DisplayName: "maria", Sid: maria, NoPrt: true},
			"session-noah":  {DisplayName: "noah", Sid: noah, NoPrt: true},
			"session-bob":   {TenantId: tenant, UserId: bob, UserPrincipalName: "bob@contoso.test", CredentialKind: "password"},
		},
	}
}

// enter counts a call and says whether the test wants it refused.
func (w *world) enter(rpcName string) error {
	w.calls[rpcName]++
	return w.refuse[rpcName]
}

func (w *world) handle(what string) string {
	w.n++
	return fmt.Sprintf("%s-%d", what, w.n)
}

func (w *world) count(rpcName string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[rpcName]
}

func (w *world) set(change func(*world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

// session finds who is signed in; nobody is Interaction, as lsa-cloudap has it.
func (w *world) session(s string) (*authorityv1.DescribeAccountResponse, error) {
	acc := w.sessions[s]
	if acc == nil {
		return nil, prterr.New(prterr.Interaction, "nobody is signed in under this session: sign in").WithHRESULT(0x80070520)
	}
	return acc, nil
}

func (w *world) DescribeAccount(_ context.Context, r *authorityv1.DescribeAccountRequest) (*authorityv1.DescribeAccountResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter("DescribeAccount"); err != nil {
		return nil, err
	}
	acc, err := w.session(r.GetLogonSession())
	if err != nil {
		return nil, err
	}
	w.owners = r.GetOwners()
	acc = proto.CloneOf(acc)
	acc.Gone = w.gone
	return acc, nil
}

func (w *world) SignTokenRequest(_ context.Context, r *authorityv1.SignTokenRequestRequest) (*authorityv1.SignTokenRequestResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter("SignTokenRequest"); err != nil {
		return nil, err
	}
	acc, err := w.session(r.GetLogonSession())
	if err != nil {
		return nil, err
	}
	g := grant{user: acc.GetUserId(), client: r.GetClientId(), resource: r.GetResource(), redirect: r.GetRedirectUri(), nonce: r.GetRequestNonce()}
	if r.GetRefreshToken() != nil {
		s, ok := w.sealed[string(r.GetRefreshToken().GetSealed())]
		if !ok || s[0] != g.user || s[1] != g.client {
			return nil, prterr.New(prterr.Denied, "the sealed token is not for this user and client")
		}
		g.refresh = s[2]
	}
	h := w.handle("signed")
	w.signed[h] = g
	return &authorityv1.SignTokenRequestResponse{Request: h}, nil
}

func (w *world) OpenTokenAnswer(_ context.Context, r *authorityv1.OpenTokenAnswerRequest) (*authorityv1.OpenTokenAnswerResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter("OpenTokenAnswer"); err != nil {
		return nil, err
	}
	acc, err := w.session(r.GetLogonSession())
	if err != nil {
		return nil, err
	}
	a := w.answers[r.GetAnswer()]
	if a == nil {
		return nil, prterr.New(prterr.Denied, "the answer cannot be opened")
	}
	if rt := w.answerRT[r.GetAnswer()]; rt != "" {
		h := w.handle("sealed")
		w.sealed[h] = [3]string{acc.GetUserId(), r.GetClientId(), rt}
		a.RefreshToken = &tpmv1.SealedToken{Sealed: []byte(h)}
	}
	if w.opened != nil {
		w.opened(a)
	}
	return &authorityv1.OpenTokenAnswerResponse{Answer: a}, nil
}

func (w *world) OfferPRT(_ context.Context, r *authorityv1.OfferPRTRequest) (*authorityv1.OfferPRTResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offers = append(w.offers, r.GetPrt())
	return &authorityv1.OfferPRTResponse{}, w.enter("OfferPRT")
}

// BeginInteraction and CompleteInteraction keep the contract: a page belongs to the
// session it was begun for, and is good once.
func (w *world) BeginInteraction(_ context.Context, r *authorityv1.BeginInteractionRequest) (*authorityv1.BeginInteractionResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter("BeginInteraction"); err != nil {
		return nil, err
	}
	if _, err := w.session(r.GetLogonSession()); err != nil {
		return nil, err
	}
	w.begun = append(w.begun, r)
	id := w.handle("page")
	w.pages[id] = r.GetLogonSession()
	return &authorityv1.BeginInteractionResponse{Interaction: &authorityv1.Interaction{
		InteractionId: id, Url: w.pageURL, RedirectUri: redirectURI, Headers: []*authorityv1.Header{{Name: "x-ms-RefreshTokenCredential", Value: "j.w.t"}},
	}}, nil
}

func (w *world) CompleteInteraction(_ context.Context, r *authorityv1.CompleteInteractionRequest) (*authorityv1.CompleteInteractionResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter("CompleteInteraction"); err != nil {
		return nil, err
	}
	if of, ok := w.pages[r.GetInteractionId()]; !ok || of != r.GetLogonSession() {
		return nil, prterr.New(prterr.NotFound, "no such page was begun")
	}
	delete(w.pages, r.GetInteractionId())
	w.finals = append(w.finals, r.GetFinalUri())
	w.proofs++
	return &authorityv1.CompleteInteractionResponse{}, nil
}

func (w *world) IssueNonce(context.Context, *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter("IssueNonce"); err != nil {
		return nil, err
	}
	n := w.handle("nonce")
	w.nonces[n] = true
	return &idpv1.IssueNonceResponse{Nonce: n}, nil
}

func (w *world) RedeemRefreshToken(_ context.Context, r *idpv1.RedeemRefreshTokenRequest) (*idpv1.RedeemRefreshTokenResponse, error) {
	answer, err := w.redeem("RedeemRefreshToken", r.GetRequest(), r.GetClaims())
	return &idpv1.RedeemRefreshTokenResponse{Answer: answer}, err
}

func (w *world) RedeemPRT(_ context.Context, r *idpv1.RedeemPRTRequest) (*idpv1.RedeemPRTResponse, error) {
	w.mu.Lock()
	hold, before := w.hold, w.beforeHold
	w.mu.Unlock()
	if hold != nil {
		before()
		<-hold
	}
	answer, err := w.redeem("RedeemPRT", r.GetRequest(), r.GetClaims())
	return &idpv1.RedeemPRTResponse{Answer: answer}, err
}

// redeem takes each nonce once, and each kind of grant only at its own RPC.
func (w *world) redeem(rpcName, request, claims string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(rpcName); err != nil {
		return "", err
	}
	g, ok := w.signed[request]
	if !ok || (g.refresh == "") != (rpcName == "RedeemPRT") {
		return "", prterr.AADSTS(aadsts.InvalidSessionKey, "")
	}
	if !w.nonces[g.nonce] {
		return "", prterr.AADSTS(aadsts.InvalidNonce, "")
	}
	delete(w.nonces, g.nonce)
	w.claimed = append(w.claimed, claims)
	if w.weak != nil && (w.proofs == 0 || g.refresh != "" && !strings.HasSuffix(g.refresh, fmt.Sprint("/", w.proofs))) {
		return "", w.weak
	}
	if w.proofs < len(w.stages) {
		return "", w.stages[w.proofs]
	}
	w.redeemed = append(w.redeemed, g)
	said := map[string]any{"aud": g.resource, "appid": g.client, "tid": tenant, "oid": g.user, "scp": "User.Read", "jti": w.handle("jti")}
	if w.claims != nil {
		w.claims(said)
	}
	payload, err := json.Marshal(said)
	if err != nil {
		return "", err
	}
	token, err := jose.SignHS256(jose.Header{Typ: "JWT"}, payload, w.key)
	if err != nil {
		return "", err
	}
	h := w.handle("answer")
	w.answerRT[h] = fmt.Sprint(canaryRT, "-", h, "/", w.proofs)
	w.answers[h] = &tpmv1.OpenTokenAnswerResponse{AccessToken: token, ExpiresIn: w.lifetime, Resource: g.resource, Scope: "User.Read"}
	if g.refresh == "" && w.newPRT != "" {
		w.answers[h].NewPrt, w.answers[h].NewPrtExpiresIn = w.newPRT, 1209600
	}
	return h, nil
}

func (w *world) GetDeviceState(context.Context, *dsregv1.GetDeviceStateRequest) (*dsregv1.GetDeviceStateResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &dsregv1.GetDeviceStateResponse{JoinState: w.joinState}
	if w.joinState == dsregv1.JoinState_JOIN_STATE_REGISTERED {
		s.DeviceId, s.TenantId = laptop, tenant
	}
	return s, w.enter("GetDeviceState")
}

func (w *world) RegisterDevice(_ context.Context, r *dsregv1.RegisterDeviceRequest) (*dsregv1.RegisterDeviceResponse, error) {
	w.mu.Lock()
	w.registered = append(w.registered, r)
	err := w.enter("RegisterDevice")
	if err == nil {
		w.joinState = dsregv1.JoinState_JOIN_STATE_REGISTERED
	}
	resp, then := w.register, w.registering
	w.mu.Unlock()
	if then != nil {
		then()
	}
	return resp, err
}

func (w *world) LeaveDevice(_ context.Context, r *dsregv1.LeaveDeviceRequest) (*dsregv1.LeaveDeviceResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !r.GetLocalOnly() && w.refuse["LeaveDevice"] != nil {
		return nil, w.refuse["LeaveDevice"]
	}
	w.left = append(w.left, r)
	w.joinState = dsregv1.JoinState_JOIN_STATE_NONE
	return &dsregv1.LeaveDeviceResponse{}, nil
}

// connect serves one part of the world under its real name, to wam-broker only.
func connect(t testing.TB, cfg rpc.LoopbackConfig, register func(grpc.ServiceRegistrar), methods ...string) *grpc.ClientConn {
	t.Helper()
	if cfg.Allow == nil {
		cfg.Allow = rpc.AllowList{}
		for _, m := range methods {
			cfg.Allow[m] = []string{"wam-broker"}
		}
	}
	conn, stop, err := rpc.Loopback(cfg, register)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return conn
}
