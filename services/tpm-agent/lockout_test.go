package tpmagent_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

const (
	goodPIN  = "135790"
	wrongPIN = "000000"
	// nteAuthenticationIgnored is how Windows names a TPM that is locked.
	nteAuthenticationIgnored = 0x80090031
)

func helloKey(t testing.TB, a *tpmagenttest.Agent, user string) {
	t.Helper()
	if _, err := a.Hello().CreateHelloKey(t.Context(), &tpmv1.CreateHelloKeyRequest{User: tpmagenttest.HelloUser(user), Pin: goodPIN}); err != nil {
		t.Fatal(err)
	}
}

func signHello(t testing.TB, a *tpmagenttest.Agent, user, pin string) error {
	_, err := a.Hello().SignHelloPRTRequest(t.Context(), &tpmv1.SignHelloPRTRequestRequest{
		User: tpmagenttest.HelloUser(user), UserPrincipalName: "u@contoso.test", Pin: pin, RequestNonce: nonce,
	})
	return err
}

func hresult(err error) uint32 {
	var e *prterr.Error
	if errors.As(err, &e) {
		return e.HRESULT
	}
	return 0
}

// TestA42_GuessesOfOneUserStopNobodyElse: a hundred wrong PINs of one user; the
// others and the device's own keys go on, before and after a restart.
func TestA42_GuessesOfOneUserStopNobodyElse(t *testing.T) {
	dir, lab := t.TempDir(), clock.NewLab()
	cfg := tpmagent.Config{StateDir: dir, TPM: "soft:", Clock: lab}
	a := tpmagenttest.Start(t, cfg)
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	helloKey(t, a, tpmagenttest.UserA)
	helloKey(t, a, tpmagenttest.UserB)
	for i := range 100 {
		err := signHello(t, a, tpmagenttest.UserB, wrongPIN)
		want := prterr.Unauthenticated
		if i >= 10 {
			want = prterr.Exhausted
		}
		if prterr.KindOf(err) != want {
			t.Fatalf("guess %d: %v", i, err)
		}
		if i == 50 { // a restart gives no new tries
			if err := a.Service.Close(); err != nil {
				t.Fatal(err)
			}
			a = tpmagenttest.Start(t, cfg)
		}
	}
	err := signHello(t, a, tpmagenttest.UserB, goodPIN)
	if prterr.KindOf(err) != prterr.Exhausted || hresult(err) != nteAuthenticationIgnored {
		t.Errorf("the right PIN of the user who guessed: %v", err)
	}
	if err := signHello(t, a, tpmagenttest.UserA, goodPIN); err != nil {
		t.Errorf("another user: %v", err)
	}
	if err := cookie(t, a, tpmagenttest.UserA, key); err != nil {
		t.Errorf("a session key: %v", err)
	}
	lab.Advance(11 * time.Minute)
	if err := signHello(t, a, tpmagenttest.UserB, goodPIN); err != nil {
		t.Errorf("after the recovery time: %v", err)
	}
}

// TestPRO14_ALockedTPMIsReportedAndHeals: many users guess, until the TPM itself
// locks. Keys without a PIN go on; the lock shows, has its Windows code, and heals.
func TestPRO14_ALockedTPMIsReportedAndHeals(t *testing.T) {
	lab := clock.NewLab()
	tpm, err := softtpm.New(softtpm.Config{Now: lab.Now})
	if err != nil {
		t.Fatal(err)
	}
	a := tpmagenttest.Start(t, tpmagent.Config{Transport: tpm, Clock: lab})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	users := []string{
		tpmagenttest.UserA, tpmagenttest.UserB, "cccccccc-cccc-cccc-cccc-cccccccccccc", "dddddddd-dddd-dddd-dddd-dddddddddddd",
	}
	for _, u := range users {
		helloKey(t, a, u)
	}
	var last error
	for _, u := range users[1:] {
		for range 10 {
			last = signHello(t, a, u, wrongPIN)
		}
	}
	for range 3 {
		last = signHello(t, a, tpmagenttest.UserA, wrongPIN)
	}
	if prterr.KindOf(last) != prterr.Exhausted || hresult(last) != nteAuthenticationIgnored {
		t.Fatalf("after 33 wrong PINs: %v", last)
	}
	if l := describe(t, a).GetLockout(); !l.GetLocked() || l.GetFailed() != l.GetLimit() || l.GetLimit() != 32 || l.GetRecoverySeconds() != 600 {
		t.Errorf("lockout %v", l)
	}
	if err := signHello(t, a, tpmagenttest.UserA, goodPIN); prterr.KindOf(err) != prterr.Exhausted {
		t.Errorf("the right PIN on a locked TPM: %v", err)
	}
	if err := cookie(t, a, tpmagenttest.UserA, key); err != nil {
		t.Errorf("a session key on a locked TPM: %v", err)
	}
	lab.Advance(11 * time.Minute)
	if err := signHello(t, a, tpmagenttest.UserA, goodPIN); err != nil {
		t.Errorf("after the recovery time: %v", err)
	}
	if describe(t, a).GetLockout().GetLocked() {
		t.Error("the lock still shows")
	}
}

func describe(t testing.TB, a *tpmagenttest.Agent) *tpmv1.DescribeProviderResponse {
	t.Helper()
	d, err := tpmv1.NewProviderServiceClient(a.Dial("operator")).DescribeProvider(t.Context(), &tpmv1.DescribeProviderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
