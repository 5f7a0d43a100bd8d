package idp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// inPlaceOf registers a new device for a user in the place of another.
func (w *world) inPlaceOf(t testing.TB, upn, password, replaced string, devices idpv1.DeviceRegistrationServiceClient) (string, bool) {
	t.Helper()
	ctx := context.Background()
	token, err := w.devices.RequestRegistrationToken(ctx, &idpv1.RequestRegistrationTokenRequest{UserPrincipalName: upn, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := entrawire.CreateCSR(rsaKeys()[5])
	if err != nil {
		t.Fatal(err)
	}
	a, err := devices.RegisterDevice(ctx, &idpv1.RegisterDeviceRequest{
		AccessToken: token.GetAccessToken(), JoinType: idpv1.JoinType_JOIN_TYPE_JOIN, CertificateRequest: csr, TransportKey: rsa1(t, rsaKeys()[4]),
		DisplayName: "RECOVERED", DeviceType: "Windows", OsVersion: "10", ReplacedDeviceId: replaced,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(identityOf(t, a.GetCertificate()).DeviceID), a.GetReplacedDeviceRemoved()
}

// TestPRO08_TheDeviceOfARecoveryGoes when who recovers may remove it: who registered it,
// or who administers the tenant. What it held is dead, even with its session key.
func TestPRO08_TheDeviceOfARecoveryGoes(t *testing.T) {
	w := newWorld(t, idp.Config{})
	https := idpv1.NewDeviceRegistrationServiceClient(wireOf(t, w))
	for name, c := range map[string]struct {
		upn, password string
		devices       idpv1.DeviceRegistrationServiceClient
		gone          bool
	}{
		"who registered it":        {alice, alicePassword, w.devices, true},
		"over HTTPS":               {alice, alicePassword, https, true},
		"who administers":          {admin, adminPassword, w.devices, true},
		"another user":             {bob, bobPassword, w.devices, false},
		"another user, over HTTPS": {bob, bobPassword, https, false},
	} {
		t.Run(name, func(t *testing.T) {
			old := w.join(t, alice, alicePassword, 1, 2)
			s := old.first(t, alice, alicePassword)
			next, removed := w.inPlaceOf(t, c.upn, c.password, old.id, c.devices)
			there := slices.ContainsFunc(devicesOf(t, w, contoso), func(d *directoryv1.Device) bool { return d.GetDeviceId() == old.id })
			if removed != c.gone || there == c.gone {
				t.Errorf("said to be gone %v, there %v", removed, there)
			}
			if !c.gone {
				if err := s.use(t); err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, s.use(t), aadsts.DeviceAuthenticationFailed)
			_, err := w.renewPRT(s.sign(t, s.renewal(t)))
			wantCode(t, err, aadsts.DeviceAuthenticationFailed)
			// Once more, as after a lost answer: it is gone, and the new one stays.
			if _, removed := w.inPlaceOf(t, c.upn, c.password, old.id, c.devices); !removed {
				t.Error("a device that is gone is not said to be")
			}
			if !slices.ContainsFunc(devicesOf(t, w, contoso), func(d *directoryv1.Device) bool { return d.GetDeviceId() == next }) {
				t.Error("the new device is gone too")
			}
		})
	}
	// Of another tenant's device nothing is known, and nothing happens to it.
	old := w.join(t, alice, alicePassword, 1, 2)
	w.inPlaceOf(t, frank, frankPassword, old.id, w.devices)
	if err := old.first(t, alice, alicePassword).use(t); err != nil {
		t.Error(err)
	}
	_, err := w.devices.RegisterDevice(context.Background(), &idpv1.RegisterDeviceRequest{JoinType: idpv1.JoinType_JOIN_TYPE_JOIN, ReplacedDeviceId: "../" + string(ids.NewDevice())})
	wantNamed(t, err)
}

// TestPRO08_ABulkPackageRemovesNoDevice although it speaks for the administrator who made
// it: it is on a stick, and is permission to add devices and nothing else.
func TestPRO08_ABulkPackageRemovesNoDevice(t *testing.T) {
	w := newWorld(t, idp.Config{})
	r := w.foreign(t).roadtxJoin(t, alice, alicePassword, idpv1.JoinType_JOIN_TYPE_JOIN)
	r.AccessToken = w.registrationToken(t, admin, "", time.Now(), claims{"appid": bulkClient, "amr": []string{"pwd"}, "deviceid": nil})
	for name, owner := range map[string][2]string{"of another user": {alice, alicePassword}, "of the administrator": {admin, adminPassword}} {
		old := w.join(t, owner[0], owner[1], 1, 2)
		r.ReplacedDeviceId = old.id
		a, err := w.devices.RegisterDevice(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		there := slices.ContainsFunc(devicesOf(t, w, contoso), func(d *directoryv1.Device) bool { return d.GetDeviceId() == old.id })
		if a.GetReplacedDeviceRemoved() || !there {
			t.Errorf("%s: said to be gone %v, there %v", name, a.GetReplacedDeviceRemoved(), there)
		}
	}
}
