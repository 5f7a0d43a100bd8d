package front

import (
	"net/http"
	"slices"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

// The ways to sign in, as the buttons of the page send them.
const (
	byPassword    = "password"
	byPasskey     = "passkey"
	byPhone       = "phone"
	byAccessPass  = "accesspass"
	byCertificate = "certificate"
	byFederation  = "federation"
	// byName goes back to the first half of the page.
	byName = "name"
)

// wayOf is the button of a way.
func wayOf(c idpv1.CredentialType) string {
	return map[idpv1.CredentialType]string{
		idpv1.CredentialType_CREDENTIAL_TYPE_PASSWORD: byPassword, idpv1.CredentialType_CREDENTIAL_TYPE_FEDERATION: byFederation,
		idpv1.CredentialType_CREDENTIAL_TYPE_PASSKEY: byPasskey, idpv1.CredentialType_CREDENTIAL_TYPE_PHONE_SIGN_IN: byPhone,
		idpv1.CredentialType_CREDENTIAL_TYPE_ACCESS_PASS: byAccessPass, idpv1.CredentialType_CREDENTIAL_TYPE_CERTIFICATE: byCertificate,
	}[c]
}

// signInPage shows the sign-in page: the name alone, or how this name signs in,
// with the other ways behind it.
func (x *exchange) signInPage(p *idpv1.SignInPage) error {
	if p.GetUserPrincipalName() == "" {
		c := x.config(p)
		v := x.view(p, c)
		v.Stage, v.PasskeyBegin = "name", x.here(passkeyBeginPath)
		if p.GetErrorCode() != 0 || x.at() == atCertAuth {
			v.PasskeyBegin = "" // a script may ask its own host only
		}
		return x.render(http.StatusOK, v, c)
	}
	// What fails here costs the other ways only: the page works without.
	a, _ := x.signIn.DiscoverCredentials(x.ctx, &idpv1.DiscoverCredentialsRequest{
		Caller: x.caller(), UserPrincipalName: p.GetUserPrincipalName(), FlowToken: p.GetFlowToken(),
	})
	return x.signInBy(p, a.GetCredentials(), x.tried)
}

// signInBy shows the page for one of the ways: the one that is wanted, else the
// preferred one, else a password.
func (x *exchange) signInBy(p *idpv1.SignInPage, all []idpv1.CredentialType, want string) error {
	var ways []string
	for _, c := range all {
		if way := wayOf(c); way != "" && (way != byCertificate || x.certAuth() != "") {
			ways = append(ways, way)
		}
	}
	if len(ways) > 0 && !slices.Contains(ways, want) {
		want = ways[0]
	}
	if want == "" || want == byFederation || want == byPasskey && x.at() == atCertAuth {
		want = byPassword // a passkey is of the login host, whose page this is not
	}
	stage, options := want, ""
	switch want {
	case byPhone:
		stage = "ask" // nobody's telephone rings because a page was opened
	case byPasskey:
		a, err := x.signIn.BeginPasskey(x.ctx, &idpv1.BeginPasskeyRequest{Caller: x.caller(), FlowToken: p.GetFlowToken(), UserPrincipalName: p.GetUserPrincipalName()})
		if err != nil {
			return err
		}
		p.FlowToken, options = a.GetFlowToken(), a.GetOptions()
	}
	c := x.config(p)
	v := x.view(p, c)
	v.Stage, v.Options = stage, options
	v.Ways = others(ways, want)
	c.passkey(options)
	return x.render(http.StatusOK, v, c)
}

// others are the ways beside the one that the page is for.
func others(ways []string, but string) []pages.Way {
	var out []pages.Way
	for _, way := range ways {
		if way != but && !slices.Contains(out, pages.Way{Value: way}) {
			out = append(out, pages.Way{Value: way})
		}
	}
	return out
}
