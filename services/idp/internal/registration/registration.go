// Package registration registers devices and removes them.
//
// What lives here: the checks of an enrolment request and the order of what
// follows, for joined, registered and hybrid devices, and the keys of Windows
// Hello. What never may: a private key of a device; only public halves arrive.
// The server's edge calls it (MS-DVRJ and MS-DVRE are the sources).
package registration

import (
	"context"
	"crypto/sha1" // a thumbprint by definition; nothing rests on it
	"encoding/hex"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// Quota is how many devices one user may have registered at a time.
	Quota = 50
	// Burst is how many of them may have been registered within BurstWithin.
	Burst = 20
	// BurstWithin is the hint that a burst ends with too: Entra's words name 300 seconds.
	BurstWithin = 5 * time.Minute
	// maxName bounds the display name, maxText the type and the version of the
	// system, maxDomain the name of a domain, in characters.
	maxName, maxText, maxDomain = 64, 64, 255
)

// Service registers devices.
type Service struct {
	gate         *grants.Gate
	attestations *attestation.Service
	outbox       *outbox.Box
}

// New makes the service. Users are told through the outbox of keys that sign in as
// them.
func New(g *grants.Gate, a *attestation.Service, o *outbox.Box) *Service {
	return &Service{gate: g, attestations: a, outbox: o}
}

// Enrolled is a registered device.
type Enrolled struct {
	DeviceID ids.DeviceID
	// Certificate is DER.
	Certificate []byte
	// Thumbprint is the SHA-1 of the certificate, upper-case hex.
	Thumbprint string
	UPN        ids.UPN
	Tenant     ids.TenantID
	// Administrators are the security identifiers of who becomes a local
	// administrator, when asked for.
	Administrators []string
	// Protection is what the device object says of the keys.
	Protection store.Protection
	// NativeSessionKeys says that session keys are wrapped for the storage key.
	NativeSessionKeys bool
	// Removed says that the device that this one replaces is gone.
	Removed bool
}

// Token authenticates a user by password and answers with an access token that
// registers devices and does nothing else.
func (s *Service) Token(ctx context.Context, upn ids.UPN, password secret.Text) (token secret.Text, err error) {
	e := signinlog.Event{Flow: signinlog.RegistrationToken, User: upn, Client: entrawire.BrokerClientID}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err) }()
	u, err := s.gate.Directory.Password(ctx, upn, password)
	if err != nil {
		return secret.Text{}, err
	}
	e.Tenant = u.Tenant
	home, ok := s.gate.Tenants.Tenant(u.Tenant)
	if !ok {
		return secret.Text{}, prterr.AADSTS(aadsts.TenantNotFound, "")
	}
	if err := s.admit(ctx, &e, home, u); err != nil {
		return secret.Text{}, err
	}
	return s.gate.Authority.RegistrationToken(home, u)
}

// admit asks the policies that are about registering devices. Those that are about
// resources are not asked: a device that is set up with a password has no page to
// meet them on, and the token opens nothing but the registration. Over HTTPS the
// same token is one of a resource like any other.
func (s *Service) admit(ctx context.Context, e *signinlog.Event, home *tenant.Tenant, u store.User) error {
	now := s.gate.Clock.Now()
	from := sealed.Artefact{Credential: sealed.Password, AuthTime: now, Details: sealed.Details{Used: methods.Add(nil, methods.Password, now)}}
	grants.NoteProof(e, from, signinlog.NoToken)
	grants.NoteCaller(ctx, e)
	f := s.gate.Facts(ctx, grants.Ask{
		Tenant: home, User: u, App: tenant.Application{ID: entrawire.BrokerClientID}, Kind: tenant.Native, From: from,
	})
	f.UserAction = tenant.RegisterDevice
	return grants.Admit(e, f, from, grants.Demands{}, true)
}

// bearer checks an access token for device registration and finds its user. It dies
// with the password and the sessions that it rests on: what is registered with it
// outlives them, so that a thief who was in time would stay.
func (s *Service) bearer(ctx context.Context, token secret.Text, e *signinlog.Event) (issuance.Bearer, *tenant.Tenant, store.User, error) {
	b, err := s.gate.Authority.CheckRegistrationToken(token)
	if err != nil {
		return b, nil, store.User{}, err
	}
	e.Tenant, e.Client = b.Tenant, b.Client
	home, ok := s.gate.Tenants.Tenant(b.Tenant)
	if !ok {
		return b, nil, store.User{}, prterr.AADSTS(aadsts.TenantNotFound, "")
	}
	u, err := s.gate.UserStands(ctx, b.From)
	e.User = u.UPN
	return b, home, u, err
}

func enrolled(d store.Device, upn ids.UPN) Enrolled {
	return Enrolled{
		DeviceID: d.ID, Certificate: d.Certificate, Thumbprint: Thumbprint(d.Certificate), UPN: upn, Tenant: d.Tenant,
		Protection: d.KeyProtection, NativeSessionKeys: len(d.StorageKey) > 0,
	}
}

// Thumbprint is the SHA-1 of a certificate in upper-case hex, the name that
// Windows has for it.
func Thumbprint(der []byte) string {
	sum := sha1.Sum(der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}
