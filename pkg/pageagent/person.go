package pageagent

import (
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// The names in the ledger: methods in the words of the public service's
// authentication strengths, and the questions that are not about a method.
const (
	Password     = "password"
	SoftwareOATH = "softwareOath"
	SMS          = "sms"
	Voice        = "voice"
	// Push is the authenticator's approval after a first factor, PhoneSignIn without.
	Push        = "microsoftAuthenticatorPush"
	PhoneSignIn = "deviceBasedPush"
	FIDO2       = "fido2"
	AccessPass  = "temporaryAccessPass"
	Certificate = "x509Certificate"
	Federated   = "federatedPassword"

	NewPassword   = "newPassword"
	Consent       = "consent"
	ConfirmDevice = "confirmDevice"
	UserCode      = "userCode"
)

// Person is who sits before the pages: what they know and have, and what they like.
type Person struct {
	// Name is the user principal name.
	Name string
	// Password, and the one to choose when a page demands another.
	Password, NewPassword secret.Text
	// Prefer are the methods the person takes, the preferred first, by their names in
	// the ledger; what a page does not offer is passed over. Empty takes a password
	// first, and then whatever the page offers and the person has.
	Prefer []string
	// TOTP is the secret of one-time codes in base32 (RFC 6238, SHA-1, 30 seconds, six
	// digits), as in the person's authenticator.
	TOTP secret.Text
	// Code gets a code that the person has to look up: SMS or SoftwareOATH. TOTP goes
	// before it.
	Code func(ctx context.Context, method string) (secret.Text, error)
	// Approve answers on the person's telephone. An error is a person who does not.
	Approve func(ctx context.Context, c Challenge) error
	// AccessPass is a Temporary Access Pass.
	AccessPass secret.Text
	// Passkey answers a WebAuthn challenge.
	Passkey Signer
	// Certificate is true when the HTTP client has a client certificate to show.
	Certificate bool
	// Stay says yes to "stay signed in?".
	Stay bool
	// Consents accepts what an application wants to be allowed.
	Consents bool
	// ConfirmsDevice signs another device in by its code: say so only for a person who
	// has begun that.
	ConfirmsDevice bool
	// UserCode is the code of that device.
	UserCode string
}

// Challenge is a question on the person's telephone.
type Challenge struct {
	// Method is Push, PhoneSignIn or Voice.
	Method string
	// ID names the question; empty when the page does not tell.
	ID string
	// Number is shown on the page for comparing, 10 to 99; 0 when there is none.
	Number int
}

// Signer is an authenticator of WebAuthn. Options are the JSON of
// PublicKeyCredentialRequestOptions; the answer is that of PublicKeyCredential's
// toJSON (WebAuthn Level 3, sections 5.1.9 and 5.1.8).
type Signer interface {
	Get(origin string, options []byte) ([]byte, error)
}

// has says whether the person could answer a method.
func (p *Person) has(method string) bool {
	switch method {
	case Password, Federated:
		return !p.Password.Empty()
	case SoftwareOATH:
		return !p.TOTP.Empty() || p.Code != nil
	case SMS:
		return p.Code != nil
	case Push, PhoneSignIn, Voice:
		return p.Approve != nil
	case FIDO2:
		return p.Passkey != nil
	case AccessPass:
		return !p.AccessPass.Empty()
	case Certificate:
		return p.Certificate
	default:
		return false
	}
}

// choose finds the method that the person takes of those on offer; false when it is
// none of them.
func (p *Person) choose(offered []string) (string, bool) {
	likes := p.Prefer
	if len(likes) == 0 {
		likes = append([]string{Password}, offered...)
	}
	for _, m := range likes {
		if slices.Contains(offered, m) && p.has(m) {
			return m, true
		}
	}
	return "", false
}

// methodOf is the name in the ledger of a second factor that a page offers by the id
// that clients know.
func methodOf(id string) string {
	return map[string]string{
		"PhoneAppOTP": SoftwareOATH, "PhoneAppNotification": Push, "CompanionAppsNotification": PhoneSignIn, "OneWaySMS": SMS,
		"ConsolidatedTelephony": SMS, "TwoWayVoiceMobile": Voice, "TwoWayVoiceAlternateMobile": Voice, "TwoWayVoiceOffice": Voice,
		"FidoKey": FIDO2, "AccessPass": AccessPass, "CertificateKey": Certificate,
	}[id]
}
