package front

import (
	"net/http"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// What GetCredentialType says in numbers.
const (
	userExists, userUnknown         = 0, 1
	preferPassword, preferElsewhere = 1, 4
	domainUnknown, domainManaged    = 1, 3
	domainFederated                 = 4
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
	PrefCredential  int     `json:"PrefCredential"`
	HasPassword     bool    `json:"HasPassword"`
	RemoteNGCParams *string `json:"RemoteNgcParams"`
	FIDOParams      *string `json:"FidoParams"`
	SASParams       *string `json:"SasParams"`
	CertAuthParams  *string `json:"CertAuthParams"`
	FederationURL   string  `json:"FederationRedirectUrl,omitempty"`
}

// credentialType says how a user may sign in. ThrottleStatus is always 0: any
// other value makes a client give up before it has sent a password.
func (x *exchange) credentialType() error {
	var q struct {
		Username  string `json:"username"`
		FlowToken string `json:"flowToken"`
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
		Credentials: credentials{PrefCredential: preferPassword, HasPassword: a.GetHasPassword(), FederationURL: a.GetFederationUrl()},
	}
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

// oneTimeCode answers a client that would like to sign in without a password by
// an approval on the user's phone.
func (x *exchange) oneTimeCode() error {
	x.json(http.StatusOK, map[string]any{
		"error": map[string]string{"code": "6000", "message": "Sign-in without a password by the authenticator is not offered: use the password."},
	})
	return nil
}
