package acceptance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestFLT09_REG25_ABurstOfJoins: one user joins computers one after the other, which all stay
// in the tenant. The twenty-first is refused with DirectoryError and 300 seconds, over both
// carriers; the device asks nobody before, and after the wait the same join works.
func TestFLT09_REG25_ABurstOfJoins(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https, FaultSeed: 9})
			join := func() error {
				_, err := w.device.Operator.Join(t.Context(), w.tenant.User, w.tenant.Password, "DESKTOP")
				return err
			}
			w.rules("idp", `(answer denied (method "DeviceRegistrationService/DeleteDevice"))`) // so the devices before stay
			for n := range 20 {
				if err := join(); err != nil {
					t.Fatalf("join %d: %v", n+1, err)
				}
			}
			err := join()
			if left := prterr.RetryAfterOf(err); prterr.KindOf(err) != prterr.Exhausted || left != 300*time.Second || !strings.Contains(err.Error(), "DirectoryError") || !strings.Contains(err.Error(), "try again in 5m0s") {
				t.Errorf("the 21st: %v; %v left", err, left)
			}
			d, err := dsregv1.NewDiagnosticsServiceClient(w.device.Operator.Dsreg).DescribeRegistration(t.Context(), &dsregv1.DescribeRegistrationRequest{})
			if a := d.GetLastAttempt(); err != nil || a.GetClientErrorCode() != 0x801c03f2 || a.GetServerErrorCode() != "DirectoryError" || a.GetErrorPhase() != "join" {
				t.Errorf("last attempt %v, %v", a, err)
			}
			w.rules("idp", `(delay 1ms)`)
			if err := w.lab.Advance(t.Context(), 4*time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := join(); prterr.KindOf(err) != prterr.Exhausted || w.struck("idp") != 0 {
				t.Errorf("within the time: %v, and %d requests", err, w.struck("idp"))
			}
			if err := w.lab.Advance(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := join(); err != nil {
				t.Errorf("after the time: %v", err)
			}
		})
	}
}
