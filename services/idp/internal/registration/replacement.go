package registration

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Replacement is a request of a device for new keys in the place of its own.
type Replacement struct {
	// Request is signed by the old device key and names the new keys.
	Request secret.Text
	// CertificateRequest and TransportKey as in Enrolment.
	CertificateRequest, TransportKey []byte
	// Attestation of the new keys, or nil.
	Attestation *attestation.Attestation
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
}

// Replace puts new keys in the place of a device's own. The device keeps its id and
// what was registered of it; everything that was issued for the old certificate dies
// with it. Who holds the old device key may do so, so what is proven of the new keys
// must not be less than of the old ones where the profile demands proofs.
//
// Whoever asks again for the same keys, with the key that they were exchanged for, is
// answered again: an answer may be lost on the way. That changes nothing and gives
// nothing but the certificate, which is public.
func (s *Service) Replace(ctx context.Context, r Replacement) (Enrolled, error) {
	k, err := readKeys(r.CertificateRequest, r.TransportKey, "")
	if err != nil {
		return Enrolled{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(k.device)
	if err != nil {
		return Enrolled{}, fmt.Errorf("device key: %w", err)
	}
	return grants.ByDevice(ctx, s.gate, grants.DeviceKind[entrawire.KeyReplacement, Enrolled]{
		Flow: signinlog.ReplaceKeys, Correlation: r.Correlation, Former: true,
		Nonce:  func(c *entrawire.KeyReplacement) string { return c.RequestNonce },
		User:   func(*entrawire.KeyReplacement) string { return "" },
		Client: func(*entrawire.KeyReplacement) string { return "" },
		Check: func(c *entrawire.KeyReplacement) error {
			if err := c.Validate(); err != nil {
				return err
			}
			if !c.Names(spki, r.TransportKey) {
				return &entrawire.FieldError{Shape: "key replacement", Field: "dk", Problem: "or tk is not of the keys that were sent"}
			}
			return nil
		},
		Answer: func(ctx context.Context, d grants.Device, c *entrawire.KeyReplacement) (Enrolled, error) {
			if d.Former {
				return again(d.Device, c)
			}
			return s.replace(ctx, d, r, k)
		},
	}, r.Request)
}

// again answers a request that was carried out before. It must name the keys that the
// device has now.
func again(dev store.Device, c *entrawire.KeyReplacement) (Enrolled, error) {
	if !c.Names(dev.DeviceKey, dev.TransportKey) {
		return Enrolled{}, prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	}
	return enrolled(dev, ""), nil
}

func (s *Service) replace(ctx context.Context, d grants.Device, r Replacement, k keys) (Enrolled, error) {
	p, err := s.prove(ctx, d.Tenant, r.Attestation, k, d.Event())
	if err != nil {
		return Enrolled{}, err
	}
	if d.Tenant.Profile.AttestedKeys && p.protection.Less(d.Device.KeyProtection) {
		return Enrolled{}, prterr.AADSTS(aadsts.RegistrationNotAllowed, "The keys of this device are better protected than the new ones: remove the device and register it again.")
	}
	id, err := s.identity(d)
	if err != nil {
		return Enrolled{}, err
	}
	der, err := s.gate.Authority.DeviceCertificate(id, k.device)
	if err != nil {
		return Enrolled{}, fmt.Errorf("device certificate: %w", err)
	}
	next, former := d.Device, sha256.Sum256(d.Device.Certificate)
	if err := k.into(&next, der, p); err != nil {
		return Enrolled{}, fmt.Errorf("device key: %w", err)
	}
	err = s.gate.Directory.ReplaceDeviceKeys(ctx, d.Device, func(dev *store.Device) {
		dev.Certificate, dev.DeviceKey, dev.TransportKey, dev.TransportJWK = next.Certificate, next.DeviceKey, next.TransportKey, next.TransportJWK
		dev.KeyProtection, dev.StorageKey, dev.ReplacedCertificate = next.KeyProtection, next.StorageKey, former[:]
	})
	if err != nil {
		return Enrolled{}, err
	}
	return enrolled(next, ""), nil
}

// identity is what stands in the certificate of a device: the same as in its old one.
func (s *Service) identity(d grants.Device) (entrawire.DeviceIdentity, error) {
	id, _, err := s.gate.Authority.CheckDeviceCertificate(d.Device.Certificate)
	if err != nil {
		return id, err
	}
	if id.DeviceID != d.Device.ID || id.TenantID != d.Device.Tenant {
		return id, prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	}
	return id, nil
}
