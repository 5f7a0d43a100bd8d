package tpmagenttest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// hresultLocked is NTE_BAD_KEY_STATE.
const hresultLocked = 0x8009000B

// DataKeys is the agent's door for the data keys of users, as lsa-cloudap.
func (a *Agent) DataKeys() tpmv1.DataKeyServiceClient {
	return tpmv1.NewDataKeyServiceClient(a.Dial("lsa-cloudap"))
}

// Provider plays the identity provider's side of a data key.
type Provider struct {
	ID  string
	Key []byte
}

// NewProvider draws a provider's key.
func NewProvider() Provider {
	return Provider{ID: uuid.NewString(), Key: random(entrawire.DataKeySize)}
}

// Deliver is the provider's answer under a session key.
func (a *Agent) Deliver(p Provider, session secret.Bytes) string {
	a.t.Helper()
	plain, err := entrawire.NewDataKeyAnswer(p.ID, secret.NewBytes(p.Key)).Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	jwe, err := a.seal(session, plain)
	if err != nil {
		a.t.Fatal(err)
	}
	return jwe
}

// CreateDataKey makes the data key of a user, unlocked, and gives it back wrapped.
func (a *Agent) CreateDataKey(p Provider, user string, session secret.Bytes, sealed *tpmv1.SealedSessionKey) *tpmv1.ProtectedDataKey {
	a.t.Helper()
	r, err := a.DataKeys().CreateDataKey(a.t.Context(), &tpmv1.CreateDataKeyRequest{Partition: Partition(user), SessionKey: sealed, Answer: a.Deliver(p, session)})
	if err != nil {
		a.t.Fatal(err)
	}
	return r.GetDataKey()
}

// Locked says that an error is the agent's about a data key that is locked.
func Locked(err error) bool {
	var e *prterr.Error
	return errors.As(err, &e) && e.Kind == prterr.Conflict && e.HRESULT == hresultLocked
}

func (a *Agent) unlock(t *testing.T, user string, sealed *tpmv1.SealedSessionKey, answer string, key *tpmv1.ProtectedDataKey) error {
	_, err := a.DataKeys().UnlockDataKey(t.Context(), &tpmv1.UnlockDataKeyRequest{Partition: Partition(user), SessionKey: sealed, Answer: answer, DataKey: key})
	return err
}

func (a *Agent) lock(t *testing.T, user string) {
	t.Helper()
	if _, err := a.DataKeys().LockDataKey(t.Context(), &tpmv1.LockDataKeyRequest{TenantId: Partition(user).GetTenantId(), UserId: user}); err != nil {
		t.Fatal(err)
	}
}

// dataKeys: refresh tokens pass while the user's key is unlocked, and only what the
// provider's own key opens unlocks it again.
func (a *Agent) dataKeys(t *testing.T, id Identity) {
	session, sealed := a.Import(id, UserA)
	p := NewProvider()
	tokens := []byte(`{"token_type":"Bearer","scope":"user_impersonation","expires_in":"3600","ext_expires_in":"3600","expires_on":"1700000000","resource":"` + resource +
		`","access_token":"at.at.at","refresh_token":"1.app.data-key-canary"}`)
	open := func(discard bool) (*tpmv1.SealedToken, error) {
		jwe, err := a.seal(session, tokens)
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.PRT().OpenTokenAnswer(t.Context(), &tpmv1.OpenTokenAnswerRequest{
			Partition: Partition(UserA), SessionKey: sealed, ClientId: clientID, Answer: jwe, DiscardRefreshToken: discard,
		})
		if err == nil && r.GetAccessToken() != "at.at.at" {
			t.Errorf("the answer is %v", r)
		}
		return r.GetRefreshToken(), err
	}
	use := func(token *tpmv1.SealedToken) (string, error) {
		q, err := a.PRT().SignTokenRequest(t.Context(), &tpmv1.SignTokenRequestRequest{
			Partition: Partition(UserA), SessionKey: sealed, ClientId: clientID, Resource: resource, RequestNonce: nonce,
			Grant: &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: token},
		})
		return q.GetRequest(), err
	}
	locked := func(what string, err error) {
		t.Helper()
		if !Locked(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	good := func(what string, token *tpmv1.SealedToken) {
		t.Helper()
		request, err := use(token)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var c entrawire.SessionRequest
		if tok, err := jose.Parse(request); err != nil || tok.Claims(&c) != nil || c.RefreshToken.Reveal() != "1.app.data-key-canary" {
			t.Errorf("%s: the refresh token did not come back: %v", what, err)
		}
	}

	a.lock(t, UserA)
	_, err := open(false)
	locked("an answer before there is a key", err)
	if token, err := open(true); err != nil || token != nil {
		t.Errorf("without a refresh token: %v, %v", token, err)
	}
	wrapped := a.CreateDataKey(p, UserA, session, sealed)
	if bytes.Contains(wrapped.GetWrapped(), p.Key) || len(wrapped.GetWrapped()) > 1<<10 {
		t.Error("the wrapped key is too large or holds the provider's")
	}
	token, err := open(false)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(token.GetSealed()), "canary") {
		t.Error("the refresh token is in the clear")
	}
	good("unlocked", token)

	a.lock(t, UserA)
	_, err = use(token)
	locked("a token while locked", err)
	a.refusedKeys(t, id, p, wrapped, session, sealed)
	_, err = use(token)
	locked("after what did not open", err)
	if err := a.unlock(t, UserA, sealed, a.Deliver(p, session), wrapped); err != nil {
		t.Fatal(err)
	}
	good("unlocked again", token)

	otherSession, otherSealed := a.Import(id, UserB)
	a.CreateDataKey(p, UserB, otherSession, otherSealed)
	a.lock(t, UserB)
	good("another user locked theirs", token)
	a.CreateDataKey(p, UserA, session, sealed)
	if _, err := use(token); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("a token of the data key before: %v", err)
	}
	a.dataKeyRequests(t, session, sealed)
}

