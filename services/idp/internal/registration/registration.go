// Package registration registers devices and removes them.
//
// What lives here: the checks of an enrolment request and the order of what
// follows. What never may: a private key of a device; only public halves arrive.
// The server's edge calls it (MS-DVRJ and MS-DVRE are the sources).
package registration

import (
	"context"
	"crypto/rsa"
	"crypto/sha1" // a thumbprint by definition; nothing rests on it
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// Quota is how many devices one user may have registered at a time.
	Quota = 50
	// maxName bounds the display name, maxText the type and the version of the
	// system, in characters.
	maxName, maxText = 64, 64
)

// Service registers devices.
type Service struct{ gate *grants.Gate }

// New makes the service.
func New(g *grants.Gate) *Service { return &Service{gate: g} }

// Enrolment is a request to register a device.
type Enrolment struct {
	// Token from Token.
	Token secret.Text
	// CertificateRequest is DER PKCS#10.
	CertificateRequest []byte
	// TransportKey is an RSA1 blob.
	TransportKey []byte
	DisplayName  string
	DeviceType   string
	OSVersion    string
	// TargetDomain is a domain of the user's tenant, or empty.
	TargetDomain string
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
	return s.gate.Authority.RegistrationToken(home, u)
}

// Enrol creates a device object with a fresh id and issues its certificate. The
// certificate request proves that the caller holds the device key; nothing can
// prove the transport key here, but with a wrong one no session key will ever be
// unwrapped.
func (s *Service) Enrol(ctx context.Context, r Enrolment) (out Enrolled, err error) {
	e := signinlog.Event{Flow: signinlog.RegisterDevice}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err) }()
	bearer, err := s.gate.Authority.CheckRegistrationToken(r.Token)
	if err != nil {
		return Enrolled{}, err
	}
	e.Tenant = bearer.Tenant
	home, ok := s.gate.Tenants.Tenant(bearer.Tenant)
	if !ok {
		return Enrolled{}, prterr.AADSTS(aadsts.TenantNotFound, "")
	}
	u, err := s.gate.Directory.User(ctx, bearer.Tenant, bearer.User)
	e.User = u.UPN
	if err != nil {
		return Enrolled{}, err
	}
	if !u.MayJoin {
		return Enrolled{}, prterr.AADSTS(aadsts.RegistrationNotAllowed, "")
	}
	key, err := check(r, home)
	if err != nil {
		return Enrolled{}, err
	}
	out, err = s.create(ctx, r, u, key)
	e.Device = out.DeviceID
	return out, err
}

// check judges the form of an enrolment and returns the device key.
func check(r Enrolment, home *tenant.Tenant) (*rsa.PublicKey, error) {
	csr, err := entrawire.ParseCSR(r.CertificateRequest)
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "certificate_request: %v", err)
	}
	key, ok := csr.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, prterr.New(prterr.Invalid, "certificate_request: the key is not RSA")
	}
	if _, err := entrawire.ParseRSA1(r.TransportKey); err != nil {
		return nil, prterr.New(prterr.Invalid, "transport_key: %v", err)
	}
	switch {
	case r.DisplayName == "" || !printable(r.DisplayName, maxName):
		return nil, prterr.New(prterr.Invalid, "display_name is not 1 to %d printable characters", maxName)
	case !printable(r.DeviceType, maxText):
		return nil, prterr.New(prterr.Invalid, "device_type is not up to %d printable characters", maxText)
	case !printable(r.OSVersion, maxText):
		return nil, prterr.New(prterr.Invalid, "os_version is not up to %d printable characters", maxText)
	case r.TargetDomain != "" && !hasDomain(home, r.TargetDomain):
		return nil, prterr.New(prterr.Invalid, "target_domain is not a domain of the user's tenant")
	}
	return key, nil
}

func hasDomain(t *tenant.Tenant, name string) bool {
	for _, d := range t.Domains {
		if strings.EqualFold(d.Name, name) {
			return true
		}
	}
	return false
}

func printable(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func (s *Service) create(ctx context.Context, r Enrolment, u store.User, key *rsa.PublicKey) (Enrolled, error) {
	id := entrawire.DeviceIdentity{DeviceID: ids.NewDevice(), UserID: u.ID, TenantID: u.Tenant, JoinType: entrawire.JoinJoined}
	der, err := s.gate.Authority.DeviceCertificate(id, key)
	if err != nil {
		return Enrolled{}, fmt.Errorf("device certificate: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return Enrolled{}, fmt.Errorf("device key: %w", err)
	}
	err = s.gate.Directory.AddDevice(ctx, store.Device{
		ID: id.DeviceID, Tenant: u.Tenant, DisplayName: r.DisplayName, Type: r.DeviceType, OSVersion: r.OSVersion, Enabled: true,
		RegisteredBy: u.ID, RegisteredAt: s.gate.Clock.Now(), Certificate: der, DeviceKey: spki, TransportKey: r.TransportKey,
	}, Quota)
	if err != nil {
		return Enrolled{}, err
	}
	return Enrolled{DeviceID: id.DeviceID, Certificate: der, Thumbprint: Thumbprint(der), UPN: u.UPN, Tenant: u.Tenant}, nil
}

// Thumbprint is the SHA-1 of a certificate in upper-case hex, the name that
// Windows has for it.
func Thumbprint(der []byte) string {
	sum := sha1.Sum(der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}
