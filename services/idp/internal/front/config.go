package front

import (
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// The addresses of the interactive pages.
const (
	loginPath          = "/common/login"
	kmsiPath           = "/kmsi"
	resumePath         = "/common/resume"
	beginAuthPath      = "/common/SAS/BeginAuth"
	endAuthPath        = "/common/SAS/EndAuth"
	processAuthPath    = "/common/SAS/ProcessAuth"
	deviceAuthPath     = "/common/oauth2/deviceauth"
	confirmPath        = "/appverify"
	changePasswordPath = "/common/changepassword"
	ssprBeginPath      = "/common/asyncsspr/begin"
	ssprPollPath       = "/common/asyncsspr/poll"
	consentPath        = "/common/Consent/Set"
	fidoPath           = "/common/fido/get"
	passkeyBeginPath   = "/common/passkey/begin"
	sessionStatePath   = "/common/DeviceCodeStatus"
	certAuthPath       = "/common/certauth"
	securityInfoPath   = "/security-info"
	skipPath           = "/common/skipmfaregistration"
)

// The second factor is asked for this often, in this interval.
const (
	maxPolls     = 60
	pollInterval = 2000 // milliseconds

	// allowedIdentities says that accounts of organisations sign in here.
	allowedIdentities = 2
)

// pageConfig is $Config: what clients without a browser read off a page. An error
// code stands on it only when there is an error, because a client takes the
// number 0 for one too.
type pageConfig struct {
	PageID        string `json:"pgid"`
	SessionID     string `json:"sessionId"`
	CorrelationID string `json:"correlationId"`
	Canary        string `json:"canary"`
	APICanary     string `json:"apiCanary"`
	FlowToken     string `json:"sFT"`
	FlowTokenName string `json:"sFTName"`
	CanaryName    string `json:"sCanaryTokenName"`
	Ctx           string `json:"sCtx"`
	Username      string `json:"sPOST_Username"`

	PostURL           string `json:"urlPost"`
	CredentialTypeURL string `json:"urlGetCredentialType"`
	OneTimeCodeURL    string `json:"urlGetOneTimeCode"`
	BeginAuthURL      string `json:"urlBeginAuth,omitempty"`
	EndAuthURL        string `json:"urlEndAuth,omitempty"`
	ResumeURL         string `json:"urlResume"`
	SSPRBeginURL      string `json:"urlAsyncSsprBegin,omitempty"`
	SSPRPollURL       string `json:"urlAsyncSsprPoll,omitempty"`
	SessionStateURL   string `json:"urlSessionState"`
	FIDOLoginURL      string `json:"urlFidoLogin"`
	SkipURL           string `json:"urlSkipMfaRegistration,omitempty"`
	SkipDays          int32  `json:"iRemainingDaysToSkipMfaRegistration,omitempty"`

	FIDOChallenge     string   `json:"sFidoChallenge,omitempty"`
	FIDOAllowList     []string `json:"arrFidoAllowList,omitempty"`
	CrossDomainCanary string   `json:"sCrossDomainCanary,omitempty"`
	PasskeySupport    bool     `json:"fIsPasskeySupportEnabled"`
	AllowedIdentities int      `json:"iAllowedIdentities"`

	Proofs       []userProof `json:"arrUserProofs,omitempty"`
	MaxPolls     int         `json:"iMaxPollAttempts"`
	PollInterval int         `json:"iPollingInterval"`

	ErrorCode    string `json:"sErrorCode,omitempty"`
	ErrorNumber  int32  `json:"iErrorCode,omitempty"`
	ErrorText    string `json:"sErrTxt,omitempty"`
	MainMessage  string `json:"strMainMessage,omitempty"`
	MoreMessage  string `json:"strAdditionalMessage,omitempty"`
	ExceptionMsg string `json:"strServiceExceptionMessage,omitempty"`

	BrowserSSO *browserSSO   `json:"bsso,omitempty"`
	Server     serverDetails `json:"serverDetails"`
}

// userProof is a second factor to choose.
type userProof struct {
	MethodID  string `json:"authMethodId"`
	Data      string `json:"data"`
	Display   string `json:"display"`
	IsDefault bool   `json:"isDefault"`
}

// browserSSO is for a page that fetches a PRT cookie from the browser's extension.
type browserSSO struct {
	Nonce string `json:"nonce"`
}

type serverDetails struct {
	Slice     string `json:"slc"`
	RequestID string `json:"ri"`
	Time      string `json:"rt"`
}

// pageID is pgid of a kind of page.
func pageID(k idpv1.PageKind) string {
	switch k {
	case idpv1.PageKind_PAGE_KIND_SECOND_FACTOR:
		return "ConvergedTFA"
	case idpv1.PageKind_PAGE_KIND_STAY_SIGNED_IN:
		return "KmsiInterrupt"
	case idpv1.PageKind_PAGE_KIND_DEVICE_CODE:
		return "ConvergedRemoteConnect"
	case idpv1.PageKind_PAGE_KIND_DEVICE_DONE:
		return "ConvergedRemoteConnectDone"
	case idpv1.PageKind_PAGE_KIND_DEVICE_CONFIRM:
		return "CmsiInterrupt"
	case idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD:
		return "ConvergedChangePassword"
	case idpv1.PageKind_PAGE_KIND_REGISTER_METHOD:
		return "ConvergedProofUpRedirect"
	case idpv1.PageKind_PAGE_KIND_ERROR:
		return "ConvergedError"
	case idpv1.PageKind_PAGE_KIND_SIGNED_OUT:
		return "ConvergedSignOut"
	case idpv1.PageKind_PAGE_KIND_CONSENT:
		return "ConvergedConsent"
	default:
		return "ConvergedSignIn"
	}
}

// postPath is where the form of a kind of page goes.
func postPath(k idpv1.PageKind) string {
	switch k {
	case idpv1.PageKind_PAGE_KIND_SECOND_FACTOR, idpv1.PageKind_PAGE_KIND_REGISTER_METHOD:
		return processAuthPath
	case idpv1.PageKind_PAGE_KIND_STAY_SIGNED_IN:
		return kmsiPath
	case idpv1.PageKind_PAGE_KIND_DEVICE_CODE:
		return deviceAuthPath
	case idpv1.PageKind_PAGE_KIND_DEVICE_CONFIRM:
		return confirmPath
	case idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD:
		return changePasswordPath
	case idpv1.PageKind_PAGE_KIND_CONSENT:
		return consentPath
	default:
		return loginPath
	}
}

// config fills $Config. Addresses of the second factor are absolute, as clients
// want them there; the others may be relative.
func (x *exchange) config(p *idpv1.SignInPage) pageConfig {
	base := x.sibling(atLogin)
	session := p.GetSessionId()
	if session == "" {
		session = x.requestID
	}
	c := pageConfig{
		PageID: pageID(p.GetKind()), SessionID: session, CorrelationID: x.correlationID, Canary: p.GetCanary(), APICanary: p.GetCanary(),
		FlowToken: p.GetFlowToken(), Ctx: p.GetFlowToken(), FlowTokenName: "flowToken", CanaryName: "canary", Username: p.GetUserPrincipalName(),
		PostURL: x.here(postPath(p.GetKind())), CredentialTypeURL: base + "/common/GetCredentialType", OneTimeCodeURL: base + "/common/GetOneTimeCode",
		ResumeURL: base + resumePath, MaxPolls: maxPolls, PollInterval: pollInterval,
		SessionStateURL: base + sessionStatePath, FIDOLoginURL: base + fidoPath, PasskeySupport: true, AllowedIdentities: allowedIdentities,
		Server: serverDetails{Slice: "lockstep", RequestID: x.requestID, Time: x.now().Format("2006-01-02T15:04:05")},
	}
	switch p.GetKind() {
	case idpv1.PageKind_PAGE_KIND_SECOND_FACTOR:
		c.PostURL, c.BeginAuthURL, c.EndAuthURL = base+processAuthPath, base+beginAuthPath, base+endAuthPath
		for _, m := range p.GetMethods() {
			c.Proofs = append(c.Proofs, userProof{MethodID: m.GetMethodId(), Data: m.GetMethodId(), Display: m.GetDisplay(), IsDefault: m.GetIsDefault()})
		}
	case idpv1.PageKind_PAGE_KIND_CHANGE_PASSWORD:
		c.SSPRBeginURL, c.SSPRPollURL = ssprBeginPath, ssprPollPath
	case idpv1.PageKind_PAGE_KIND_REGISTER_METHOD:
		if p.GetRegisterLater() {
			c.SkipURL, c.SkipDays = base+skipPath, p.GetRegisterDaysLeft()
		}
	default:
	}
	if p.GetErrorCode() != 0 {
		x.configError(&c, p)
	}
	if p.GetSsoNonce() != "" {
		c.BrowserSSO = &browserSSO{Nonce: p.GetSsoNonce()}
	}
	return c
}
