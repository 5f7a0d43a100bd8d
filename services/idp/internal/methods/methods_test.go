package methods_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
)

// The documented table (Microsoft Entra, "Conditional Access authentication
// strengths"): twelve rows of methods by three built-in strengths, cell by cell.
func TestCA05_CA06_StrengthTable(t *testing.T) {
	has := []methods.Method{methods.Push, methods.SoftwareOATH, methods.HardwareOATH, methods.SMS, methods.Voice}
	with := func(first methods.Method) [][]methods.Method {
		var out [][]methods.Method
		for _, m := range has {
			out = append(out, []methods.Method{first, m})
		}
		return out
	}
	alone := func(list ...methods.Method) [][]methods.Method {
		var out [][]methods.Method
		for _, m := range list {
			out = append(out, []methods.Method{m})
		}
		return out
	}
	for _, row := range []struct {
		name string
		used [][]methods.Method
		want [3]bool // MFA, Passwordless MFA, Phishing-resistant MFA
	}{
		{"FIDO2 security key", alone(methods.FIDO2), [3]bool{true, true, true}},
		{"Windows Hello for Business", alone(methods.WindowsHello), [3]bool{true, true, true}},
		{"Certificate-based authentication (multifactor)", alone(methods.CertificateMulti), [3]bool{true, true, true}},
		{"Authenticator (phone sign-in)", alone(methods.PhoneSignIn), [3]bool{true, true, false}},
		{"Temporary Access Pass", alone(methods.AccessPassOnce, methods.AccessPassMany), [3]bool{true, false, false}},
		{"Password plus something the user has", with(methods.Password), [3]bool{true, false, false}},
		{"Federated single-factor plus something the user has", with(methods.FederatedSingle), [3]bool{true, false, false}},
		{"Federated multifactor", alone(methods.FederatedMulti), [3]bool{true, false, false}},
		{"Certificate-based authentication (single-factor)", alone(methods.CertificateSingle), [3]bool{}},
		{"SMS sign-in", alone(methods.SMS), [3]bool{}},
		{"Password", alone(methods.Password), [3]bool{}},
		{"Federated single-factor", alone(methods.FederatedSingle), [3]bool{}},
	} {
		for _, used := range row.used {
			for i, s := range methods.BuiltIn() {
				if got := s.Satisfied(used); got != row.want[i] {
					t.Errorf("%s (%v) for %s: %v, want %v", row.name, used, s.Name, got, row.want[i])
				}
			}
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	by := map[string]methods.Strength{}
	for _, s := range methods.BuiltIn() {
		by[s.Name] = s
	}
	got := by[methods.StrengthPasswordless].Missing([]methods.Method{methods.Password})
	if !slices.Equal(got, []methods.Method{methods.FIDO2, methods.CertificateMulti, methods.PhoneSignIn}) {
		t.Errorf("after a password: %v", got)
	}
	if got := by[methods.StrengthMFA].Missing([]methods.Method{methods.Password}); !slices.Contains(got, methods.SMS) {
		t.Errorf("a text message is not among %v", got)
	}
}

func TestWhatMethodsAmountTo(t *testing.T) {
	at := time.Unix(1000, 0)
	list := methods.Add(nil, methods.Password, at)
	if !methods.FactorTime(list).IsZero() || !slices.Equal(methods.AMR(methods.Names(list)), []string{"pwd"}) {
		t.Errorf("a password: %v %v", methods.FactorTime(list), methods.AMR(methods.Names(list)))
	}
	list = methods.Add(list, methods.SoftwareOATH, at.Add(time.Minute))
	list = methods.Add(list, methods.Password, at.Add(time.Hour))
	if !methods.FactorTime(list).Equal(at.Add(time.Minute)) {
		t.Errorf("a password renewed the second factor: %v", methods.FactorTime(list))
	}
	if got := methods.AMR(methods.Names(list)); !slices.Contains(got, "mfa") || !slices.Contains(got, "otp") {
		t.Errorf("amr is %v", got)
	}
}
