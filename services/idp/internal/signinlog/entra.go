package signinlog

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// SignIn is an event in the shape of the public service's sign-in log (resource type
// signIn of Microsoft Graph, with the members of its beta version that detection
// rules read).
type SignIn struct {
	ID                  string    `json:"id"`
	Created             time.Time `json:"createdDateTime"`
	UserPrincipalName   string    `json:"userPrincipalName"`
	AppID               string    `json:"appId"`
	AppDisplayName      string    `json:"appDisplayName"`
	IPAddress           string    `json:"ipAddress"`
	ClientAppUsed       string    `json:"clientAppUsed"`
	UserAgent           string    `json:"userAgent"`
	CorrelationID       string    `json:"correlationId"`
	AccessStatus        string    `json:"conditionalAccessStatus"`
	IsInteractive       bool      `json:"isInteractive"`
	SignInEventTypes    []string  `json:"signInEventTypes"`
	Protocol            string    `json:"authenticationProtocol"`
	IncomingTokenType   string    `json:"incomingTokenType"`
	TransferMethod      string    `json:"originalTransferMethod"`
	ResourceDisplayName string    `json:"resourceDisplayName"`
	ResourceID          string    `json:"resourceId"`
	HomeTenantID        string    `json:"homeTenantId"`
	ResourceTenantID    string    `json:"resourceTenantId"`
	TokenIssuerType     string    `json:"tokenIssuerType"`
	Risk                string    `json:"riskLevelDuringSignIn"`
	Requirement         string    `json:"authenticationRequirement"`
	UniqueTokenID       string    `json:"uniqueTokenIdentifier"`
	SessionID           string    `json:"sessionId"`
	Status              Status    `json:"status"`
	Device              Client    `json:"deviceDetail"`
	Steps               []Step    `json:"authenticationDetails"`
	Policies            []Policy  `json:"appliedConditionalAccessPolicies"`
}

// Status is how it ended; the code is 0 on success.
type Status struct {
	ErrorCode         int    `json:"errorCode"`
	FailureReason     string `json:"failureReason"`
	AdditionalDetails string `json:"additionalDetails"`
}

// Client is the device and the browser in front of the user. What no device object
// says comes from the user agent, which nobody can prove.
type Client struct {
	DeviceID        string `json:"deviceId"`
	DisplayName     string `json:"displayName"`
	OperatingSystem string `json:"operatingSystem"`
	Browser         string `json:"browser"`
	IsCompliant     bool   `json:"isCompliant"`
	IsManaged       bool   `json:"isManaged"`
	TrustType       string `json:"trustType"`
}

// Step is a method that was used.
type Step struct {
	At        time.Time `json:"authenticationStepDateTime"`
	Method    string    `json:"authenticationMethod"`
	Succeeded bool      `json:"succeeded"`
	Result    string    `json:"authenticationStepResultDetail"`
}

// Policy is a policy with its result.
type Policy struct {
	ID              string   `json:"id"`
	DisplayName     string   `json:"displayName"`
	GrantControls   []string `json:"enforcedGrantControls"`
	SessionControls []string `json:"enforcedSessionControls"`
	Result          string   `json:"result"`
	NotSatisfied    string   `json:"conditionsNotSatisfied"`
}

// Entra is the event in that shape.
func (e Event) Entra() SignIn {
	out := SignIn{
		ID: e.ID, Created: e.Time.UTC(), UserPrincipalName: string(e.User), AppID: string(e.Client), AppDisplayName: e.Application,
		IPAddress: e.IPAddress, ClientAppUsed: clientApp(e.ClientApp), UserAgent: e.UserAgent, CorrelationID: e.Correlation, AccessStatus: e.AccessStatus(),
		IsInteractive: e.Interactive, SignInEventTypes: []string{"nonInteractiveUser"}, Protocol: cmp.Or(e.Protocol, "none"),
		IncomingTokenType: cmp.Or(string(e.Incoming), string(NoToken)), TransferMethod: cmp.Or(e.Transfer, "none"),
		ResourceDisplayName: e.Resource, ResourceID: e.ResourceID, HomeTenantID: string(e.Tenant), ResourceTenantID: string(e.Tenant),
		TokenIssuerType: "AzureAD", Risk: cmp.Or(e.Risk, "none"), Requirement: "singleFactorAuthentication", UniqueTokenID: e.TokenID, SessionID: e.Session,
		Status: Status{ErrorCode: int(e.Code), FailureReason: e.Reason}, Device: clientOf(e.UserAgent, e.Device, e.DeviceDetail),
		Steps: []Step{}, Policies: []Policy{},
	}
	if e.Interactive {
		out.SignInEventTypes = []string{"interactiveUser"}
	}
	if e.MultiFactor {
		out.Requirement = "multiFactorAuthentication"
	}
	if e.Outcome == Success {
		out.Status = Status{AdditionalDetails: e.Reason}
	}
	for _, m := range e.Methods {
		out.Steps = append(out.Steps, Step{At: m.At.UTC(), Method: m.Name, Succeeded: true})
	}
	for _, p := range e.Policies {
		out.Policies = append(out.Policies, Policy{
			ID: p.ID, DisplayName: p.Name, GrantControls: notNil(p.GrantControls), SessionControls: notNil(p.SessionControls), Result: p.Result, NotSatisfied: p.Because,
		})
	}
	return out
}

// EntraJSON is Entra as text.
func (e Event) EntraJSON() string {
	b, err := json.Marshal(e.Entra())
	if err != nil {
		return "" // text, numbers and times: cannot fail
	}
	return string(b)
}

func notNil(list []string) []string { return append([]string{}, list...) }

func clientApp(kind string) string {
	switch kind {
	case "browser":
		return "Browser"
	case "native":
		return "Mobile Apps and Desktop clients"
	}
	return ""
}

// trust is a kind of trust in the words of the log.
func trust(t string) string {
	switch {
	case strings.EqualFold(t, "AzureAd"):
		return "Azure AD joined"
	case strings.EqualFold(t, "ServerAd"):
		return "Hybrid Azure AD joined"
	case strings.EqualFold(t, "Workplace"):
		return "Azure AD registered"
	}
	return ""
}

func clientOf(agent string, id ids.DeviceID, d *Device) Client {
	c := Client{OperatingSystem: systemOf(agent), Browser: browserOf(agent)}
	if d == nil {
		return c
	}
	c.DeviceID, c.DisplayName, c.IsCompliant, c.IsManaged, c.TrustType = string(id), d.Name, d.Compliant, d.Managed, trust(d.Trust)
	c.OperatingSystem = strings.TrimSpace(d.System + " " + d.Version)
	return c
}

func systemOf(agent string) string {
	for _, row := range [][2]string{
		{"Android", "Android"}, {"iPhone", "Ios"}, {"iPad", "Ios"}, {"Windows", "Windows"}, {"Mac OS X", "MacOs"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, row[0]) {
			return row[1]
		}
	}
	return ""
}

// browserOf is the browser that an agent says it is, with its version. The order
// matters: Edge says that it is Chrome, and Chrome that it is Safari.
func browserOf(agent string) string {
	for _, row := range [][2]string{{"Edg/", "Edge"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Version/", "Safari"}} {
		if _, rest, found := strings.Cut(agent, row[0]); found {
			version, _, _ := strings.Cut(rest, " ")
			return strings.TrimSpace(row[1] + " " + version)
		}
	}
	return ""
}
