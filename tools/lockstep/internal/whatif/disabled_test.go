package whatif

import (
	"testing"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// TestADisabledDeviceStaysDisabled: it is enabled for the moment of a sign-in, and not
// any longer when that is refused: the cells of others would run on a good device.
func TestADisabledDeviceStaysDisabled(t *testing.T) {
	w, err := New(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.prepare(t.Context(), []DeviceState{Disabled}); err != nil {
		t.Fatal(err)
	}
	p := w.people[0]
	for _, want := range []Desktop{Open, Shut} {
		if want == Shut {
			p.password = p.pin
		}
		k, err := w.sit(t.Context(), p, Disabled, Password)
		if err != nil {
			t.Fatal(err)
		}
		if k.desktop != want {
			t.Errorf("the desktop is %s, want %s", k.desktop, want)
		}
		if err := k.close(); err != nil {
			t.Error(err)
		}
		list, err := w.cloud.read.ListDevices(t.Context(), &directoryv1.ListDevicesRequest{TenantId: string(w.cloud.tenant.ID)})
		if err != nil || len(list.GetDevices()) != 1 || list.GetDevices()[0].GetEnabled() {
			t.Errorf("desktop %s: %v, %v", want, list, err)
		}
	}
}
