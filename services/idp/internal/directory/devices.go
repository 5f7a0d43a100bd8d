package directory

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// SetDeviceCompliance sets what a management service would: whether the device
// keeps its rules, and so that it is managed.
func (d *Directory) SetDeviceCompliance(ctx context.Context, id ids.DeviceID, compliant bool) error {
	return named(d.store.UpdateDevice(ctx, id, func(dev *store.Device) error {
		dev.Compliant, dev.Managed = compliant, true
		return nil
	}), "device")
}

// PutHybridDevice synchronises a device object from on-premises. It waits for its
// device until that joins with the certificate; one that is there already gets
// what is new about it. Another certificate is one that the computer wrote because
// its keys are lost: the keys it joined with are good no more, and it joins again.
func (d *Directory) PutHybridDevice(ctx context.Context, t ids.TenantID, h tenant.HybridDevice) error {
	if _, err := d.tenant(t); err != nil {
		return err
	}
	if field, problem := h.Problem(); problem != "" {
		return prterr.New(prterr.Invalid, "%s %s", field, problem)
	}
	err := d.store.AddDevice(ctx, hybrid(t, h), 0)
	if !errors.Is(err, store.ErrExists) {
		return named(err, "device")
	}
	return named(d.store.UpdateDevice(ctx, h.ID, func(dev *store.Device) error {
		if dev.Tenant != t || dev.Trust != store.TrustHybrid {
			return prterr.New(prterr.Conflict, "device_id is that of a device which was not synchronised: remove the device, or use the object's own GUID")
		}
		if !bytes.Equal(dev.OnPremises.Certificate, h.Certificate.Raw) {
			dev.Pending, dev.Certificate, dev.DeviceKey, dev.TransportKey, dev.TransportJWK = true, nil, nil, nil, nil
			dev.KeyProtection, dev.StorageKey = "", nil
		}
		dev.DisplayName = h.DisplayName
		dev.OnPremises = store.OnPremises{SID: h.SID, Certificate: h.Certificate.Raw}
		return nil
	}), "device")
}

// hybrid is a synchronised object whose device has not joined yet.
func hybrid(t ids.TenantID, h tenant.HybridDevice) store.Device {
	return store.Device{
		ID: h.ID, Tenant: t, DisplayName: h.DisplayName, Type: "Windows", Enabled: true, ObjectID: uuid.NewString(), Trust: store.TrustHybrid,
		Pending: true, OnPremises: store.OnPremises{SID: h.SID, Certificate: h.Certificate.Raw},
	}
}

// ParseCertificate reads a DER certificate that an operator gave in a field.
func ParseCertificate(field string, der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "%s is not one X.509 certificate in DER", field)
	}
	return cert, nil
}

// seedDevice adds a device object of the tenant file that the store does not have.
func (d *Directory) seedDevice(ctx context.Context, t ids.TenantID, h tenant.HybridDevice) error {
	if gone, err := d.isBuried(ctx, "device/"+string(h.ID)); gone || err != nil {
		return err
	}
	err := d.store.AddDevice(ctx, hybrid(t, h), 0)
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}
