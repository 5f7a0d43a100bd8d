package dsreg_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// enrolments are the ways to an identity, each from every state it takes.
func enrolments() map[string]struct{ prepare, enrol func(*world) error } {
	join := func(w *world) error { _, err := w.join(); return err }
	register := func(w *world) error { _, err := w.register(); return err }
	nothing := func(*world) error { return nil }
	return map[string]struct{ prepare, enrol func(*world) error }{
		"join":                 {nothing, join},
		"join again":           {join, join},
		"join when registered": {register, join},
		"register":             {nothing, register},
	}
}

// unchanged runs each enrolment on a device on which it must fail, and sees that
// the device stays what it was.
func unchanged(t *testing.T, spoil func(*world), kind prterr.Kind, want string) {
	t.Helper()
	for name, way := range enrolments() {
		w := newWorld(t)
		if err := way.prepare(w); err != nil {
			t.Fatal(err)
		}
		file, cert, before := w.identities(), w.tpm.holds(), w.mustState()
		spoil(w)
		if err := way.enrol(w); prterr.KindOf(err) != kind || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s with %q", name, err, kind, want)
		}
		if file != w.identities() || !bytes.Equal(cert, w.tpm.holds()) {
			t.Errorf("%s: the state changed", name)
		}
		if after := w.mustState(); after.GetJoinState() != before.GetJoinState() || after.GetDeviceId() != before.GetDeviceId() {
			t.Errorf("%s: before %v, after %v", name, before, after)
		}
		w.idp.issue, w.idp.lie, w.idp.realm, w.idp.noToken = nil, nil, idpv1.AccountType_ACCOUNT_TYPE_MANAGED, false
		w.tpm.oneKey, w.tpm.foreignCSR, w.tpm.statements, w.idp.challenge = false, false, nil, nil
		clear(w.tpm.before)
		clear(w.idp.before)
		w.toIdP.cut(false)
		if err := way.enrol(w); err != nil {
			t.Errorf("%s: again afterwards: %v", name, err)
		}
	}
}

// identities is the state file without the enrolment that is not done, which is there to
// be gone on with and says nothing of who the device is.
func (w *world) identities() string {
	w.t.Helper()
	all := map[string]any{}
	if data := w.file(); data != nil {
		if err := json.Unmarshal(data, &all); err != nil {
			w.t.Fatal(err)
		}
	}
	delete(all, "enrolling")
	delete(all, "version")
	return fmt.Sprint(all)
}

func TestALyingIdentityProviderIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		issue func(*issued)
		lie   func(*idpv1.RegisterDeviceResponse)
		want  string
	}{
		"wrong key": {issue: func(i *issued) { i.key = &pool()[9].PublicKey }, want: "another key"},
		"wrong common name": {issue: func(i *issued) {
			i.template.Subject = pkix.Name{CommonName: string(ids.NewDevice())}
		}, want: "subject and device id differ"},
		"common name in upper case": {issue: func(i *issued) {
			i.template.Subject = pkix.Name{CommonName: strings.ToUpper(i.device)}
		}, want: "subject and device id differ"},
		"more than a common name": {issue: func(i *issued) {
			i.template.Subject = pkix.Name{CommonName: i.device, Organization: []string{"x"}}
		}, want: "subject"},
		"the other join type": {issue: func(i *issued) {
			i.join = map[entrawire.JoinType]entrawire.JoinType{entrawire.JoinJoined: entrawire.JoinRegistered, entrawire.JoinRegistered: entrawire.JoinJoined}[i.join]
		}, want: "join type"},
		"expired":       {issue: func(i *issued) { i.template.NotAfter = time.Now().Add(-time.Second) }, want: "expired"},
		"not valid yet": {issue: func(i *issued) { i.template.NotBefore = time.Now().Add(time.Hour) }, want: "not valid yet"},
		"foreign tenant in the certificate": {
			issue: func(i *issued) { i.tenant = string(ids.NewTenant()) }, want: "tenant_id is not the tenant of the certificate",
		},
		"foreign tenant in the answer": {
			lie: func(r *idpv1.RegisterDeviceResponse) { r.TenantId = string(ids.NewTenant()) }, want: "tenant_id",
		},
		"no tenant": {lie: func(r *idpv1.RegisterDeviceResponse) { r.TenantId = "contoso" }, want: "tenant_id is not a GUID"},
		"not a certificate": {
			lie: func(r *idpv1.RegisterDeviceResponse) { r.Certificate = []byte("certificate") }, want: "not one DER certificate",
		},
		"no certificate": {lie: func(r *idpv1.RegisterDeviceResponse) { r.Certificate = nil }, want: "certificate"},
		"huge certificate": {
			lie: func(r *idpv1.RegisterDeviceResponse) { r.Certificate = make([]byte, 9<<10) }, want: "longer than",
		},
		"bytes after the certificate": {
			lie: func(r *idpv1.RegisterDeviceResponse) { r.Certificate = append(r.Certificate, 0) }, want: "not one DER certificate",
		},
		"wrong thumbprint": {
			lie: func(r *idpv1.RegisterDeviceResponse) { r.Thumbprint = strings.Repeat("0", 40) }, want: "thumbprint",
		},
		"thumbprint in lower case": {
			lie: func(r *idpv1.RegisterDeviceResponse) { r.Thumbprint = strings.ToLower(r.Thumbprint) }, want: "thumbprint",
		},
		"another user": {
			lie: func(r *idpv1.RegisterDeviceResponse) { r.UserPrincipalName = "bob@contoso.test" }, want: "user_principal_name",
		},
	} {
		t.Run(name, func(t *testing.T) {
			unchanged(t, func(w *world) { w.idp.issue, w.idp.lie = c.issue, c.lie }, prterr.Denied, c.want)
		})
	}
}

