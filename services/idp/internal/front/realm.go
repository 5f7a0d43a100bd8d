package front

import (
	"net/http"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

func (f *Front) realmRoutes() []route {
	return []route{
		{at: atLogin, methods: "GET", template: "/{t}/userrealm/{upn}", serve: (*exchange).userRealm, fail: failOAuth, open: everybody},
		{at: atLogin, methods: "GET", template: "/{t}/userrealm", serve: (*exchange).userRealm, fail: failOAuth, open: everybody},
		{at: atLogin, methods: "GET", template: "/GetUserRealm.srf", serve: (*exchange).userRealmSRF, fail: failOAuth},
		{at: atLogin, methods: "POST", template: "/{t}/GetCredentialType", serve: (*exchange).credentialType, fail: failOAuth},
		{at: atLogin, methods: "POST", template: "/GetCredentialType", serve: (*exchange).credentialType, fail: failOAuth},
		{at: atLogin, methods: "POST", template: "/{t}/GetOneTimeCode", serve: (*exchange).oneTimeCode, fail: failOAuth},
		{at: atOffice, methods: "GET", template: "/odc/v2.1/federationProvider", serve: (*exchange).federationProvider, fail: failOAuth, open: everybody},
	}
}

// realmV1 is user realm discovery, version 1.0. MSAL demands all members that
// are not marked.
type realmV1 struct {
	Ver               string `json:"ver"`
	AccountType       string `json:"account_type"`
	DomainName        string `json:"domain_name"`
	CloudInstanceName string `json:"cloud_instance_name"`
	CloudAudienceURN  string `json:"cloud_audience_urn"`
	Protocol          string `json:"federation_protocol,omitempty"`
	MetadataURL       string `json:"federation_metadata_url,omitempty"`
	ActiveAuthURL     string `json:"federation_active_auth_url,omitempty"`
}

// realmV2 is version 2.0.
type realmV2 struct {
	NameSpaceType     string   `json:"NameSpaceType"`
	Protocol          string   `json:"federation_protocol,omitempty"`
	Login             string   `json:"Login"`
	AuthURL           string   `json:"AuthURL,omitempty"`
	DomainName        string   `json:"DomainName"`
	BrandName         string   `json:"FederationBrandName,omitempty"`
	Branding          []string `json:"TenantBrandingInfo"`
	CloudInstanceName string   `json:"cloud_instance_name"`
}

// realmSRF is GetUserRealm.srf.
type realmSRF struct {
	State             int    `json:"State"`
	UserState         int    `json:"UserState"`
	Login             string `json:"Login"`
	NameSpaceType     string `json:"NameSpaceType"`
	DomainName        string `json:"DomainName,omitempty"`
	GlobalVersion     int    `json:"FederationGlobalVersion,omitempty"`
	AuthURL           string `json:"AuthURL,omitempty"`
	BrandName         string `json:"FederationBrandName,omitempty"`
	CloudInstanceName string `json:"CloudInstanceName"`
}

func accountType(t idpv1.AccountType) string {
	switch t {
	case idpv1.AccountType_ACCOUNT_TYPE_MANAGED:
		return "Managed"
	case idpv1.AccountType_ACCOUNT_TYPE_FEDERATED:
		return "Federated"
	default:
		return "Unknown"
	}
}

func (x *exchange) userRealm() error {
	q, err := x.query()
	if err != nil {
		return err
	}
	upn := x.vars["upn"]
	if upn == "" {
		upn = q["user"]
	}
	a, err := x.discoverRealm(upn)
	if err != nil {
		return err
	}
	if q["api-version"] == "2.0" || q["api-version"] == "2.1" {
		x.json(http.StatusOK, realmV2{
			NameSpaceType: accountType(a.GetAccountType()), Protocol: a.GetFederationProtocol(), Login: upn, AuthURL: passiveURL(a, upn),
			DomainName: a.GetDomainName(), BrandName: a.GetBrandName(), CloudInstanceName: a.GetCloudInstanceName(),
		})
		return nil
	}
	x.json(http.StatusOK, realmV1{
		Ver: "1.0", AccountType: accountType(a.GetAccountType()), DomainName: a.GetDomainName(), CloudInstanceName: a.GetCloudInstanceName(),
		CloudAudienceURN: a.GetCloudAudienceUrn(), Protocol: a.GetFederationProtocol(), MetadataURL: a.GetFederationMetadataUrl(),
		ActiveAuthURL: a.GetFederationActiveAuthUrl(),
	})
	return nil
}

func (x *exchange) discoverRealm(upn string) (*idpv1.DiscoverRealmResponse, error) {
	if upn == "" {
		return nil, prterr.AADSTS(aadsts.MissingParameter, "The request names no user: put the user principal name behind userrealm/ or into user=.")
	}
	return x.realm.DiscoverRealm(x.ctx, &idpv1.DiscoverRealmRequest{UserPrincipalName: upn})
}

// passiveURL is where a browser signs a federated user in; who is sent there adds
// wctx.
func passiveURL(a *idpv1.DiscoverRealmResponse, upn string) string {
	if a.GetFederationPassiveAuthUrl() == "" {
		return ""
	}
	return a.GetFederationPassiveAuthUrl() + "?username=" + url.QueryEscape(upn) + "&wa=wsignin1.0&wtrealm=" +
		url.QueryEscape(a.GetCloudAudienceUrn()) + "&wctx="
}

func (x *exchange) userRealmSRF() error {
	q, err := x.query()
	if err != nil {
		return err
	}
	a, err := x.discoverRealm(q["login"])
	if err != nil {
		return err
	}
	out := realmSRF{
		State: 4, UserState: 1, Login: q["login"], NameSpaceType: accountType(a.GetAccountType()), DomainName: a.GetDomainName(),
		BrandName: a.GetBrandName(), CloudInstanceName: a.GetCloudInstanceName(),
	}
	if a.GetAccountType() == idpv1.AccountType_ACCOUNT_TYPE_FEDERATED {
		out.State, out.UserState, out.GlobalVersion, out.AuthURL = 3, 2, -1, passiveURL(a, q["login"])
	}
	x.json(http.StatusOK, out)
	return nil
}

// federationProvider tells a Linux client at its start where a domain belongs.
func (x *exchange) federationProvider() error {
	q, err := x.query()
	if err != nil {
		return err
	}
	a, err := x.metadata.DescribeTenant(x.ctx, &idpv1.DescribeTenantRequest{Tenant: q["domain"]})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, map[string]string{
		"environment": "Global", "configProviderName": "microsoftonline.com", "tenantId": a.GetTenantId(),
		"authority_host": hostOf(x.sibling(atLogin)), "graph": x.sibling(atGraph),
	})
	return nil
}

func hostOf(base string) string { return base[len("https://"):] }
