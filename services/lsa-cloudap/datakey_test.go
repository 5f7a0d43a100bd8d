package lsacloudap_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// fakeDataKeys keeps the data keys of users in the open: a wrapped key says whose it
// is, which one, and which key of the provider opens it.
type fakeDataKeys struct {
	tpmv1.UnimplementedDataKeyServiceServer
	w *world
	// cloud is the identity provider's half.
	cloud *fakeProviderKeys

	mu sync.Mutex
	// guarded has refresh tokens need an unlocked key, as they do in the agent.
	guarded  bool
	unlocked map[string]string
	made     int
	locks    int
}

func ownerOf(p *tpmv1.Partition) string { return p.GetTenantId() + "_" + p.GetUserId() }

// current is the unlocked key of a user, or the agent's error.
func (f *fakeDataKeys) current(p *tpmv1.Partition) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.guarded {
		return "", nil
	}
	k, ok := f.unlocked[ownerOf(p)]
	if !ok {
		return "", prterr.New(prterr.Conflict, "the data key of this user is locked").WithHRESULT(datakey.HRESULTLocked)
	}
	return k, nil
}

// restart is a cold start of the agent.
func (f *fakeDataKeys) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.guarded, f.unlocked = true, map[string]string{}
}

func (f *fakeDataKeys) count() (made, locks int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made, f.locks
}

