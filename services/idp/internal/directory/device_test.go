package directory

import (
	"context"
	"crypto/x509"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// TestAttack27_AWaitingObjectJoinsOnce is the decision at the record itself, for two
// who have both seen it wait.
func TestAttack27_AWaitingObjectJoinsOnce(t *testing.T) {
	ctx, d := context.Background(), open(t)
	home := d.tenants.All()[0].ID
	h := tenant.HybridDevice{ID: ids.NewDevice(), DisplayName: "HYBRID-1", SID: "S-1-5-21-1", Certificate: &x509.Certificate{Raw: []byte{1}}}
	if err := d.PutHybridDevice(ctx, home, h); err != nil {
		t.Fatal(err)
	}
	dev, err := d.PendingDevice(ctx, home, h.ID)
	if err != nil || dev.Trust != store.TrustHybrid || dev.OnPremises.SID != h.SID {
		t.Errorf("%+v, %v", dev, err)
	}
	join := func(name string) error {
		return d.CompleteHybridDevice(ctx, h.ID, func(dev *store.Device) { dev.DisplayName = name })
	}
	if err := join("first"); err != nil {
		t.Fatal(err)
	}
	if err := join("second"); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("joined twice: %v", err)
	}
	if dev, err := d.Device(ctx, home, h.ID); err != nil || dev.Pending || dev.DisplayName != "first" {
		t.Errorf("%+v, %v", dev, err)
	}
	if _, err := d.PendingDevice(ctx, home, h.ID); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("it still waits: %v", err)
	}
	if err := d.PutHybridDevice(ctx, home, h); err != nil {
		t.Errorf("synchronised once more: %v", err)
	}
	if _, err := d.PendingDevice(ctx, home, h.ID); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("and waits again: %v", err)
	}
}

// TestREG21_AComputerWithOtherKeysWaitsAgain, and what it had is good for nothing.
func TestREG21_AComputerWithOtherKeysWaitsAgain(t *testing.T) {
	ctx, d := context.Background(), open(t)
	home := d.tenants.All()[0].ID
	h := tenant.HybridDevice{ID: ids.NewDevice(), DisplayName: "HYBRID-1", SID: "S-1-5-21-1", Certificate: &x509.Certificate{Raw: []byte{1}}}
	if err := d.PutHybridDevice(ctx, home, h); err != nil {
		t.Fatal(err)
	}
	err := d.CompleteHybridDevice(ctx, h.ID, func(dev *store.Device) {
		dev.Certificate, dev.DeviceKey, dev.TransportKey, dev.StorageKey = []byte{2}, []byte{3}, []byte{4}, []byte{5}
		dev.KeyProtection, dev.Enabled = store.ProtectionHardware, false
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Certificate = &x509.Certificate{Raw: []byte{6}}
	if err := d.PutHybridDevice(ctx, home, h); err != nil {
		t.Fatal(err)
	}
	dev, err := d.PendingDevice(ctx, home, h.ID)
	if err != nil || dev.Certificate != nil || dev.DeviceKey != nil || dev.TransportKey != nil || dev.StorageKey != nil || dev.KeyProtection != "" ||
		string(dev.OnPremises.Certificate) != "\x06" || dev.Trust != store.TrustHybrid {
		t.Errorf("%+v, %v", dev, err)
	}
	if dev.Enabled {
		t.Error("a disabled device enabled itself with new keys")
	}
}
