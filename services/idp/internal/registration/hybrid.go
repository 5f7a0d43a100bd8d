package registration

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// identityTime is how a client identity writes its time, in UTC.
	identityTime = "2006-01-02 15:04:05Z"
	// identityAge is how far from ours that time may be.
	identityAge = 5 * time.Minute
	// maxIdentity bounds a client identity, in bytes.
	maxIdentity = 512
)

// HybridJoin is the request of a synchronised device.
type HybridJoin struct {
	DeviceID ids.DeviceID
	Tenant   ids.TenantID
	// CertificateRequest and TransportKey as in Enrolment.
	CertificateRequest, TransportKey   []byte
	DisplayName, DeviceType, OSVersion string
	TargetDomain                       string
	// Identity is "<SID>.<time>", and Signature is over it: RSA PKCS#1 with SHA-256,
	// by the key that was synchronised with the object.
	Identity  string
	Signature []byte
	// Attestation of the keys, or nil.
	Attestation *attestation.Attestation
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
}

// JoinHybrid gives a synchronised device object its keys (MS-DVRJ, sync-join). The
// object must wait for it, the signature be by its synchronised certificate, the
// security identifier its own, the time now, and the whole not used before.
func (s *Service) JoinHybrid(ctx context.Context, r HybridJoin) (out Enrolled, err error) {
	e := signinlog.Event{Flow: signinlog.RegisterDevice, Correlation: r.Correlation}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, err) }()
	dev, err := s.gate.Directory.PendingDevice(ctx, r.Tenant, r.DeviceID)
	if err != nil {
		return Enrolled{}, err
	}
	e.Tenant, e.Device = dev.Tenant, dev.ID
	if err := s.identified(ctx, dev, r); err != nil {
		return Enrolled{}, err
	}
	k, err := readKeys(r.CertificateRequest, r.TransportKey, "")
	if err != nil {
		return Enrolled{}, err
	}
	if err := (description{r.DisplayName, r.DeviceType, r.OSVersion, r.TargetDomain}).check(); err != nil {
		return Enrolled{}, err
	}
	home, ok := s.gate.Tenants.Tenant(dev.Tenant)
	if !ok {
		return Enrolled{}, prterr.AADSTS(aadsts.TenantNotFound, "")
	}
	p, err := s.prove(ctx, home, r.Attestation, k, &e)
	if err != nil {
		return Enrolled{}, err
	}
	return s.complete(ctx, dev, home, r, k, p)
}

// identified checks who speaks. One error for all of it, but for the time, which
// is told only to who holds the key.
func (s *Service) identified(ctx context.Context, dev store.Device, r HybridJoin) error {
	refused := prterr.New(prterr.Unauthenticated, "client_identity is not signed by the key that was synchronised with the device")
	cert, err := x509.ParseCertificate(dev.OnPremises.Certificate)
	if err != nil {
		return refused
	}
	pub, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || pub.N.BitLen() < 2048 || len(r.Identity) > maxIdentity {
		return refused
	}
	digest := sha256.Sum256([]byte(r.Identity))
	if rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], r.Signature) != nil {
		return refused
	}
	cut := strings.LastIndexByte(r.Identity, '.')
	if cut < 0 || !strings.EqualFold(r.Identity[:cut], dev.OnPremises.SID) {
		return refused
	}
	made, err := time.Parse(identityTime, r.Identity[cut+1:])
	if age := s.gate.Clock.Now().Sub(made); err != nil || age > identityAge || age < -identityAge {
		return prterr.New(prterr.Unauthenticated, "client_identity has no time within five minutes of now: set the clock of the device")
	}
	first, err := s.gate.Replays.Use(ctx, replay.Digest(sha256.Sum256([]byte(string(dev.ID)+" "+r.Identity))), made.Add(identityAge))
	if err == nil && !first {
		return refused
	}
	return err
}

func (s *Service) complete(ctx context.Context, dev store.Device, home *tenant.Tenant, r HybridJoin, k keys, p proven) (Enrolled, error) {
	// No user is there: the certificate names the device object that proved itself.
	who, err := ids.ParseUser(dev.ObjectID)
	if err != nil {
		return Enrolled{}, fmt.Errorf("device object: %w", err)
	}
	id := entrawire.DeviceIdentity{DeviceID: dev.ID, UserID: who, TenantID: dev.Tenant, JoinType: entrawire.JoinJoined, Region: home.Region}
	der, err := s.gate.Authority.DeviceCertificate(id, k.device)
	if err != nil {
		return Enrolled{}, fmt.Errorf("device certificate: %w", err)
	}
	next := dev
	if err := k.into(&next, der, p); err != nil {
		return Enrolled{}, fmt.Errorf("device key: %w", err)
	}
	err = s.gate.Directory.CompleteHybridDevice(ctx, dev.ID, func(d *store.Device) {
		d.Certificate, d.DeviceKey, d.TransportKey = next.Certificate, next.DeviceKey, next.TransportKey
		d.KeyProtection, d.StorageKey = next.KeyProtection, next.StorageKey
		// Not Enabled: a device that an administrator has disabled does not enable itself.
		d.Type, d.OSVersion, d.RegisteredAt = r.DeviceType, r.OSVersion, s.gate.Clock.Now()
		d.AuthMethods = []string{"rsa"}
	})
	if err != nil {
		return Enrolled{}, err
	}
	return enrolled(next, ""), nil
}
