package acceptance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/freshnonce"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// rules sets the rules of the stand-in of a component.
func (w *world) rules(key, rules string) {
	w.t.Helper()
	if err := w.lab.SwapIn(w.t.Context(), key, rules); err != nil {
		w.t.Fatalf("%s: %v", rules, err)
	}
}

// struck is how often the first rule of a stand-in struck.
func (w *world) struck(key string) uint64 {
	w.t.Helper()
	r, err := w.lab.Rules(w.t.Context(), key)
	if err != nil || len(r.GetRules()) == 0 {
		w.t.Fatal(err)
	}
	return r.GetRules()[0].GetStruck()
}

// enters signs somebody in and gives the error.
func (w *world) enters(upn string) error {
	_, _, err := w.device.LogonUI.SignIn(w.t.Context(), upn, w.tenant.Password)
	return err
}

// TestFLT02_AnyAnswerAtExactlyOneStep has the stand-in of the identity provider give every
// code of the table where the credentials go to it, and some of them at other rows, to
// one user, to the nth request: over both carriers the person in front of the device gets
// that code, once, and everything else goes on.
func TestFLT02_AnyAnswerAtExactlyOneStep(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			w.join(w.device)
			if err := w.enters(w.person("early")); err != nil { // after which the device is known to its tenant
				t.Fatal(err)
			}
			for _, row := range aadsts.Table() {
				w.rules("idp", fmt.Sprintf("(answer %d (step FIRST_SIGN_IN_D))", row.Code))
				if err := w.enters(w.tenant.User); prterr.CodeOf(err) != row.Code {
					t.Errorf("%v at the credentials: the sign-in says %v", row.Code, err)
				}
				want := uint64(1)
				if row.Code == aadsts.InvalidNonce {
					want = freshnonce.Tries // a nonce that was refused is asked for again
				}
				if n := w.struck("idp"); n != want {
					t.Errorf("%v: the rule struck %d times", row.Code, n)
				}
			}
			for step, code := range map[string]aadsts.Code{"FIRST_SIGN_IN_B": aadsts.TenantNotFound, "FIRST_SIGN_IN_C": aadsts.ExternalRetryable} {
				w.rules("idp", fmt.Sprintf("(answer %d (step %s))", code, step))
				if err := w.enters(w.tenant.User); prterr.CodeOf(err) != code || w.struck("idp") != 1 {
					t.Errorf("%v at %s: %v", code, step, err)
				}
			}
			// A row of another flow is not met, and the second request of a row is not the first.
			w.rules("idp", "(answer 50057 (step RENEWAL_E) (nth 1)) (answer 50057 (step FIRST_SIGN_IN_D) (nth 2))")
			if err := w.enters(w.tenant.User); err != nil {
				t.Errorf("the first sign-in: %v", err)
			}
			if err := w.enters(w.person("second")); prterr.CodeOf(err) != aadsts.UserDisabled {
				t.Errorf("the second sign-in: %v", err)
			}
			third, fourth := w.person("third"), w.person("fourth")
			w.rules("idp", fmt.Sprintf("(answer 50053 (user %q) (step FIRST_SIGN_IN_D))", third))
			if err := w.enters(fourth); err != nil {
				t.Errorf("another user: %v", err)
			}
			if err := w.enters(strings.ToUpper(third[:1]) + third[1:]); prterr.CodeOf(err) != aadsts.AccountLocked {
				t.Errorf("the user: %v", err)
			}
			id, err := w.device.ID(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fifth, sixth := w.person("fifth"), w.person("sixth")
			w.rules("idp", fmt.Sprintf("(answer 135011 (device %q))", "00000000-0000-4000-8000-000000000000"))
			if err := w.enters(fifth); err != nil {
				t.Errorf("another device: %v", err)
			}
			w.rules("idp", fmt.Sprintf("(answer 135011 (device %q))", id))
			if err := w.enters(sixth); prterr.CodeOf(err) != aadsts.DeviceDisabled {
				t.Errorf("the device: %v", err)
			}
		})
	}
}
