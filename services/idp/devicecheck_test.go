package idp_test

import (
	"context"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/host"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// checks sends a proof of the device for the check of it.
func (w *world) checks(t testing.TB, d *device, devices idpv1.DeviceRegistrationServiceClient, grant string) error {
	t.Helper()
	p := entrawire.DeviceProof{GrantType: grant, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
	_, err := devices.CheckDevice(context.Background(), &idpv1.CheckDeviceRequest{Request: d.sign(t, p)})
	return err
}

// TestINV06_ADeviceAsksWhetherItStands: it learns what a sign-in would meet, over both
// carriers, and no other proof will do.
func TestINV06_ADeviceAsksWhetherItStands(t *testing.T) {
	w, ctx := newWorld(t, idp.Config{}), context.Background()
	https := idpv1.NewDeviceRegistrationServiceClient(wireOf(t, w))
	for name, devices := range map[string]idpv1.DeviceRegistrationServiceClient{"gRPC": w.devices, "HTTPS": https} {
		d := w.join(t, alice, alicePassword, 1, 2)
		if err := w.checks(t, d, devices, entrawire.GrantDeviceCheck); err != nil {
			t.Errorf("%s: a device that stands: %v", name, err)
		}
		for _, other := range []string{entrawire.GrantDeviceAuth, entrawire.GrantDeviceRemoval} {
			wantCode(t, w.checks(t, d, devices, other), aadsts.InvalidRequest)
		}
		enable := func(on bool) {
			t.Helper()
			if _, err := w.admin.SetDeviceEnabled(ctx, &directoryv1.SetDeviceEnabledRequest{DeviceId: d.id, Enabled: on}); err != nil {
				t.Fatal(err)
			}
		}
		enable(false)
		wantCode(t, w.checks(t, d, devices, entrawire.GrantDeviceCheck), aadsts.DeviceDisabled)
		enable(true)
		// What checks a device removes none and signs no browser in.
		p := entrawire.DeviceProof{GrantType: entrawire.GrantDeviceCheck, Iss: entrawire.BrokerIssuer, RequestNonce: w.nonce(t)}
		_, err := devices.DeleteDevice(ctx, &idpv1.DeleteDeviceRequest{Request: d.sign(t, p)})
		wantCode(t, err, aadsts.InvalidRequest)
		if _, err := w.admin.RemoveDevice(ctx, &directoryv1.RemoveDeviceRequest{DeviceId: d.id}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, w.checks(t, d, devices, entrawire.GrantDeviceCheck), aadsts.DeviceAuthenticationFailed)
	}
	seen := map[string]int{}
	for _, e := range w.svc.SignIns() {
		if e.Flow == "check_device" {
			seen[string(e.Outcome)]++
		}
	}
	if seen["success"] != 2 || seen["refused"] != 8 {
		t.Errorf("the log has %v", seen)
	}
}

// TestREG01_DiscoveryOverBothCarriers: what is said over gRPC is what a client reads
// under the names of the cloud.
func TestREG01_DiscoveryOverBothCarriers(t *testing.T) {
	w, ctx := newWorld(t, idp.Config{}), context.Background()
	grpc := idpv1.NewMetadataServiceClient(connect(t, w.svc, "dsreg"))
	https := idpv1.NewMetadataServiceClient(wireOf(t, w))
	for _, name := range []string{contoso, "contoso.test", "CONTOSO.test"} {
		ask := &idpv1.DescribeRegistrationServicesRequest{Tenant: name}
		one, err := grpc.DescribeRegistrationServices(ctx, ask)
		if err != nil {
			t.Fatal(err)
		}
		two, err := https.DescribeRegistrationServices(ctx, ask)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(one, two) {
			t.Errorf("%s: over gRPC %v, over HTTPS %v", name, one, two)
		}
		if one.GetTenantId() != contoso || one.GetTenantName() == "" || one.GetJoinService().GetVersion() != "2.0" ||
			one.GetKeyService().GetUrl() != "https://enterpriseregistration.windows.net/EnrollmentServer/key/" ||
			one.GetAccessTokenUrl() != "https://login.microsoftonline.com/"+contoso+"/oauth2/token" {
			t.Errorf("%s: %v", name, one)
		}
	}
	for _, name := range []string{"nobody.test", "", "common"} {
		_, err := grpc.DescribeRegistrationServices(ctx, &idpv1.DescribeRegistrationServicesRequest{Tenant: name})
		wantCode(t, err, aadsts.TenantNotFound)
	}
	_, err := https.DescribeRegistrationServices(ctx, &idpv1.DescribeRegistrationServicesRequest{Tenant: "nobody.test"})
	wantCode(t, err, aadsts.TenantNotFound)
	// The rest of the service is the front's.
	if _, err := grpc.ListSigningKeys(ctx, &idpv1.ListSigningKeysRequest{}); err == nil {
		t.Error("dsreg lists the signing keys")
	}
}

// wireOf is a connection of a device over HTTPS, under the names of the cloud.
func wireOf(t testing.TB, w *world) *entracarrier.Carrier {
	t.Helper()
	h, err := host.New(host.Config{Handler: w.svc.Handler()})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Abort() })
	c, err := entracarrier.New(entracarrier.Config{Client: &http.Client{Transport: h.Transport()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
