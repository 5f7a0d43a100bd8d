package grants

import (
	"context"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// RenewPRT checks a renewal and answers it, encrypted under the session key that
// signed it (renewal, step F). Nothing is written: the old PRT stays good until
// it expires, so renewals that race each other all succeed and none loses the
// session.
func (g *Gate) RenewPRT(ctx context.Context, r Request) (_ string, err error) {
	ctx, span := step.Start(ctx, stepv1.Step_STEP_RENEWAL_F)
	defer func() { step.End(span, err) }()
	return g.bySession(ctx, signinlog.RenewPRT, sealed.PRT, r, checkRenewal, g.renew)
}

// checkSessionRequest is the form that renewals and app-token requests have in
// common. The times in the claims are not looked at: freshness is the nonce's, by
// our clock and not the device's.
func checkSessionRequest(c *entrawire.SessionRequest, p entrawire.Protocol) error {
	if err := c.ValidateFor(p); err != nil {
		return err
	}
	v2 := p != entrawire.Protocol3 && p != entrawire.Protocol4
	if v2 && c.Aud != "" && c.Aud != entrawire.SessionAudience {
		return &entrawire.FieldError{Shape: "session-signed request", Field: "aud", Problem: "is not this identity provider"}
	}
	return nil
}

func checkRenewal(c *entrawire.SessionRequest) error {
	if !c.WantsPRT() {
		return &entrawire.FieldError{Shape: "renewal", Field: "scope", Problem: "does not have aza"}
	}
	return nil
}

func (g *Gate) renew(ctx context.Context, s Session, c *entrawire.SessionRequest) (encoder, error) {
	if _, err := prtClient(s.Tenant, c.ClientID); err != nil {
		return nil, err
	}
	if c.HasCredential() {
		if err := g.sameUser(ctx, s, c); err != nil {
			return nil, err
		}
	}
	return g.Authority.RenewPRT(s.Tenant, s.User, s.Device, s.From, takesKey(s, c))
}

// takesKey reports whether the client imports the session key that comes with a
// renewed PRT, as the documented steps have it. Ours does and says so; other
// clients copy the old key and would lose the session with a new one.
func takesKey(s Session, c *entrawire.SessionRequest) bool {
	wrapFor := s.Device.TransportKey
	if s.From.Native() {
		wrapFor = s.Device.StorageKey
	}
	return !s.From.SessionKey.Empty() && len(wrapFor) > 0 && c.ClientID == entrawire.SignInClientID && ours(c)
}

func ours(c *entrawire.SessionRequest) bool { return strings.HasPrefix(c.WinVer, entrawire.WinVer) }

// sameUser checks the credential in a renewal: of the kind the PRT was got with,
// right, and of the PRT's user. A wrong name, a wrong password and another
// user's right password are one error, so that a PRT tries no passwords but its
// own user's.
func (g *Gate) sameUser(ctx context.Context, s Session, c *entrawire.SessionRequest) error {
	if s.From.Credential == sealed.Hello && c.Password.Empty() {
		return g.sameHello(ctx, s, c)
	}
	if asserted := !c.Assertion.Empty(); asserted && !s.From.Credential.Federated() || !asserted && s.From.Credential != sealed.Password {
		return otherKind()
	}
	if c.Username != "" && name(c.Username) != s.User.UPN {
		return prterr.AADSTS(aadsts.InvalidCredentials, "")
	}
	user, err := g.proven(ctx, s, c)
	if err == nil && user.ID != s.User.ID {
		return prterr.AADSTS(aadsts.InvalidCredentials, "")
	}
	return err
}

// proven is the user of the credential in a renewal.
func (g *Gate) proven(ctx context.Context, s Session, c *entrawire.SessionRequest) (store.User, error) {
	if c.Assertion.Empty() {
		u, _, err := g.Directory.Authenticate(ctx, s.Tenant, directory.Credential{Name: c.Username, Password: c.Password})
		return u, err
	}
	xml, err := entrawire.DecodeSAML(c.Assertion)
	if err != nil {
		return store.User{}, shape(err)
	}
	u, _, card, err := g.Directory.Federated(ctx, s.Tenant, directory.Credential{Name: c.Username, Assertion: xml})
	if err == nil && federated(card) != s.From.Credential {
		return store.User{}, otherKind()
	}
	return u, err
}

func otherKind() error {
	return prterr.AADSTS(aadsts.InvalidGrant, "the credential is not of the kind that the PRT was obtained with")
}

// sameHello is the same with a Hello assertion.
func (g *Gate) sameHello(ctx context.Context, s Session, c *entrawire.SessionRequest) error {
	d := Device{Tenant: s.Tenant, Device: s.Device, event: &signinlog.Event{}}
	u, err := g.hello(ctx, d, &entrawire.PRTRequest{Assertion: c.Assertion, RequestNonce: c.RequestNonce})
	if err == nil && u.ID != s.User.ID {
		return prterr.AADSTS(aadsts.InvalidCredentials, "")
	}
	return err
}

// prtClient takes the two applications that PRTs are for, when the tenant knows
// them.
func prtClient(t *tenant.Tenant, text string) (ids.ClientID, error) {
	id, err := ids.ParseClient(text)
	if err != nil {
		return "", prterr.AADSTS(aadsts.InvalidRequest, "client_id is not right: %v", err)
	}
	if _, known := t.Application(id); !known {
		return "", prterr.AADSTS(aadsts.ApplicationNotFound, "")
	}
	if id != entrawire.SignInClientID && id != entrawire.BrokerClientID {
		return "", prterr.AADSTS(aadsts.InvalidGrant, "the application may not have a PRT")
	}
	return id, nil
}
