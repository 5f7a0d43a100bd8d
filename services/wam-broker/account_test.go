package wambroker_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
)

// laptop is the device id that dsreg answers with.
const laptop = "66666666-6666-4666-8666-666666666666"

// account is what alice types, and that she consents.
func account(change ...func(*wamv1.AddWorkAccountRequest)) *wamv1.AddWorkAccountRequest {
	r := &wamv1.AddWorkAccountRequest{LogonSession: "session-maria", UserPrincipalName: "Alice@contoso.test", Password: "correct horse", AllowManagement: true}
	for _, c := range change {
		c(r)
	}
	return r
}

func TestREG08_WithConsentTheDeviceIsRegistered(t *testing.T) {
	d := newDevice(t)
	d.unregistered()
	resp, err := d.client.AddWorkAccount(t.Context(), account())
	if err != nil || !resp.GetRegistered() || resp.GetDeviceId() != laptop || resp.GetTenantId() != tenant {
		t.Errorf("got %v, %v", resp, err)
	}
	if len(d.registered) != 1 {
		t.Fatalf("asked dsreg %d times", len(d.registered))
	}
	if r := d.registered[0]; !strings.EqualFold(r.GetUserPrincipalName(), "alice@contoso.test") || r.GetPassword() != "correct horse" || r.GetDisplayName() != "" {
		t.Errorf("asked dsreg for %v", r)
	}
	// No token comes of it; and since the TPM has no keys of a registration here, no PRT.
	if d.calls["RedeemPRT"]+d.calls["RedeemRefreshToken"] != 0 || resp.GetPrtObtained() {
		t.Errorf("calls %v, answer %v", d.calls, resp)
	}
}

// unregistered is a device that dsreg will register for alice.
func (d *device) unregistered() {
	d.set(func(w *world) {
		w.joinState = dsregv1.JoinState_JOIN_STATE_NONE
		w.register = &dsregv1.RegisterDeviceResponse{DeviceId: laptop, TenantId: tenant, UserId: alice}
	})
}

func TestREG08_WithoutConsentNothingIsRegistered(t *testing.T) {
	d := newDevice(t)
	resp, err := d.client.AddWorkAccount(t.Context(), account(func(r *wamv1.AddWorkAccountRequest) { r.AllowManagement = false }))
	if err != nil || resp.GetRegistered() || resp.GetDeviceId() != "" || resp.GetTenantId() != "" {
		t.Errorf("got %v, %v", resp, err)
	}
	if len(d.calls) != 0 {
		t.Errorf("calls %v", d.calls)
	}
}

func TestREG08_WhatDsregRefusesReachesTheApp(t *testing.T) {
	for name, refused := range map[string]error{
		"device has an identity": prterr.New(prterr.Conflict, "this device is joined"),
		"wrong password":         prterr.AADSTS(aadsts.InvalidCredentials, ""),
		"dsreg is down":          prterr.New(prterr.Unavailable, "cannot be reached"),
	} {
		d := newDevice(t)
		d.unregistered()
		d.set(func(w *world) { w.refuse["RegisterDevice"] = refused })
		_, err := d.client.AddWorkAccount(t.Context(), account())
		if prterr.KindOf(err) != prterr.KindOf(refused) || prterr.CodeOf(err) != prterr.CodeOf(refused) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, answer := range map[string]*dsregv1.RegisterDeviceResponse{
		"no device": {TenantId: tenant, UserId: alice}, "no tenant": {DeviceId: laptop, UserId: alice}, "no user": {DeviceId: laptop, TenantId: tenant},
		"no GUIDs": {DeviceId: "laptop", TenantId: "contoso", UserId: "alice"},
	} {
		d := newDevice(t)
		d.unregistered()
		d.set(func(w *world) { w.register = answer })
		if _, err := d.client.AddWorkAccount(t.Context(), account()); prterr.KindOf(err) != prterr.Internal {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestABadAccountIsNamedAndGoesNowhere(t *testing.T) {
	d := newDevice(t)
	for field, change := range map[string]func(*wamv1.AddWorkAccountRequest){
		"user_principal_name": func(r *wamv1.AddWorkAccountRequest) { r.UserPrincipalName = "alice" },
		"password":            func(r *wamv1.AddWorkAccountRequest) { r.Password = "" },
		"password is not 1":   func(r *wamv1.AddWorkAccountRequest) { r.Password = strings.Repeat("x", 257) },
	} {
		for _, consent := range []bool{true, false} {
			req := account(change)
			req.AllowManagement = consent
			if _, err := d.client.AddWorkAccount(t.Context(), req); prterr.KindOf(err) != prterr.Invalid || !strings.HasPrefix(err.Error(), field) {
				t.Errorf("%s: got %v", field, err)
			}
		}
	}
	if len(d.calls) != 0 {
		t.Errorf("calls %v", d.calls)
	}
}

func TestABrokerWithoutDsregRegistersNothing(t *testing.T) {
	d := newDevice(t)
	// The identity provider and the TPM are not asked.
	cfg := wambroker.Config{StateDir: t.TempDir(), Authority: d.authority, IdP: d.app, TPM: d.app}
	s, err := wambroker.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d.service = s
	client := wamv1.NewBrokerServiceClient(d.dial(t, "app", nil))
	if _, err := client.AddWorkAccount(t.Context(), account()); prterr.KindOf(err) != prterr.Unavailable || !strings.Contains(err.Error(), "dsreg") {
		t.Errorf("got %v", err)
	}
}
