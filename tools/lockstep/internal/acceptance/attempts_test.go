package acceptance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// facts are what status shows of the first device, with live tests.
func (w *world) facts() status.Facts {
	w.t.Helper()
	dial := func(component string) (d status.Door) {
		conn, err := w.lab.Dial(w.t.Context(), "operator", w.device.Key(component))
		if err != nil {
			w.t.Fatal(err)
		}
		return status.Door{LSA: conn}
	}
	d := status.Door{Dsreg: dial("dsreg").LSA, LSA: dial("lsa-cloudap").LSA, Broker: dial("wam-broker").LSA, TPM: dial("tpm-agent").LSA}
	return status.Gather(w.t.Context(), d, status.Ask{Live: true, Now: time.Now().Add(w.lab.Ahead())})
}

// block is the diagnostics block of the SSO state as status shows it, nil without one.
func block(f status.Facts, label string) map[string]string {
	for _, s := range status.Status(f) {
		for _, e := range s.Entries {
			if e.Label == label {
				lines := map[string]string{}
				for _, one := range e.Fields {
					lines[one.Label] = one.Value
				}
				return lines
			}
		}
	}
	return nil
}

// What is shown of a failed attempt is what was done to it: over HTTPS in the words of
// Entra's own wire, over gRPC with the contract's method in the place of the address.
func TestOBS03_TheDiagnosticsAreOfTheFaultThatWasMade(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			w.join(w.device)
			user := w.tenant.User
			where := func(address, contract, status string) map[string]string {
				if !https {
					return map[string]string{"Endpoint URI": "grpc://idp/prt.idp.v1." + contract, "HTTP Method": "", "HTTP status": "0"}
				}
				verb := "POST"
				if strings.HasSuffix(address, "/userrealm/") {
					verb = "GET"
				}
				return map[string]string{"Endpoint URI": lab.SignInOrigin + address, "HTTP Method": verb, "HTTP status": status}
			}
			expect := func(label string, want map[string]string, at map[string]string) {
				t.Helper()
				f := w.facts()
				got := block(f, label)
				if got == nil {
					t.Fatalf("%s is not shown", label)
				}
				want["User Identity"], want["Credential Type"] = user, "Password"
				for _, all := range []map[string]string{want, at} {
					for field, value := range all {
						if got[field] != value {
							t.Errorf("%s: %s is %q, want %q", label, field, got[field], value)
						}
					}
				}
				if at, err := time.Parse("2006-01-02 15:04:05.000 UTC", got["Previous Prt Attempt"]); err != nil || f.Now.Sub(at).Abs() > time.Minute {
					t.Errorf("the attempt was at %q, now is %v", got["Previous Prt Attempt"], f.Now)
				}
				if len(got["Correlation ID"]) != 32 {
					t.Errorf("correlation id %q", got["Correlation ID"])
				}
				if why := status.Why(f); len(why) == 0 || why[len(why)-1].Trace == "" && why[0].Trace == "" {
					t.Errorf("why says %+v", why)
				}
			}

			_, id, err := w.device.LogonUI.SignIn(t.Context(), user, secret.NewText("wrong"))
			if err == nil {
				t.Fatal("a wrong password signs in")
			}
			expect("AcquirePrtDiagnostics", map[string]string{
				"Attempt Status": "0xc000006d", "HTTP Error": "0x0", "Server Error Code": "invalid_grant", "Correlation ID": id.String(),
				"Server Error Description": "AADSTS50126: The user name or the password is wrong: check both.",
			}, where("/common/oauth2/token", "IssuanceService/RequestPRT", "400"))

			if err := w.device.SetOffline(true); err != nil {
				t.Fatal(err)
			}
			if _, _, err = w.device.LogonUI.SignIn(t.Context(), user, w.tenant.Password); err == nil {
				t.Fatal("a first sign-in without a network")
			}
			expect("AcquirePrtDiagnostics", map[string]string{"Attempt Status": "0xc000023c", "HTTP Error": "0x80072efd", "Server Error Code": ""},
				where("/common/userrealm/", "RealmService/DiscoverRealm", "0"))
			if err := w.device.SetOffline(false); err != nil {
				t.Fatal(err)
			}

			w.signIn(w.device)
			if got := block(w.facts(), "AcquirePrtDiagnostics"); got != nil {
				t.Errorf("after a success there is still %v", got)
			}
			w.disable(user)
			if err := w.lab.Advance(t.Context(), 5*time.Hour); err != nil {
				t.Fatal(err)
			}
			w.failedRefresh(func(a *authorityv1.Attempt) bool { return a.GetAadsts() == 50057 })
			expect("RefreshPrtDiagnostics", map[string]string{
				"Attempt Status": "0xc0000072", "HTTP Error": "0x0", "Server Error Code": "invalid_grant",
				"Server Error Description": "AADSTS50057: The user account is disabled: ask an administrator.",
			}, where("/common/oauth2/token", "IssuanceService/RenewPRT", "400"))
		})
	}
}

func (w *world) disable(user string) {
	w.t.Helper()
	_, err := directoryv1.NewAdminServiceClient(w.device.Operator.Directory).SetUserEnabled(w.t.Context(), &directoryv1.SetUserEnabledRequest{UserPrincipalName: user})
	if err != nil {
		w.t.Fatal(err)
	}
}

// failedRefresh waits for a renewal that failed as wanted.
func (w *world) failedRefresh(wanted func(*authorityv1.Attempt) bool) {
	w.t.Helper()
	w.until(w.device, "a renewal has failed", func(p *lsav1.PartitionState) bool { return wanted(p.GetLastRefresh()) })
}
