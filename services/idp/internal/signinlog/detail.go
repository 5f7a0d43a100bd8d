package signinlog

import (
	"time"
)

// Detail is what the public service's sign-in log has beside the outcome. It is
// filled as far as the request got.
type Detail struct {
	// ID names the event, a GUID.
	ID string
	// Application and Resource by name, ResourceID by its application id; Resource is
	// empty when none was asked for.
	Application, Resource, ResourceID string
	// ClientApp is browser or native.
	ClientApp string
	// IPAddress and UserAgent of the request, as its edge saw them.
	IPAddress, UserAgent string
	// Incoming is what proved the user.
	Incoming Incoming
	// Protocol is DeviceCodeProtocol or PasswordProtocol, or empty for the usual ones.
	Protocol string
	// Transfer is DeviceCodeTransfer for everything that descends from a device code,
	// or empty.
	Transfer string
	// TokenID is the claim uti of the access token that was issued, or empty.
	TokenID string
	// Methods that were used, in order, with their times.
	Methods []Method
	// Policies with their results, every one of the tenant; nil when they were not
	// asked, as for a PRT.
	Policies []Applied
	// Decision is what the policies in force said together; empty when they were not asked.
	Decision Decision
	// MultiFactor says that a second factor was demanded or shown.
	MultiFactor bool
	// Interactive is true when somebody sat at a page.
	Interactive bool
	// Risk that the policies saw.
	Risk string
	// Session names the sign-in that all of it descends from.
	Session string
	// DeviceDetail is about the device that authenticated, nil without one.
	DeviceDetail *Device
}

// The public service's words for the protocol of a sign-in (authenticationProtocol)
// and for how it came to the client (originalTransferMethod).
const (
	DeviceCodeProtocol = "deviceCode"
	PasswordProtocol   = "ropc"
	DeviceCodeTransfer = "deviceCodeFlow"
)

// Incoming is the kind of artefact that proved the user (incomingTokenType).
type Incoming string

// The kinds.
const (
	NoToken             Incoming = "none"
	PrimaryRefreshToken Incoming = "primaryRefreshToken"
	ARefreshToken       Incoming = "refreshToken"
	SAML11              Incoming = "saml11"
)

// Decision is what conditional access came to.
type Decision string

// The decisions. Interact is a refusal that its user can repair at a page.
const (
	Grant    Decision = "grant"
	Block    Decision = "block"
	Interact Decision = "interaction"
)

// Method is a method that was used, as an authentication strength names it.
type Method struct {
	Name string
	At   time.Time
}

// Device is what the directory says of a device.
type Device struct {
	Name, System, Version, Trust string
	Compliant, Managed           bool
}

// Applied is a policy with its result, in the words of the public service.
type Applied struct {
	ID, Name, Result string
	// Because names the condition that did not hold.
	Because string
	// Code is what the policy alone would have answered, 0 for nothing.
	Code            int
	GrantControls   []string
	SessionControls []string
}

// AccessStatus is conditionalAccessStatus: success, failure, or notApplied when no
// policy in force is about the sign-in.
func (d Detail) AccessStatus() string {
	status := "notApplied"
	for _, p := range d.Policies {
		switch p.Result {
		case "failure":
			return "failure"
		case "success":
			status = "success"
		}
	}
	return status
}
