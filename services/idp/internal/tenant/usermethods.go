package tenant

import (
	"encoding/base32"
	"fmt"
	"slices"

	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
)

// Authenticator is an app on a telephone that approves sign-ins.
type Authenticator struct {
	Name string
	// PhoneSignIn lets it sign in without a password.
	PhoneSignIn bool
}

const (
	// StandardAuthenticator is the name of one that has none.
	StandardAuthenticator = "Authenticator app"
	// MaxAuthenticators is how many one user may have, as at the public service.
	MaxAuthenticators = 5
)

// methods reads the second factors of a user.
func (d *document) methods(at string, f fileUser, u *User) error {
	if problem := TOTPProblem(f.TOTPSecret); problem != "" {
		return d.errorf(at+".totp_secret", "%s", problem)
	}
	if problem := PhoneProblem(f.Phone); problem != "" {
		return d.errorf(at+".phone", "%s", problem)
	}
	if problem := RiskProblem(f.Risk); problem != "" {
		return d.errorf(at+".risk", "%s", problem)
	}
	switch n := len(f.Authenticators); {
	case n > 0 && f.Push:
		return d.errorf(at+".push", "does not go with authenticators: list every one there")
	case n > MaxAuthenticators:
		return d.errorf(at+".authenticators", "are more than %d", MaxAuthenticators)
	case f.Push:
		u.Authenticators = []Authenticator{{Name: StandardAuthenticator}}
	}
	for i, a := range f.Authenticators {
		if !short(a.Name) {
			return d.errorf(fmt.Sprintf("%s.authenticators[%d].name", at, i), "is not 1 to 256 characters")
		}
		u.Authenticators = append(u.Authenticators, Authenticator(a))
	}
	u.Phone, u.DefaultMethod = f.Phone, f.DefaultMethod
	if f.Risk != "none" {
		u.Risk = f.Risk
	}
	if f.DefaultMethod != "" && !slices.Contains(u.factors(f.TOTPSecret), f.DefaultMethod) {
		return d.errorf(at+".default_method", "is not a second factor that the user has: use one of PhoneAppNotification, PhoneAppOTP, OneWaySMS, TwoWayVoiceMobile, and give the user what it needs")
	}
	return nil
}

func (u User) factors(totp string) []string {
	var out []string
	if len(u.Authenticators) > 0 {
		out = append(out, methods.IDPush)
	}
	if totp != "" {
		out = append(out, methods.IDCode)
	}
	if u.Phone != "" {
		out = append(out, methods.IDSMS, methods.IDVoice)
	}
	return out
}

// TOTPProblem is what is wrong with the secret of one-time codes; empty when
// nothing is, or there is no secret.
func TOTPProblem(s string) string {
	_, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s)
	if s != "" && (err != nil || len(s) < 16 || len(s) > 128) {
		return "is not base32 of 16 to 128 letters A-Z and digits 2-7, without padding"
	}
	return ""
}

// PhoneProblem is what is wrong with the number of a telephone; empty when nothing
// is, or there is no number.
func PhoneProblem(s string) string {
	if s == "" {
		return ""
	}
	digits := 0
	for i, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '+' && i == 0, c == ' ' && i > 1 && s[i-1] != ' ':
		default:
			return phoneForm
		}
	}
	if s[0] != '+' || len(s) < 2 || s[1] == '0' || s[1] == ' ' || s[len(s)-1] == ' ' || digits < 7 || digits > 15 {
		return phoneForm
	}
	return ""
}

// phoneForm: ITU-T E.164 allows 15 digits.
const phoneForm = "is not a number of the form +CC NUMBER, such as +49 1701234567, with 7 to 15 digits"

// RiskProblem is what is wrong with the risk of a user; empty when nothing is.
func RiskProblem(s string) string {
	if s != "" && !slices.Contains(Risks(), s) {
		return "is not none, low, medium or high"
	}
	return ""
}

// Risks are the levels of risk, the least first.
func Risks() []string { return []string{"none", "low", "medium", "high"} }