// refusedKeys: whatever is wrong with answer or wrapped key, the key stays locked.
func (a *Agent) refusedKeys(t *testing.T, id Identity, p Provider, wrapped *tpmv1.ProtectedDataKey, session secret.Bytes, sealed *tpmv1.SealedSessionKey) {
	otherSession, otherSealed := a.Import(id, UserB)
	for name, refused := range map[string]error{
		"another key of the provider": a.unlock(t, UserA, sealed, a.Deliver(NewProvider(), session), wrapped),
		"the same key, another name":  a.unlock(t, UserA, sealed, a.Deliver(Provider{NewProvider().ID, p.Key}, session), wrapped),
		"another user's":              a.unlock(t, UserB, otherSealed, a.Deliver(p, otherSession), wrapped),
		"another session's answer":    a.unlock(t, UserA, sealed, a.Deliver(p, otherSession), wrapped),
		"another kind of answer":      a.unlock(t, UserA, sealed, must(t, func() (string, error) { return a.seal(session, []byte(`{"token_type":"Bearer"}`)) }), wrapped),
		"no key":                      a.unlock(t, UserA, sealed, a.Deliver(p, session), nil),
		"a long key":                  a.unlock(t, UserA, sealed, a.Deliver(p, session), &tpmv1.ProtectedDataKey{Wrapped: make([]byte, 2000)}),
	} {
		if prterr.KindOf(refused) != prterr.Denied {
			t.Errorf("%s: %v", name, refused)
		}
	}
	for i := range wrapped.GetWrapped() {
		bad := bytes.Clone(wrapped.GetWrapped())
		bad[i] ^= 1
		if err := a.unlock(t, UserA, sealed, a.Deliver(p, session), &tpmv1.ProtectedDataKey{Wrapped: bad}); prterr.KindOf(err) != prterr.Denied {
			t.Fatalf("byte %d of the key is another: %v", i, err)
		}
	}
}

// dataKeyRequests: the request names its kind and the PRT, and nothing of the caller's
// choosing beside it.
func (a *Agent) dataKeyRequests(t *testing.T, session secret.Bytes, sealed *tpmv1.SealedSessionKey) {
	sign := func(prt, nonce string) (string, error) {
		r, err := a.DataKeys().SignDataKeyRequest(t.Context(), &tpmv1.SignDataKeyRequestRequest{
			Partition: Partition(UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce,
		})
		return r.GetRequest(), err
	}
	request, err := sign(prt, nonce)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := jose.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	var c entrawire.DataKeyRequest
	if err := tok.Claims(&c); err != nil || c.Validate() != nil || c.RefreshToken.Reveal() != prt || c.RequestNonce != nonce || tok.Header.KDFVer != a.kdfVer() {
		t.Errorf("%+v, %v, %v", c, err, c.Validate())
	}
	if err := entrawire.VerifySession(tok, session); err != nil {
		t.Error(err)
	}
	r, err := a.DataKeys().SignDataKeyRequest(t.Context(), &tpmv1.SignDataKeyRequestRequest{
		Partition: Partition(UserA), SessionKey: sealed, SealedPrt: a.Protect(t, Partition(UserA), prt), RequestNonce: nonce,
	})
	if tok, failed := jose.Parse(r.GetRequest()); err != nil || failed != nil || tok.Claims(&c) != nil || c.RefreshToken.Reveal() != prt {
		t.Errorf("with a sealed PRT: %v, %v", err, failed)
	}
	for field, bad := range map[string][2]string{"prt": {`x","grant_type":"refresh_token`, nonce}, "request_nonce": {prt, "\n"}} {
		if _, err := sign(bad[0], bad[1]); prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	for field, r := range map[string]*tpmv1.LockDataKeyRequest{"tenant_id": {UserId: UserA}, "user_id": {TenantId: Partition(UserA).GetTenantId()}} {
		if _, err := a.DataKeys().LockDataKey(t.Context(), r); prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
