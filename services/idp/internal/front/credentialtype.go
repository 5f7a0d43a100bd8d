package front

import (
	"cmp"
	"net/http"
	"strings"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// What GetCredentialType says in numbers.
const (
	userExists, userUnknown        = 0, 1
	preferPassword, preferPhone    = 1, 2
	preferElsewhere, preferPasskey = 4, 7
	preferAccessPass, preferCert   = 13, 15
	domainUnknown, domainManaged   = 1, 3
	domainFederated                = 4

	// channelAuthenticator is the phone sign-in among the channels of one-time codes.
	channelAuthenticator = "Authenticator"
	oneTimeCodeFailed    = "6000"
)

type credentialType struct {
	Username       string      `json:"Username"`
	Display        string      `json:"Display"`
	IfExistsResult int         `json:"IfExistsResult"`
	IsUnmanaged    bool        `json:"IsUnmanaged"`
	ThrottleStatus int         `json:"ThrottleStatus"`
	Credentials    credentials `json:"Credentials"`
	EstsProperties struct {
		Branding   []string `json:"UserTenantBranding"`
		DomainType int      `json:"DomainType"`
	} `json:"EstsProperties"`
	FlowToken          string `json:"FlowToken"`
	IsSignupDisallowed bool   `json:"IsSignupDisallowed"`
	APICanary          string `json:"apiCanary"`
}

type credentials struct {
	PrefCredential  int              `json:"PrefCredential"`
	HasPassword     bool             `json:"HasPassword"`
	RemoteNGCParams *remoteNGCParams `json:"RemoteNgcParams"`
	FIDOParams      *fidoParams      `json:"FidoParams"`
	SASParams       *string          `json:"SasParams"`
	CertAuthParams  *certAuthParams  `json:"CertAuthParams"`
	FederationURL   string           `json:"FederationRedirectUrl,omitempty"`
	HasAccessPass   bool             `json:"HasAccessPass,omitempty"`
	HasFIDO         bool             `json:"HasFido,omitempty"`
	HasRemoteNGC    bool             `json:"HasRemoteNGC,omitempty"`
	HasCertAuth     bool             `json:"HasCertAuth,omitempty"`
}

// remoteNGCParams are a phone sign-in that was begun; before that they are empty.
type remoteNGCParams struct {
	SessionID   string `json:"SessionIdentifier"`
	Entropy     int32  `json:"Entropy"`
	DefaultType int    `json:"DefaultType"`
}

// fidoParams say which passkeys may be used. The list is empty here: it would tell
// who asks for a name which keys its user has.
type fidoParams struct {
	AllowList   []string `json:"AllowList"`
	CrossDevice bool     `json:"HasCrossDeviceCapablePasskey"`
}

type certAuthParams struct {
	URL string `json:"CertAuthUrl"`
}

// credentialType says how a user may sign in. ThrottleStatus is always 0: any
// other value makes a client give up before it has sent a password.
func (x *exchange) credentialType() error {
	var q struct {
		Username   string `json:"username"`
		FlowToken  string `json:"flowToken"`
		Passkeys   bool   `json:"isFidoSupported"`
		Phones     bool   `json:"isRemoteNGCSupported"`
		AccessPass bool   `json:"isAccessPassSupported"`
	}
	if err := x.object(&q); err != nil {
		return err
	}
	a, err := x.signIn.DiscoverCredentials(x.ctx, &idpv1.DiscoverCredentialsRequest{
		Caller: x.caller(), UserPrincipalName: q.Username, FlowToken: q.FlowToken,
	})
	if err != nil {
		return err
	}
	out := credentialType{
		Username: q.Username, Display: q.Username, IfExistsResult: userUnknown, IsSignupDisallowed: true, FlowToken: a.GetFlowToken(),
		Credentials: credentials{HasPassword: a.GetHasPassword(), FederationURL: a.GetFederationUrl()},
	}
	first := 0
	for i, c := range a.GetCredentials() {
		number := out.Credentials.offer(x, c, q.Passkeys, q.Phones, q.AccessPass)
		if number == preferCert && i > 0 {
			continue // clients do not say whether they can: only where it comes before all others
		}
		first = cmp.Or(first, number)
	}
	out.Credentials.PrefCredential = cmp.Or(first, preferPassword)
	if a.GetExists() {
		out.IfExistsResult = userExists
	}
	out.EstsProperties.DomainType = domainUnknown
	if a.GetDomainKnown() {
		out.EstsProperties.DomainType = domainManaged
	}
	if a.GetFederationUrl() != "" {
		out.Credentials.PrefCredential, out.EstsProperties.DomainType = preferElsewhere, domainFederated
	}
	x.json(http.StatusOK, out)
	return nil
}

// offer adds a way to sign in, when the client knows it, and gives its number.
func (c *credentials) offer(x *exchange, t idpv1.CredentialType, passkeys, phones, accessPass bool) int {
	switch {
	case t == idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD:
		return preferPassword
	case t == idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY && passkeys:
		c.HasFIDO, c.FIDOParams = true, &fidoParams{AllowList: []string{}}
		return preferPasskey
	case t == idpv1.CredentialType_CREDENTIAL_TYPE_PHONE_SIGN_IN && phones:
		// It is begun by GetOneTimeCode: nobody's telephone rings for a name.
		c.HasRemoteNGC, c.RemoteNGCParams = true, &remoteNGCParams{DefaultType: 1}
		return preferPhone
	case t == idpv1.CredentialType_CREDENTIAL_TYPE_ACCESS_PASS && accessPass:
		c.HasAccessPass = true
		return preferAccessPass
	case t == idpv1.CredentialType_CREDENTIAL_TYPE_CERTIFICATE && x.certAuth() != "":
		c.HasCertAuth, c.CertAuthParams = true, &certAuthParams{URL: x.certAuth()}
		return preferCert
	default:
		return 0
	}
}

// oneTimeCode begins a sign-in without a password by an approval on the user's
// phone.
func (x *exchange) oneTimeCode() error {
	var q struct {
		Channel         string `json:"Channel"`
		FlowToken       string `json:"FlowToken"`
		OriginalRequest string `json:"OriginalRequest"`
		Username        string `json:"username"`
	}
	if err := x.object(&q); err != nil {
		return err
	}
	refused := func(message string) error {
		x.json(http.StatusOK, map[string]any{"error": map[string]string{"code": oneTimeCodeFailed, "message": message}})
		return nil
	}
	if !strings.EqualFold(q.Channel, channelAuthenticator) {
		return refused("Only the channel Authenticator is offered: use it, or the password.")
	}
	a, err := x.signIn.BeginPhoneSignIn(x.ctx, &idpv1.BeginPhoneSignInRequest{
		Caller: x.caller(), FlowToken: cmp.Or(q.FlowToken, q.OriginalRequest), UserPrincipalName: q.Username,
	})
	switch {
	case err != nil:
		x.observe(err)
		return refused(x.explain(err).message)
	case a.GetErrorCode() != 0:
		return refused(a.GetMessage())
	}
	x.json(http.StatusOK, struct {
		RemoteNGC remoteNGCParams `json:"RemoteNgcParams"`
		FlowToken string          `json:"FlowToken"`
	}{remoteNGCParams{SessionID: a.GetSessionId(), Entropy: a.GetEntropy(), DefaultType: 1}, a.GetFlowToken()})
	return nil
}
