package pages

import (
	"html/template"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// View is what a page shows. Addresses come in it, because only the front knows
// under which name it was asked.
type View struct {
	// Name of the page, pgid, such as ConvergedSignIn.
	Name string
	// Stage is what of the page is shown: of the sign-in page name, password,
	// accesspass, passkey, ask, phone or certificate; of the second factor choose,
	// code, wait, accesspass, passkey or certificate; of the security information
	// list, add or one of the kinds.
	Stage string
	// Page as the sign-in wants it shown.
	Page *idpv1.SignInPage
	// Locales and Accept are the languages that the application and the browser ask
	// for.
	Locales, Accept string
	// Config is the JSON of $Config, without < > and &; empty is a page without.
	Config []byte
	// Form is the state that every form carries.
	Form Form
	// Addresses of forms and scripts.
	Addresses
	// Problem is what went wrong, or nil.
	Problem *Problem
	// Wait is the challenge under way.
	Wait Wait
	// Options is the JSON of WebAuthn for the passkey stages.
	Options string
	// Ways are the other ways to sign in.
	Ways []Way
	// Answer is what a form_post page posts.
	Answer Answer
	// Facts stand on the page of an error.
	Facts Facts
	// Notice is the key of something to know first, or empty.
	Notice string
	// Message is the key of the text on a page that only says something.
	Message string
	// Info is the security information of a person.
	Info *Info
}

// Form is the state that every form carries.
type Form struct{ FlowToken, Canary, SessionID string }

// Addresses of forms and scripts.
type Addresses struct {
	// Post takes the form of the page, Prove a proof that is typed or made on it.
	Post, Prove string
	// BeginAuth, EndAuth and ProcessAuth are those of the second factor.
	BeginAuth, EndAuth, ProcessAuth string
	// CertAuth asks for a certificate.
	CertAuth string
	// PasskeyBegin and SessionState are asked by scripts.
	PasskeyBegin, SessionState string
	// Skip puts a registration off.
	Skip string
	// SecurityInfo is where people find their own methods.
	SecurityInfo string
	// ErrorURL explains the error.
	ErrorURL string
}

// Problem is what went wrong: the number of an AADSTS code, its name on the wire,
// and what the service says of it in English.
type Problem struct {
	Number     int32
	Code, Text string
}

// Wait is a challenge that was begun.
type Wait struct {
	MethodID, SessionID string
	// Entropy is the number to compare, or 0.
	Entropy int32
	// Poll counts the questions, Polls bounds them, Every is the time between them in
	// milliseconds.
	Poll, Polls, Every int
	// Again says that the person pressed the button before the telephone was answered.
	Again bool
}

// Way is a way to sign in, by the value of its button: password, passkey, phone,
// accesspass, certificate or federation.
type Way struct{ Value string }

// Key of its name.
func (w Way) Key() string { return "way." + w.Value }

// ID of its button.
func (w Way) ID() string {
	if w.Value == "passkey" {
		return "idPasskey"
	}
	return "idWay_" + w.Value
}

// Icon of its button.
func (w Way) Icon() string {
	switch w.Value {
	case "passkey", "phone":
		return w.Value
	case "accesspass":
		return "ticket"
	case "certificate":
		return "card"
	default:
		return "key"
	}
}

// Answer is what a form_post page posts. Who makes one has checked where it leads.
type Answer struct {
	To    template.URL
	Pairs []Pair
}

// Pair is one field of an answer.
type Pair struct{ Name, Value string }

// Facts stand on the page of an error, for whoever looks into it.
type Facts struct{ CorrelationID, TraceID, Time, Exception string }
