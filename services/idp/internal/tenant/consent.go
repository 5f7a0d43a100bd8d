package tenant

// Consent says who has to allow an application what it asks for.
type Consent string

// The rules. The empty rule is ConsentNone.
const (
	// ConsentNone is an application that the organisation trusts as it is, as the
	// built-in ones are.
	ConsentNone Consent = "none"
	// ConsentRequired wants every user asked, or an administrator for all of them.
	ConsentRequired Consent = "required"
	// ConsentAdministrator wants an administrator asked, for all users.
	ConsentAdministrator Consent = "administrator"
)

// Asks says whether anybody has to consent.
func (c Consent) Asks() bool { return c != "" && c != ConsentNone }

func (c Consent) known() bool {
	switch c {
	case "", ConsentNone, ConsentRequired, ConsentAdministrator:
		return true
	default:
		return false
	}
}
