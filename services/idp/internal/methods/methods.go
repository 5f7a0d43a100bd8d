// Package methods is the table of ways to prove who one is: which factor each of
// them is, what tokens say of it, and what combinations an authentication strength
// allows.
//
// What lives here: names, facts about them, and what follows from a list of methods
// that were used. What never may: a user's own methods, a secret, a check of a
// proof. The rooms that check proofs say which method it was; policy, pages and
// tokens ask what that amounts to.
package methods

import (
	"slices"
	"time"
)

// Method is a way to prove who one is, in the words of the public service's
// authentication strengths (authenticationMethodModes).
type Method string

// The methods.
const (
	Password          Method = "password"
	WindowsHello      Method = "windowsHelloForBusiness"
	FIDO2             Method = "fido2"
	CertificateMulti  Method = "x509CertificateMultiFactor"
	CertificateSingle Method = "x509CertificateSingleFactor"
	// PhoneSignIn is the authenticator without a password before it.
	PhoneSignIn Method = "deviceBasedPush"
	// Push is the authenticator's approval of a sign-in that began otherwise.
	Push            Method = "microsoftAuthenticatorPush"
	SoftwareOATH    Method = "softwareOath"
	HardwareOATH    Method = "hardwareOath"
	SMS             Method = "sms"
	Voice           Method = "voice"
	AccessPassOnce  Method = "temporaryAccessPassOneTime"
	AccessPassMany  Method = "temporaryAccessPassMultiUse"
	FederatedSingle Method = "federatedSingleFactor"
	FederatedMulti  Method = "federatedMultiFactor"
)

// Kind is what a method is worth.
type Kind int

// The kinds.
const (
	// First is one factor, good to begin a sign-in with.
	First Kind = iota + 1
	// Possession is something the user has: a second factor after a first one.
	Possession
	// Multi is two factors at once.
	Multi
)

// Fact is a row of the table.
type Fact struct {
	Method Method
	Kind   Kind
	// AMR are the values of the claim amr for it (RFC 8176, and the public service's
	// own), without mfa and ngcmfa, which follow from the whole.
	AMR []string
	// Display is what people call it.
	Display string
}

// Table lists every method. It is made anew for each caller.
func Table() []Fact {
	all := []Method{
		Password, WindowsHello, FIDO2, CertificateMulti, CertificateSingle, PhoneSignIn, Push,
		SoftwareOATH, HardwareOATH, SMS, Voice, AccessPassOnce, AccessPassMany, FederatedSingle, FederatedMulti,
	}
	out := make([]Fact, 0, len(all))
	for _, m := range all {
		f, _ := Of(m)
		out = append(out, f)
	}
	return out
}

// Of finds the row of a method; false when there is none of that name. It makes that
// row alone: tokens are judged by it.
func Of(m Method) (Fact, bool) {
	switch m {
	case Password:
		return Fact{m, First, []string{"pwd"}, "Password"}, true
	case WindowsHello:
		return Fact{m, Multi, []string{"rsa"}, "Windows Hello for Business"}, true
	case FIDO2:
		return Fact{m, Multi, []string{"fido"}, "Passkey (FIDO2)"}, true
	case CertificateMulti:
		return Fact{m, Multi, []string{"x509", "rsa"}, "Certificate (multifactor)"}, true
	case CertificateSingle:
		return Fact{m, First, []string{"x509"}, "Certificate (single-factor)"}, true
	case PhoneSignIn:
		return Fact{m, Multi, []string{"rsa"}, "Authenticator (phone sign-in)"}, true
	case Push:
		return Fact{m, Possession, nil, "Authenticator (push notification)"}, true
	case SoftwareOATH:
		return Fact{m, Possession, []string{"otp"}, "Software OATH token"}, true
	case HardwareOATH:
		return Fact{m, Possession, []string{"otp"}, "Hardware OATH token"}, true
	case SMS:
		return Fact{m, Possession, []string{"sms"}, "Text message"}, true
	case Voice:
		return Fact{m, Possession, []string{"tel"}, "Voice call"}, true
	case AccessPassOnce:
		return Fact{m, Multi, []string{"tap"}, "Temporary Access Pass (one-time use)"}, true
	case AccessPassMany:
		return Fact{m, Multi, []string{"tap"}, "Temporary Access Pass (multiuse)"}, true
	case FederatedSingle:
		return Fact{m, First, []string{"fed"}, "Federated single-factor"}, true
	case FederatedMulti:
		return Fact{m, Multi, []string{"fed"}, "Federated multifactor"}, true
	default:
		return Fact{}, false
	}
}

// Used is a method that was used, and when. A sign-in keeps a list of them, in
// order; it only ever grows by a proof.
type Used struct {
	Method Method `json:"m"`
	// At is in seconds since 1970.
	At int64 `json:"t"`
}

// Add adds a proof. A method that was used before counts from now.
func Add(list []Used, m Method, at time.Time) []Used {
	out := slices.DeleteFunc(slices.Clone(list), func(u Used) bool { return u.Method == m })
	return append(out, Used{Method: m, At: at.Unix()})
}

// Names are the methods of a list.
func Names(list []Used) []Method {
	out := make([]Method, 0, len(list))
	for _, u := range list {
		out = append(out, u.Method)
	}
	return out
}

// MultiFactor says whether the methods together are more than one factor.
func MultiFactor(list []Method) bool {
	var first, possession bool
	for _, m := range list {
		f, _ := Of(m)
		switch f.Kind {
		case Multi:
			return true
		case First:
			first = true
		case Possession:
			possession = true
		}
	}
	return first && possession
}

// FactorTime is when the newest proof was given that made a list more than one
// factor; zero when it is none. What came by a first factor alone does not renew it.
func FactorTime(list []Used) time.Time {
	if !MultiFactor(Names(list)) {
		return time.Time{}
	}
	var at int64
	for _, u := range list {
		if f, _ := Of(u.Method); f.Kind != First {
			at = max(at, u.At)
		}
	}
	return time.Unix(at, 0)
}

// AMR is the claim amr of the methods, with mfa when they are more than one factor.
// The claim ngcmfa is not among them: it says how fresh a factor is, not which.
func AMR(list []Method) []string {
	var out []string
	add := func(values ...string) {
		for _, v := range values {
			if !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	for _, m := range list {
		f, _ := Of(m)
		add(f.AMR...)
	}
	if MultiFactor(list) {
		add("mfa")
	}
	return out
}
