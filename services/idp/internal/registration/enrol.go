package registration

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Enrolment is a request to register a device.
type Enrolment struct {
	// Token is an access token for device registration.
	Token secret.Text
	// Trust is store.TrustJoined or store.TrustRegistered.
	Trust store.Trust
	// CertificateRequest is DER PKCS#10.
	CertificateRequest []byte
	// TransportKey is an RSA1 blob; or TransportJWK a JSON Web Key.
	TransportKey []byte
	TransportJWK string
	DisplayName  string
	DeviceType   string
	OSVersion    string
	// TargetDomain is a domain of the user's tenant, or empty. With AnyDomain it may
	// say anything: there are clients that make it up, and nothing rests on it.
	TargetDomain string
	AnyDomain    bool
	// Administrators asks for the security identifiers of local administrators.
	Administrators bool
	// Attestation of the keys, or nil.
	Attestation *attestation.Attestation
	// Replaces is a device of the same computer whose keys are lost, or empty.
	Replaces ids.DeviceID
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
}

// Enrol creates a device object with a fresh id and issues its certificate. The same
// request once more is answered with the same device (sameDevice): an answer may be lost
// on the way, and a request be delivered twice. Where a challenge is answered once, the
// request needs a new attestation of the same keys.
func (s *Service) Enrol(ctx context.Context, r Enrolment) (out Enrolled, err error) {
	e := signinlog.Event{Flow: signinlog.RegisterDevice, Correlation: r.Correlation}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err) }()
	b, home, u, err := s.bearer(ctx, r.Token, &e)
	if err != nil {
		return Enrolled{}, err
	}
	// A bulk enrolment package is itself the permission, and for any number.
	if !u.MayJoin && !b.Bulk() {
		return Enrolled{}, prterr.AADSTS(aadsts.RegistrationNotAllowed, "")
	}
	k, err := check(r, home)
	if err != nil {
		return Enrolled{}, err
	}
	p, err := s.prove(ctx, home, r.Attestation, k, &e)
	if err != nil {
		return Enrolled{}, err
	}
	out, err = s.create(ctx, r, b, home, u, k, p)
	e.Device = out.DeviceID
	// A package is permission to add devices. Whoever finds the stick with it must not
	// take away those of the administrator who made it, or any in the tenant.
	if err == nil && r.Replaces != "" && !b.Bulk() {
		out.Removed = s.supersede(ctx, r, u)
	}
	return out, err
}

// supersede removes the device in whose place a new one was registered, when its user
// may: who registered it, or who administers the tenant. Nobody proves that it was the
// same computer, so it takes no more than what the user may take away from themselves.
// A hybrid joined device is its domain's.
func (s *Service) supersede(ctx context.Context, r Enrolment, u store.User) bool {
	e := signinlog.Event{Flow: signinlog.DeleteDevice, Correlation: r.Correlation, Tenant: u.Tenant, User: u.UPN, Device: r.Replaces}
	err := func() error {
		dev, err := s.gate.Directory.Device(ctx, u.Tenant, r.Replaces)
		switch {
		case prterr.CodeOf(err) == aadsts.DeviceAuthenticationFailed:
			return nil // an earlier recovery removed it, and its answer was lost
		case err != nil:
			return err
		case dev.Pending || dev.Trust == store.TrustHybrid || dev.RegisteredBy != u.ID && !u.Administrator:
			return prterr.New(prterr.Denied, "the device is not the user's to remove")
		}
		return s.gate.Directory.RemoveDevice(ctx, dev.ID)
	}()
	s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err)
	return err == nil
}

// check judges the form of an enrolment and returns the keys in it.
func check(r Enrolment, home *tenant.Tenant) (keys, error) {
	k, err := readKeys(r.CertificateRequest, r.TransportKey, r.TransportJWK)
	if err != nil {
		return keys{}, err
	}
	if err := (description{r.DisplayName, r.DeviceType, r.OSVersion, r.TargetDomain}).check(); err != nil {
		return keys{}, err
	}
	if r.TargetDomain != "" && !r.AnyDomain && !hasDomain(home, r.TargetDomain) {
		return keys{}, prterr.New(prterr.Invalid, "target_domain is not a domain of the user's tenant")
	}
	return k, nil
}

func hasDomain(t *tenant.Tenant, name string) bool {
	return slices.ContainsFunc(t.Domains, func(d tenant.Domain) bool { return strings.EqualFold(d.Name, name) })
}

func (s *Service) create(ctx context.Context, r Enrolment, b issuance.Bearer, home *tenant.Tenant, u store.User, k keys, p proven) (Enrolled, error) {
	id := entrawire.DeviceIdentity{DeviceID: ids.NewDevice(), UserID: u.ID, TenantID: u.Tenant, JoinType: entrawire.JoinJoined, Region: home.Region}
	if r.Trust == store.TrustRegistered {
		id.JoinType = entrawire.JoinRegistered
	}
	der, err := s.gate.Authority.DeviceCertificate(id, k.device)
	if err != nil {
		return Enrolled{}, fmt.Errorf("device certificate: %w", err)
	}
	dev := store.Device{
		ID: id.DeviceID, Tenant: u.Tenant, DisplayName: r.DisplayName, Type: r.DeviceType, OSVersion: r.OSVersion, Enabled: true,
		RegisteredBy: u.ID, RegisteredAt: s.gate.Clock.Now(), AuthMethods: b.AMR, ObjectID: uuid.NewString(), Trust: r.Trust,
	}
	if err := k.into(&dev, der, p); err != nil {
		return Enrolled{}, fmt.Errorf("device key: %w", err)
	}
	var who []string
	if r.Administrators {
		if who, err = s.administrators(ctx, u); err != nil {
			return Enrolled{}, err
		}
	}
	quota, burst := Quota, Burst
	if b.Bulk() {
		quota, burst = math.MaxInt, math.MaxInt
	}
	if dev, err = s.gate.Directory.AddDeviceOnce(ctx, dev, quota, recently(dev, burst)); err != nil {
		return Enrolled{}, err
	}
	out := enrolled(dev, u.UPN)
	out.Administrators = who
	return out, nil
}

// administrators are who becomes a local administrator of a device: who registered
// it, and who administers the tenant.
func (s *Service) administrators(ctx context.Context, u store.User) ([]string, error) {
	who, err := s.gate.Directory.AdministratorIDs(ctx, u.Tenant)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, id := range append([]ids.UserID{u.ID}, who...) {
		sid, err := ids.SID(string(id))
		if err != nil {
			return nil, fmt.Errorf("security identifier: %w", err)
		}
		if !slices.Contains(out, sid) {
			out = append(out, sid)
		}
	}
	return out, nil
}
