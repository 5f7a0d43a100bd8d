package grants

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// Issued answers a request for a PRT: Answer, or in version 4 of the protocol
// Encrypted, a compact JWE for the device.
type Issued struct {
	Answer    entrawire.PRTAnswer
	Encrypted string
}

// RequestPRT checks a request for a first PRT and answers it (first sign-in,
// step E).
func (g *Gate) RequestPRT(ctx context.Context, r Request) (_ Issued, err error) {
	ctx, span := step.Start(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_E)
	defer func() { step.End(span, err) }()
	return ByDevice(ctx, g, DeviceKind[entrawire.PRTRequest, Issued]{
		Flow: signinlog.IssuePRT, Protocol: r.Protocol, Correlation: r.Correlation,
		Nonce:  func(c *entrawire.PRTRequest) string { return c.RequestNonce },
		User:   userNamed,
		Client: func(c *entrawire.PRTRequest) string { return c.ClientID },
		Check:  func(c *entrawire.PRTRequest) error { return c.ValidateFor(r.Protocol) },
		Answer: func(ctx context.Context, d Device, c *entrawire.PRTRequest) (Issued, error) {
			a, err := g.issuePRT(ctx, d, c, r.Protocol)
			if err != nil || r.Protocol != entrawire.Protocol4 {
				return Issued{Answer: a}, err
			}
			text, err := sealForDevice(d, c.JWECrypto.APV, a)
			return Issued{Encrypted: text}, err
		},
	}, r.Signed)
}

// userNamed is who the request names, where the name says who signs in. Beside a
// Hello assertion or a refresh token it says nothing.
func userNamed(c *entrawire.PRTRequest) string {
	if c.GrantType == entrawire.GrantHello || c.GrantType == entrawire.GrantRefreshToken {
		return ""
	}
	return c.Username
}

func (g *Gate) issuePRT(ctx context.Context, d Device, c *entrawire.PRTRequest, p entrawire.Protocol) (entrawire.PRTAnswer, error) {
	app, err := prtClient(d.Tenant, c.ClientID)
	if err != nil {
		return entrawire.PRTAnswer{}, err
	}
	n := issuance.NewPRT{Tenant: d.Tenant, Device: d.Device, Client: app, Protocol: p, SessionID: issuance.NewSessionID()}
	if n.KDFMin, err = kdfOf(d, p); err != nil {
		return entrawire.PRTAnswer{}, err
	}
	if p != entrawire.Protocol4 { // which has no session key
		d.event.KDF = n.KDFMin
	}
	d.event.Interactive = c.GrantType != entrawire.GrantRefreshToken // somebody has shown a credential
	if err := g.authenticate(ctx, d, c, &n); err != nil {
		return entrawire.PRTAnswer{}, err
	}
	d.IsUser(n.User)
	g.notePRT(d.event, n)
	return g.Authority.IssuePRT(n)
}

// notePRT puts into the log how the user proved who they are: just now, or when the
// refresh token began.
func (g *Gate) notePRT(e *signinlog.Event, n issuance.NewPRT) {
	if n.From != nil {
		NoteProof(e, *n.From, signinlog.ARefreshToken)
		return
	}
	in := signinlog.NoToken
	if n.Credential.Federated() {
		in = signinlog.SAML11
	}
	used := methods.Add(nil, n.Method, g.Clock.Now())
	NoteProof(e, sealed.Artefact{SessionID: n.SessionID, Details: sealed.Details{Used: used}}, in)
	e.MultiFactor = methods.MultiFactor(methods.Names(used))
}

// kdfOf is the version of the key derivation that the PRT will demand, by what the
// device announced. Version 3 is for a device whose storage key was attested, and
// the session key is then for that key alone; AADSTS5000611.
func kdfOf(d Device, p entrawire.Protocol) (int, error) {
	switch d.KDFVer {
	case entrawire.KDF2:
		return entrawire.KDF2, nil
	case entrawire.KDF3:
		if p == entrawire.Protocol4 || len(d.Device.StorageKey) == 0 {
			return 0, kdfInvalid(d.KDFVer)
		}
		return entrawire.KDF3, nil
	default:
		return entrawire.KDF1, nil
	}
}

// authenticate checks the credential that the grant type names, and says whose it
// is and of what kind.
func (g *Gate) authenticate(ctx context.Context, d Device, c *entrawire.PRTRequest, n *issuance.NewPRT) (err error) {
	switch c.GrantType {
	case entrawire.GrantPassword:
		n.Credential = sealed.Password
		n.User, n.Method, err = g.Directory.Authenticate(ctx, d.Tenant, directory.Credential{Name: c.Username, Password: c.Password})
	case entrawire.GrantSAML1:
		var xml []byte
		if xml, err = entrawire.DecodeSAML(c.Assertion); err != nil {
			return shape(err)
		}
		var card bool
		n.User, n.Method, card, err = g.Directory.Federated(ctx, d.Tenant, directory.Credential{Name: c.Username, Assertion: xml})
		n.Credential = federated(card)
	case entrawire.GrantHello:
		n.Credential, n.Method = sealed.Hello, methods.WindowsHello
		n.User, err = g.hello(ctx, d, c)
	case entrawire.GrantRefreshToken:
		n.User, n.From, err = g.upgrade(ctx, d, c.RefreshToken)
	default:
		err = prterr.AADSTS(aadsts.UnsupportedGrantType, "")
	}
	return err
}

// federated is the kind of a credential that a federation provider judged.
func federated(card bool) sealed.Credential {
	if card {
		return sealed.SmartCard
	}
	return sealed.SAML
}
