package whatif

import "fmt"

// DeviceState is what the computer in front of the user is to the tenant.
type DeviceState string

// The states.
const (
	// NoDevice is a computer that the tenant does not know.
	NoDevice DeviceState = "none"
	// Registered is somebody's own computer with a work account in its settings.
	Registered DeviceState = "registered"
	// Joined is joined to the tenant and not compliant.
	Joined DeviceState = "joined"
	// JoinedCompliant is joined and compliant.
	JoinedCompliant DeviceState = "joined-compliant"
	// Hybrid is a computer of an on-premises domain that is joined as well.
	Hybrid DeviceState = "hybrid"
	// HybridCompliant is that and compliant.
	HybridCompliant DeviceState = "hybrid-compliant"
	// Disabled was joined, was used, and has been disabled since.
	Disabled DeviceState = "disabled"
)

// DeviceStates lists them.
func DeviceStates() []DeviceState {
	return []DeviceState{NoDevice, Registered, Joined, JoinedCompliant, Hybrid, HybridCompliant, Disabled}
}

// joined says whether people sign in to the device with an account of the tenant.
func (d DeviceState) joined() bool { return d != NoDevice && d != Registered }

// Credential is what the user signs in with: to the desktop of a joined device, else
// to the first page that asks.
type Credential string

// The credentials.
const (
	Password    Credential = "password"
	Hello       Credential = "hello"
	FIDO2       Credential = "fido2"
	PhoneSignIn Credential = "phone"
	AccessPass  Credential = "tap"
	Certificate Credential = "certificate"
	SmartCard   Credential = "smartcard"
)

// Credentials lists them.
func Credentials() []Credential {
	return []Credential{Password, Hello, FIDO2, PhoneSignIn, AccessPass, Certificate, SmartCard}
}

// Mode is how the user gets to the application.
type Mode string

// The modes.
const (
	// Native is an app that asks the token broker.
	Native Mode = "native"
	// Browser is a browser that brings the PRT.
	Browser Mode = "browser"
	// Private is a private window: no PRT, no cookie.
	Private Mode = "private"
)

// Modes lists them.
func Modes() []Mode { return []Mode{Native, Browser, Private} }

// App is a client that asks for a resource.
type App struct {
	// Client is the id of the application; ClientName is for people.
	Client, ClientName string
	// Redirect is a redirect address of the client.
	Redirect string
	// Resource is what the token is for; ResourceName is for people.
	Resource, ResourceName string
	// Native says that it is an app on the device, else it is in a browser.
	Native bool
}

// Cell is one point of the lattice.
type Cell struct {
	User       string      `json:"user"`
	Device     DeviceState `json:"device"`
	Credential Credential  `json:"credential"`
	Mode       Mode        `json:"mode"`
	Client     string      `json:"client"`
	Resource   string      `json:"resource"`
	Platform   string      `json:"platform"`
	From       string      `json:"from"`

	app App
}

// App is the application of the cell, with the names that people know.
func (c Cell) App() App { return c.app }

// Key names the cell within a lattice.
func (c Cell) Key() string {
	return fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%s", c.User, c.Device, c.Credential, c.Mode, c.Client, c.Resource, c.Platform, c.From)
}

// Result is how a cell ended.
type Result string

// The results.
const (
	// Silent: the user got in and was asked for nothing.
	Silent Result = "silent"
	// Asked: the user got in after proving more.
	Asked Result = "asked"
	// Refused: the user did not get in.
	Refused Result = "refused"
)

// Desktop is what became of the sign-in to the device.
type Desktop string

// What a desktop can be.
const (
	// Open: the credential opened it.
	Open Desktop = "open"
	// Shut: it did not.
	Shut Desktop = "refused"
	// Own: the user is there with an account that is not of the tenant.
	Own Desktop = "own account"
)

// Applied is a policy with its result for the cell, as the sign-in log has it.
type Applied struct {
	Name   string `json:"name"`
	Result string `json:"result"`
}

// Outcome is what became of a cell.
type Outcome struct {
	Result Result `json:"result"`
	// Asked is what the person was asked for, in order, in the words of an
	// authentication strength.
	Asked []string `json:"asked"`
	// Desktop is what became of the sign-in to the device.
	Desktop Desktop `json:"desktop"`
	// Code is the AADSTS number of a refusal, or 0, and Reason says why.
	Code   int    `json:"code"`
	Reason string `json:"reason"`
	// Guidance is what the page told the user to do instead.
	Guidance string `json:"guidance"`
	// RefusedBy are the policies whose demands were not met when it ended.
	RefusedBy []string `json:"refused_by"`
	// Policies are all of them with their results.
	Policies []Applied `json:"policies"`
}

// Ran is a cell with its outcome.
type Ran struct {
	Cell
	Outcome Outcome `json:"outcome"`
	// Asked is the identity provider's answer to the same question without a sign-in.
	Answer *Answer `json:"answer,omitempty"`
}

// Answer is what the what-if query of the identity provider says of a cell.
type Answer struct {
	Code int `json:"code"`
	// Agrees is false when it is not what the executed cell met.
	Agrees bool `json:"agrees"`
	// Differs says in what, or is empty.
	Differs string `json:"differs,omitempty"`
}
