package methods

import "slices"

// Combination is methods that are enough together. One of Multi stands alone; a
// first factor stands with something the user has.
type Combination []Method

// Strength is an authentication strength: the combinations that satisfy it.
type Strength struct {
	Name string
	// BuiltIn ones cannot be changed.
	BuiltIn      bool
	Combinations []Combination
}

// The names of the built-in strengths.
const (
	StrengthMFA               = "Multifactor authentication"
	StrengthPasswordless      = "Passwordless MFA"
	StrengthPhishingResistant = "Phishing-resistant MFA"
)

// BuiltIn are the three strengths that every tenant has, in the order in which each
// allows less than the one before.
func BuiltIn() []Strength {
	resistant := []Combination{{WindowsHello}, {FIDO2}, {CertificateMulti}}
	passwordless := append(slices.Clone(resistant), Combination{PhoneSignIn})
	mfa := append(slices.Clone(passwordless), Combination{AccessPassOnce}, Combination{AccessPassMany}, Combination{FederatedMulti})
	for _, first := range []Method{Password, FederatedSingle} {
		for _, has := range []Method{Push, SoftwareOATH, HardwareOATH, SMS, Voice} {
			mfa = append(mfa, Combination{first, has})
		}
	}
	return []Strength{
		{StrengthMFA, true, mfa}, {StrengthPasswordless, true, passwordless}, {StrengthPhishingResistant, true, resistant},
	}
}

// Satisfied says whether methods that were used are one of the combinations, and
// perhaps more.
func (s Strength) Satisfied(used []Method) bool {
	return slices.ContainsFunc(s.Combinations, func(c Combination) bool {
		return !slices.ContainsFunc(c, func(m Method) bool { return !slices.Contains(used, m) })
	})
}

// Missing are the methods each of which alone would satisfy the strength beside those
// that were used, in the order of the combinations. Windows Hello is never among
// them: a page cannot ask for it in the middle of a sign-in (source document s1).
func (s Strength) Missing(used []Method) []Method {
	var out []Method
	for _, c := range s.Combinations {
		left := slices.DeleteFunc(slices.Clone(c), func(m Method) bool { return slices.Contains(used, m) })
		if len(left) == 1 && left[0] != WindowsHello && !slices.Contains(out, left[0]) {
			out = append(out, left[0])
		}
	}
	return out
}