func (f *fakeDataKeys) SignDataKeyRequest(ctx context.Context, r *tpmv1.SignDataKeyRequestRequest) (*tpmv1.SignDataKeyRequestResponse, error) {
	if err := f.w.called(ctx, "tpm:SignDataKeyRequest", &f.w.tpm.faults); err != nil {
		return nil, err
	}
	key, err := unseal(r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	prt, err := given(r.GetPartition(), r.GetPrt(), r.GetSealedPrt())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignDataKeyRequestResponse{Request: token(request{Kind: "data key", Key: key, PRT: prt, Nonce: r.GetRequestNonce()})}, nil
}

// provider is the key of the provider in an answer, whose form only is that of one.
func (f *fakeDataKeys) provider(p *tpmv1.Partition, k *tpmv1.SealedSessionKey, jwe string) (string, error) {
	key, err := unseal(p, k)
	if err != nil {
		return "", err
	}
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	a, ok := f.cloud.answers[jwe]
	if !ok || a.Key != key {
		return "", prterr.New(prterr.Denied, "answer: it is not an answer for this session")
	}
	return a.RT, nil
}

func (f *fakeDataKeys) CreateDataKey(ctx context.Context, r *tpmv1.CreateDataKeyRequest) (*tpmv1.CreateDataKeyResponse, error) {
	if err := f.w.called(ctx, "tpm:CreateDataKey", &f.w.tpm.faults); err != nil {
		return nil, err
	}
	provider, err := f.provider(r.GetPartition(), r.GetSessionKey(), r.GetAnswer())
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	key := fmt.Sprintf("key%d", f.made)
	f.unlocked[ownerOf(r.GetPartition())] = key
	return &tpmv1.CreateDataKeyResponse{DataKey: &tpmv1.ProtectedDataKey{Wrapped: []byte(ownerOf(r.GetPartition()) + "|" + provider + "|" + key)}}, nil
}

func (f *fakeDataKeys) UnlockDataKey(ctx context.Context, r *tpmv1.UnlockDataKeyRequest) (*tpmv1.UnlockDataKeyResponse, error) {
	if err := f.w.called(ctx, "tpm:UnlockDataKey", &f.w.tpm.faults); err != nil {
		return nil, err
	}
	provider, err := f.provider(r.GetPartition(), r.GetSessionKey(), r.GetAnswer())
	if err != nil {
		return nil, err
	}
	key, ok := strings.CutPrefix(string(r.GetDataKey().GetWrapped()), ownerOf(r.GetPartition())+"|"+provider+"|")
	if !ok {
		return nil, prterr.New(prterr.Denied, "data_key: it is not usable here")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unlocked[ownerOf(r.GetPartition())] = key
	return &tpmv1.UnlockDataKeyResponse{}, nil
}

func (f *fakeDataKeys) LockDataKey(_ context.Context, r *tpmv1.LockDataKeyRequest) (*tpmv1.LockDataKeyResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locks++
	delete(f.unlocked, r.GetTenantId()+"_"+r.GetUserId())
	return &tpmv1.LockDataKeyResponse{}, nil
}

// fakeProviderKeys is the identity provider's half.
type fakeProviderKeys struct {
	idpv1.UnimplementedDataKeyServiceServer
	w *world

	mu sync.Mutex
	// key is the provider's, the same for all users.
	key     string
	answers map[string]answer
}

func (f *fakeProviderKeys) RequestDataKey(ctx context.Context, r *idpv1.RequestDataKeyRequest) (*idpv1.RequestDataKeyResponse, error) {
	if err := f.w.called(ctx, "idp:RequestDataKey", &f.w.idp.faults); err != nil {
		return nil, err
	}
	var req request
	if !readToken(r.GetRequest(), &req) || req.Kind != "data key" || req.PRT == "" || req.Nonce == "" {
		return nil, prterr.AADSTS(aadsts.InvalidRequest, "")
	}
	jwe, err := entrawire.SealAnswer(secret.NewBytes(make([]byte, 32)), []byte("{}"))
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[jwe] = answer{Key: req.Key, RT: f.key}
	return &idpv1.RequestDataKeyResponse{Answer: jwe}, nil
}

// guarded turns the rule on and signs alice in.
func guarded(t *testing.T) (*world, *machine, string) {
	t.Helper()
	w := newWorld(t)
	w.tpm.data.restart()
	m := w.start()
	return w, m, m.signIn(alice).GetLogonSession()
}

// tokenOf redeems the PRT and gives the sealed refresh token, nil for none.
func (m *machine) tokenOf(session string) []byte {
	m.w.t.Helper()
	request, err := m.sign(session)
	if err != nil {
		m.w.t.Fatal(err)
	}
	r, err := m.w.idp.RedeemPRT(m.w.t.Context(), &idpv1.RedeemPRTRequest{Request: request})
	if err != nil {
		m.w.t.Fatal(err)
	}
	a, err := m.tokens.OpenTokenAnswer(m.w.t.Context(), &authorityv1.OpenTokenAnswerRequest{LogonSession: session, ClientId: appID, Answer: r.GetAnswer()})
	if err != nil || a.GetAnswer().GetAccessToken() == "" {
		m.w.t.Fatalf("%v, %v", a, err)
	}
	return a.GetAnswer().GetRefreshToken().GetSealed()
}

func (m *machine) signWith(session string, rt []byte) error {
	_, err := m.tokens.SignTokenRequest(m.w.t.Context(), &authorityv1.SignTokenRequestRequest{
		LogonSession: session, ClientId: appID, Resource: "https://graph.test", RedirectUri: redirect, RequestNonce: m.w.idp.nonce(),
		RefreshToken: &tpmv1.SealedToken{Sealed: rt},
	})
	return err
}

// files are those of wrapped data keys.
func (w *world) dataKeyFiles() []string {
	names, err := filepath.Glob(filepath.Join(w.dir, "datakeys", "*.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// TestPRO10_TheDataKeyIsUnlockedWhenItIsNeeded: made with the first refresh token,
// unlocked once after a cold start whoever asks, locked at the last sign-off.
func TestPRO10_TheDataKeyIsUnlockedWhenItIsNeeded(t *testing.T) {
	w, m, session := guarded(t)
	w.took()
	rt := m.tokenOf(session)
	if rt == nil || len(w.dataKeyFiles()) != 1 {
		t.Fatalf("refresh token %q, files %v", rt, w.dataKeyFiles())
	}
	raw, err := os.ReadFile(w.dataKeyFiles()[0])
	if err != nil || strings.Contains(string(raw), w.tpm.data.cloud.key) {
		t.Errorf("the file holds %s, %v", raw, err)
	}
	if info, err := os.Stat(w.dataKeyFiles()[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := m.signWith(session, rt); err != nil {
		t.Fatal(err)
	}

	w.tpm.data.restart()
	w.took()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := m.signWith(session, rt); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := count(w.took(), "idp:RequestDataKey"); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
	if made, _ := w.tpm.data.count(); made != 1 {
		t.Errorf("%d keys were made", made)
	}

	second := m.signIn(alice).GetLogonSession()
	m.logoff(session)
	if _, locks := w.tpm.data.count(); locks != 0 {
		t.Error("locked while a session is left")
	}
	m.logoff(second)
	if _, locks := w.tpm.data.count(); locks != 1 {
		t.Errorf("locked %d times at the last sign-off", locks)
	}
}

// TestPRO10_ALockedDataKeyCostsNoAccessToken: what cannot be unlocked loses the refresh
// token of the answer and nothing else; a token request says what is wrong.
func TestPRO10_ALockedDataKeyCostsNoAccessToken(t *testing.T) {
	for name, c := range map[string]struct {
		fault error
		kind  prterr.Kind
		code  aadsts.Code
	}{
		"no network":             {prterr.New(prterr.Unavailable, "gone"), prterr.Unavailable, 0},
		"the user is disabled":   {prterr.AADSTS(aadsts.UserDisabled, ""), prterr.Denied, aadsts.UserDisabled},
		"the PRT was revoked":    {prterr.AADSTS(aadsts.FreshTokenNeeded, ""), prterr.Interaction, aadsts.FreshTokenNeeded},
		"the provider has none":  {prterr.AADSTS(aadsts.UnsupportedGrantType, ""), prterr.Denied, 0},
		"the contract is older":  {prterr.New(prterr.NotFound, "unknown method"), prterr.Denied, 0},
		"the provider's bad day": {prterr.New(prterr.Internal, "boom"), prterr.Internal, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, m, session := guarded(t)
			rt := m.tokenOf(session)
			w.tpm.data.restart()
			w.idp.set(func(f *faults) { f.on = map[string]error{"idp:RequestDataKey": c.fault} })
			if got := m.tokenOf(session); got != nil {
				t.Errorf("a refresh token came: %q", got)
			}
			err := m.signWith(session, rt)
			if prterr.KindOf(err) != c.kind || prterr.CodeOf(err) != c.code || datakey.Locked(err) {
				t.Errorf("%v (%s)", err, prterr.KindOf(err))
			}
			w.idp.set(func(f *faults) { f.on = nil })
			if unknown := prterr.KindOf(c.fault) == prterr.NotFound || c.code == 0 && c.kind == prterr.Denied; unknown {
				return // not asked again for an hour
			}
			if err := m.signWith(session, rt); err != nil {
				t.Errorf("after repair: %v", err)
			}
		})
	}
}

// TestPRO10_ADataKeyThatDoesNotOpenIsMadeAnew: a damaged file goes to quarantine, a key
// of another provider's is replaced, and both are told.
func TestPRO10_ADataKeyThatDoesNotOpenIsMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, *world){
		"another key of the provider": func(_ *testing.T, w *world) {
			w.tpm.data.cloud.mu.Lock()
			w.tpm.data.cloud.key = "another"
			w.tpm.data.cloud.mu.Unlock()
		},
		"damaged": func(t *testing.T, w *world) { write(t, w.dataKeyFiles()[0], "{") },
		"of another user": func(t *testing.T, w *world) {
			raw, _ := os.ReadFile(w.dataKeyFiles()[0])
			write(t, w.dataKeyFiles()[0], strings.Replace(string(raw), `"user_id":"`, `"user_id":"0`, 1))
		},
		"of a later version": func(t *testing.T, w *world) {
			raw, _ := os.ReadFile(w.dataKeyFiles()[0])
			write(t, w.dataKeyFiles()[0], strings.Replace(string(raw), `"version":1`, `"version":9`, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, m, session := guarded(t)
			m.tokenOf(session)
			spoil(t, w)
			w.tpm.data.restart()
			if rt := m.tokenOf(session); rt == nil {
				t.Error("no refresh token")
			}
			if made, _ := w.tpm.data.count(); made != 2 || !strings.Contains(w.logged(), "was made anew") {
				t.Errorf("%d keys were made; the log has:\n%s", made, w.logged())
			}
			kept, _ := filepath.Glob(filepath.Join(w.dir, "quarantine", "[^.]*.json.*"))
			if (len(kept) == 1) == (name == "another key of the provider") {
				t.Errorf("quarantine has %v", kept)
			}
			w.tpm.data.restart()
			m.tokenOf(session)
			if made, _ := w.tpm.data.count(); made != 2 {
				t.Errorf("the new key does not stay: %d", made)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPRO10_AKeyThatCannotBeKeptIsNotUsed: a full disk costs refresh tokens, and no
// access token.
func TestPRO10_AKeyThatCannotBeKeptIsNotUsed(t *testing.T) {
	w, m, session := guarded(t)
	write(t, filepath.Join(w.dir, "datakeys"), "a file where the folder should be")
	if rt := m.tokenOf(session); rt != nil {
		t.Error("a refresh token was sealed under a key that is not kept")
	}
	if err := os.Remove(filepath.Join(w.dir, "datakeys")); err != nil {
		t.Fatal(err)
	}
	if rt := m.tokenOf(session); rt == nil {
		t.Error("no refresh token after repair")
	}
}
