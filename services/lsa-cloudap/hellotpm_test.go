package lsacloudap_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const (
	pin      = "canary-135790"
	otherPIN = "canary-246801"

	nteIncorrectPassword     = 0x80090033
	nteAuthenticationIgnored = 0x80090031
	// triesOfAUser is how many wrong PINs the agent takes.
	triesOfAUser = 10
)

type helloKey struct {
	kid, pin, reset string
	wrong           int
}

// fakeHello has the Hello keys, as strict about PINs as the real one.
type fakeHello struct {
	tpmv1.UnimplementedHelloKeyServiceServer
	*faults
	w *world

	mu   sync.Mutex
	made int
	keys map[string]*helloKey
}

func (f *fakeHello) called(ctx context.Context, name string) error {
	return f.w.called(ctx, "tpm:"+name, f.faults)
}

func (f *fakeHello) CreateHelloKey(ctx context.Context, r *tpmv1.CreateHelloKeyRequest) (*tpmv1.CreateHelloKeyResponse, error) {
	if err := f.called(ctx, "CreateHelloKey"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u := r.GetUser().GetTenantId() + r.GetUser().GetUserId()
	if f.keys[u] != nil {
		return nil, prterr.New(prterr.Conflict, "user: this user has a Hello key: delete it first")
	}
	f.made++
	k := &helloKey{kid: fmt.Sprintf("kid-%d", f.made), pin: r.GetPin()}
	f.keys[u] = k
	a := &tpmv1.CreateHelloKeyResponse{PublicKey: []byte("public." + k.kid), KeyId: k.kid}
	if len(r.GetPinResetKey()) > 0 {
		k.reset = fmt.Sprintf("reset-%d", f.made)
		a.WrappedResetSecret = []byte("wrapped." + string(r.GetPinResetKey()) + "." + k.reset)
	}
	return a, nil
}

// open checks a PIN and counts the wrong ones.
func (f *fakeHello) open(u *tpmv1.HelloUser, pin string) (*helloKey, error) {
	k := f.keys[u.GetTenantId()+u.GetUserId()]
	switch {
	case k == nil:
		return nil, prterr.New(prterr.NotFound, "user: there is no Hello key for this user on this device: set one up")
	case k.wrong >= triesOfAUser:
		return nil, prterr.New(prterr.Exhausted, "pin: too many wrong PINs of this user").WithHRESULT(nteAuthenticationIgnored)
	case k.pin != pin:
		k.wrong++
		return nil, prterr.New(prterr.Unauthenticated, "pin: it is wrong; %d tries are left for this user", triesOfAUser-k.wrong).WithHRESULT(nteIncorrectPassword)
	}
	k.wrong = 0
	return k, nil
}

func (f *fakeHello) SignHelloPRTRequest(ctx context.Context, r *tpmv1.SignHelloPRTRequestRequest) (*tpmv1.SignHelloPRTRequestResponse, error) {
	if err := f.called(ctx, "SignHelloPRTRequest"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.open(r.GetUser(), r.GetPin())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignHelloPRTRequestResponse{Request: token(request{
		Kind: "prt", Key: "device", UPN: r.GetUserPrincipalName(), Nonce: r.GetRequestNonce(), Hello: k.kid,
	})}, nil
}

func (f *fakeHello) VerifyHelloPIN(ctx context.Context, r *tpmv1.VerifyHelloPINRequest) (*tpmv1.VerifyHelloPINResponse, error) {
	if err := f.called(ctx, "VerifyHelloPIN"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.open(r.GetUser(), r.GetPin())
	return &tpmv1.VerifyHelloPINResponse{}, err
}

func (f *fakeHello) ChangeHelloPIN(ctx context.Context, r *tpmv1.ChangeHelloPINRequest) (*tpmv1.ChangeHelloPINResponse, error) {
	if err := f.called(ctx, "ChangeHelloPIN"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k, err := f.open(r.GetUser(), r.GetPin())
	if err != nil {
		return nil, err
	}
	k.pin = r.GetNewPin()
	return &tpmv1.ChangeHelloPINResponse{}, nil
}

func (f *fakeHello) ResetHelloPIN(ctx context.Context, r *tpmv1.ResetHelloPINRequest) (*tpmv1.ResetHelloPINResponse, error) {
	if err := f.called(ctx, "ResetHelloPIN"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.keys[r.GetUser().GetTenantId()+r.GetUser().GetUserId()]
	if k == nil || k.reset == "" || k.reset != string(r.GetResetSecret()) {
		return nil, prterr.New(prterr.Denied, "reset_secret: it is not for this Hello key")
	}
	k.pin, k.wrong = r.GetNewPin(), 0
	return &tpmv1.ResetHelloPINResponse{}, nil
}

func (f *fakeHello) DeleteHelloKey(ctx context.Context, r *tpmv1.DeleteHelloKeyRequest) (*tpmv1.DeleteHelloKeyResponse, error) {
	if err := f.called(ctx, "DeleteHelloKey"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u := r.GetUser().GetTenantId() + r.GetUser().GetUserId()
	if f.keys[u] == nil {
		return nil, prterr.New(prterr.NotFound, "user: there is no Hello key for this user on this device: set one up")
	}
	delete(f.keys, u)
	return &tpmv1.DeleteHelloKeyResponse{}, nil
}

func (f *fakeHello) DescribeHelloKey(ctx context.Context, r *tpmv1.DescribeHelloKeyRequest) (*tpmv1.DescribeHelloKeyResponse, error) {
	if err := f.called(ctx, "DescribeHelloKey"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a := &tpmv1.DescribeHelloKeyResponse{CanReset: tpmv1.CanReset_CAN_RESET_NONE}
	if k := f.keys[r.GetUser().GetTenantId()+r.GetUser().GetUserId()]; k != nil {
		a.KeyId, a.CanReset, a.FixedTpm = k.kid, tpmv1.CanReset_CAN_RESET_DESTRUCTIVE_ONLY, true
		if k.reset != "" {
			a.CanReset = tpmv1.CanReset_CAN_RESET_DESTRUCTIVE_AND_NON_DESTRUCTIVE
		}
	}
	return a, nil
}

// key is the Hello key of a user in the TPM, nil when there is none.
func (f *fakeHello) key(user string) *helloKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys[strings.ToLower(tenant+user)]
}
