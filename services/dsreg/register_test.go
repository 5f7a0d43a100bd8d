package dsreg_test

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg"
)

// isRegistered sees that the device is registered and not joined, under this id,
// with its keys and certificate in place, and that it stays so.
func (w *world) isRegistered(t *testing.T, id string) {
	t.Helper()
	s := w.consistent()
	switch {
	case s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_REGISTERED || s.GetDeviceId() != id || len(w.tpm.sets) != 1:
		t.Errorf("state %v, %d key sets", s, len(w.tpm.sets))
	case !s.GetWorkplaceJoined() || s.GetAzureAdJoined() || s.GetDomainJoined():
		t.Errorf("WorkplaceJoined %v, AzureAdJoined %v, DomainJoined %v", s.GetWorkplaceJoined(), s.GetAzureAdJoined(), s.GetDomainJoined())
	case s.GetTenantId() != string(w.idp.tenant) || s.GetJoinedBy() != alice:
		t.Errorf("tenant %q, registered by %q", s.GetTenantId(), s.GetJoinedBy())
	}
	cert, err := x509.ParseCertificate(w.tpm.holds())
	if err != nil {
		t.Fatal(err)
	}
	if who, err := entrawire.ParseDeviceCertificate(cert); err != nil || who.JoinType != "0" || string(who.DeviceID) != id {
		t.Errorf("the certificate says %+v, %v", who, err)
	}
	file := w.file()
	if _, err := w.register(); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "registered for a work account already") {
		t.Errorf("registering again: %v", err)
	}
	if !bytes.Equal(file, w.file()) {
		t.Error("the refused registration changed the state")
	}
}

func TestREG09_EntraRegistration(t *testing.T) {
	w := newWorld(t)
	registered := w.mustRegister()
	for range 2 { // and again after a restart
		w.isRegistered(t, registered.GetDeviceId())
		w.restart(nil)
	}
	if registered.GetTenantId() != string(w.idp.tenant) || !w.idp.knows(registered.GetDeviceId()) {
		t.Errorf("answer %v", registered)
	}
	got := w.idp.got
	if got.GetJoinType() != idpv1.JoinType_JOIN_TYPE_REGISTER || got.GetDisplayName() != "ALICES-LAPTOP" || got.GetDeviceType() != "Windows" || got.GetTargetDomain() != "contoso.test" {
		t.Errorf("the tenant was told %v", got)
	}
	if err := w.leave(false); err != nil {
		t.Fatal(err)
	}
	w.isGone(t)
	if !w.idp.knows() {
		t.Error("the tenant still has the device")
	}
	if again := w.mustRegister(); again.GetDeviceId() == registered.GetDeviceId() {
		t.Error("a new registration has the old name")
	}
}

// Nothing is asked of anybody, so the password of a refused registration stays here.
func TestREG08_AJoinedDeviceIsNotRegistered(t *testing.T) {
	w := newWorld(t)
	joined := w.mustJoin()
	clear(w.toIdP.sent)
	clear(w.toTPM.sent)
	if _, err := w.register(); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "joined to a tenant") {
		t.Errorf("got %v", err)
	}
	if len(w.toIdP.sent) != 0 || len(w.toTPM.sent) != 0 {
		t.Error("a refused registration went further")
	}
	if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || !s.GetAzureAdJoined() || s.GetWorkplaceJoined() {
		t.Errorf("state %v", s)
	}
}

func TestAJoinEndsARegistration(t *testing.T) {
	w := newWorld(t)
	w.mustRegister()
	joined := w.mustJoin()
	if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || !s.GetAzureAdJoined() || s.GetWorkplaceJoined() {
		t.Errorf("state %v", s)
	}
	if !w.idp.knows(joined.GetDeviceId()) || len(w.tpm.sets) != 1 {
		t.Error("the registered device is still at the tenant, or its keys in the TPM")
	}
}

func TestARegistrationWithoutANameHasTheComputers(t *testing.T) {
	for name, want := range map[string]string{"": "DESKTOP", "KIOSK-7": "KIOSK-7"} {
		w := newWorld(t)
		w.computer = name
		w.restart(nil)
		_, err := dsregv1.NewRegistrationServiceClient(w.conn).RegisterDevice(t.Context(), &dsregv1.RegisterDeviceRequest{UserPrincipalName: alice, Password: password})
		if err != nil || w.idp.got.GetDisplayName() != want || w.mustState().GetDisplayName() != want {
			t.Errorf("%q: %v, the tenant was told %q", name, err, w.idp.got.GetDisplayName())
		}
	}
	w := newWorld(t)
	for _, bad := range []string{strings.Repeat("x", 65), "DESK\nTOP"} {
		w.computer = bad
		if _, err := dsreg.New(w.config(nil)); err == nil || !strings.Contains(err.Error(), "ComputerName") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestBadInputOfARegistrationIsNamedAndGoesNowhere(t *testing.T) {
	w := newWorld(t)
	for field, req := range map[string]*dsregv1.RegisterDeviceRequest{
		"user_principal_name": {UserPrincipalName: "alice", Password: password},
		"password":            {UserPrincipalName: alice},
		"display_name":        {UserPrincipalName: alice, Password: password, DisplayName: "DESK\nTOP"},
	} {
		if _, err := dsregv1.NewRegistrationServiceClient(w.conn).RegisterDevice(t.Context(), req); prterr.KindOf(err) != prterr.Invalid || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	if len(w.toIdP.sent) != 0 || len(w.toTPM.sent) != 0 || w.file() != nil {
		t.Error("bad input went further than the door")
	}
	_, err := dsregv1.NewRegistrationServiceClient(w.conn).RegisterDevice(t.Context(), &dsregv1.RegisterDeviceRequest{UserPrincipalName: alice, Password: "guess"})
	if prterr.CodeOf(err) != aadsts.InvalidCredentials || w.tpm.made != 0 {
		t.Errorf("a wrong password: %v, %d key sets made", err, w.tpm.made)
	}
}