func TestREG20_TheOldNameIsNotTakenAgain(t *testing.T) {
	w := newWorld(t)
	first := w.mustJoin()
	w.idp.issue = func(i *issued) {
		i.device, i.template.Subject = first.GetDeviceId(), pkix.Name{CommonName: first.GetDeviceId()}
	}
	if _, err := w.join(); prterr.KindOf(err) != prterr.Denied || !strings.Contains(err.Error(), "the device as before") {
		t.Errorf("got %v", err)
	}
}

func TestWhatStopsAJoin(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world)
		kind  prterr.Kind
		want  string
	}{
		"federated user": {func(w *world) { w.idp.realm = idpv1.AccountType_ACCOUNT_TYPE_FEDERATED }, prterr.Conflict, "federation provider"},
		"unknown domain": {func(w *world) { w.idp.realm = idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN }, prterr.Invalid, "AADSTS90002"},
		"no account type": {
			func(w *world) { w.idp.realm = idpv1.AccountType_ACCOUNT_TYPE_UNSPECIFIED }, prterr.Denied, "account type",
		},
		"empty token":        {func(w *world) { w.idp.noToken = true }, prterr.Denied, "registration token"},
		"no network":         {func(w *world) { w.toIdP.cut(true) }, prterr.Unavailable, "cannot be reached"},
		"no keys":            {func(w *world) { w.tpm.before["CreateDeviceKeys"] = prterr.New(prterr.TPMFailed, "broken") }, prterr.TPMFailed, "broken"},
		"one key for both":   {func(w *world) { w.tpm.oneKey = true }, prterr.TPMFailed, "the same"},
		"foreign request":    {func(w *world) { w.tpm.foreignCSR = true }, prterr.TPMFailed, "another key"},
		"installation fails": {func(w *world) { w.tpm.before["InstallDeviceCertificate"] = prterr.New(prterr.TPMFailed, "broken") }, prterr.TPMFailed, "not finished"},
	} {
		t.Run(name, func(t *testing.T) { unchanged(t, c.spoil, c.kind, c.want) })
	}
}

func TestAWrongPasswordCostsNoKeys(t *testing.T) {
	w := newWorld(t)
	_, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinDevice(t.Context(), &dsregv1.JoinDeviceRequest{
		UserPrincipalName: alice, Password: "guess", DisplayName: "DESKTOP-1",
	})
	if prterr.CodeOf(err) != aadsts.InvalidCredentials || w.tpm.made != 0 {
		t.Errorf("got %v, %d key sets made", err, w.tpm.made)
	}
}

func TestBadInputIsNamedAndGoesNowhere(t *testing.T) {
	w := newWorld(t)
	good := func() *dsregv1.JoinDeviceRequest {
		return &dsregv1.JoinDeviceRequest{UserPrincipalName: alice, Password: password, DisplayName: "DESKTOP-1"}
	}
	for name, c := range map[string]struct {
		change func(*dsregv1.JoinDeviceRequest)
		field  string
	}{
		"no user":            {func(r *dsregv1.JoinDeviceRequest) { r.UserPrincipalName = "" }, "user_principal_name"},
		"no domain":          {func(r *dsregv1.JoinDeviceRequest) { r.UserPrincipalName = "alice" }, "user_principal_name"},
		"two at signs":       {func(r *dsregv1.JoinDeviceRequest) { r.UserPrincipalName = "a@b@c.test" }, "user_principal_name"},
		"long user":          {func(r *dsregv1.JoinDeviceRequest) { r.UserPrincipalName = strings.Repeat("a", 113) + "@c.test" }, "user_principal_name"},
		"no password":        {func(r *dsregv1.JoinDeviceRequest) { r.Password = "" }, "password"},
		"long password":      {func(r *dsregv1.JoinDeviceRequest) { r.Password = strings.Repeat("x", 257) }, "password"},
		"no name":            {func(r *dsregv1.JoinDeviceRequest) { r.DisplayName = "" }, "display_name"},
		"long name":          {func(r *dsregv1.JoinDeviceRequest) { r.DisplayName = strings.Repeat("ä", 65) }, "display_name"},
		"name with a line":   {func(r *dsregv1.JoinDeviceRequest) { r.DisplayName = "DESK\nTOP" }, "display_name"},
		"name with an order": {func(r *dsregv1.JoinDeviceRequest) { r.DisplayName = "DESK\u202eTOP" }, "display_name"},
	} {
		req := good()
		c.change(req)
		_, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinDevice(t.Context(), req)
		if prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if len(w.toIdP.sent) != 0 || len(w.toTPM.sent) != 0 || w.file() != nil {
		t.Error("bad input went further than the door")
	}
	edge := good()
	edge.DisplayName = strings.Repeat("ä", 64)
	if _, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinDevice(t.Context(), edge); err != nil {
		t.Errorf("64 characters: %v", err)
	}
	edge.Password = strings.Repeat("x", 256)
	if _, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinDevice(t.Context(), edge); prterr.CodeOf(err) != aadsts.InvalidCredentials {
		t.Errorf("256 bytes of password: %v", err)
	}
}
