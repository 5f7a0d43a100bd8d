package grants

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// RequestPRT checks a request for a first PRT and answers it (first sign-in,
// step E).
func (g *Gate) RequestPRT(ctx context.Context, request secret.Text) (entrawire.PRTAnswer, error) {
	ctx, span := step.Start(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_E)
	defer span.End()
	return ByDevice(ctx, g, DeviceKind[entrawire.PRTRequest, entrawire.PRTAnswer]{
		Flow:   signinlog.IssuePRT,
		Nonce:  func(c *entrawire.PRTRequest) string { return c.RequestNonce },
		User:   func(c *entrawire.PRTRequest) string { return c.Username },
		Client: func(c *entrawire.PRTRequest) string { return c.ClientID },
		Check:  func(c *entrawire.PRTRequest) error { return c.Validate() },
		Answer: g.issuePRT,
	}, request)
}

func (g *Gate) issuePRT(ctx context.Context, d Device, c *entrawire.PRTRequest) (entrawire.PRTAnswer, error) {
	app, err := prtClient(d.Tenant, c.ClientID)
	if err != nil {
		return entrawire.PRTAnswer{}, err
	}
	kind, cred, err := credentialOf(c)
	if err != nil {
		return entrawire.PRTAnswer{}, err
	}
	user, err := g.Directory.Authenticate(ctx, d.Tenant, cred)
	if err != nil {
		return entrawire.PRTAnswer{}, err
	}
	least := 1
	if d.KDFVer == 2 {
		least = 2
	}
	return g.Authority.IssuePRT(issuance.NewPRT{
		Tenant: d.Tenant, User: user, Device: d.Device, Client: app, Credential: kind, KDFMin: least,
	})
}

// credentialOf picks the credential that the grant type names.
func credentialOf(c *entrawire.PRTRequest) (sealed.Credential, directory.Credential, error) {
	switch c.GrantType {
	case entrawire.GrantPassword:
		return sealed.Password, directory.Credential{Name: c.Username, Password: c.Password}, nil
	case entrawire.GrantSAML1:
		xml, err := entrawire.DecodeSAML(c.Assertion)
		return sealed.SAML, directory.Credential{Name: c.Username, Assertion: xml}, shape(err)
	default:
		return "", directory.Credential{}, prterr.AADSTS(aadsts.UnsupportedGrantType, "")
	}
}
