package dsreg_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

func (w *world) describe(live bool) *dsregv1.DescribeRegistrationResponse {
	w.t.Helper()
	d, err := dsregv1.NewDiagnosticsServiceClient(w.conn).DescribeRegistration(w.t.Context(), &dsregv1.DescribeRegistrationRequest{Live: live})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// newest is the newest event of an id, nil when there is none.
func (w *world) newest(id uint32) *eventv1.Event {
	w.t.Helper()
	l, err := eventv1.NewEventServiceClient(w.conn).ListEvents(w.t.Context(), &eventv1.ListEventsRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range slices.Backward(l.GetEvents()) {
		if e.GetId() == id {
			return e
		}
	}
	return nil
}

// wantAttempt checks how the last attempt ended, and that this outlives a restart.
func (w *world) wantAttempt(kind, phase string, code uint32, server string, pending bool) {
	w.t.Helper()
	for range 2 {
		a := w.describe(false).GetLastAttempt()
		if a.GetRegistrationType() != kind || a.GetErrorPhase() != phase || a.GetClientErrorCode() != code || a.GetServerErrorCode() != server ||
			a.GetPending() != pending || a.GetTime() == nil || len(a.GetRequestId()) != 32 {
			w.t.Errorf("last attempt %v, want %s, %q, 0x%x, %q", a, kind, phase, code, server)
		}
		w.restart(nil)
	}
}

// wantEvent checks the newest event of an id.
func (w *world) wantEvent(id uint32, level eventv1.Level, status uint32) {
	w.t.Helper()
	e := w.newest(id)
	if e == nil || e.GetLevel() != level || e.GetStatus() != status || e.GetChannel() != "Microsoft-Windows-User Device Registration/Admin" || e.GetMessage() == "" || e.GetComponent() != "dsreg" || len(e.GetCorrelationId()) != 32 {
		w.t.Errorf("event %d: %v, want %v, 0x%x", id, e, level, status)
	}
}

const (
	information, warning, bad = eventv1.Level_LEVEL_INFORMATION, eventv1.Level_LEVEL_WARNING, eventv1.Level_LEVEL_ERROR
)

// TestREG15_TheStatusOfAWaitingJoin: client code 0x801c03f2 and DirectoryError until the
// sync has run.
func TestREG15_TheStatusOfAWaitingJoin(t *testing.T) {
	w := newWorld(t)
	if a, err := w.hybrid(); err != nil || !a.GetPending() {
		t.Fatalf("%v, %v", a, err)
	}
	w.wantEvent(220, information, 0)
	w.wantEvent(201, information, 0)
	w.wantEvent(204, bad, 0x801c03f2)
	w.wantEvent(304, warning, 0x801c03f2)
	w.wantAttempt("sync", "join", 0x801c03f2, "DirectoryError", true)
	d := w.describe(true)
	if !d.GetState().GetDomainJoined() || d.GetState().GetAzureAdJoined() || d.GetDomainName() != "contoso.test" || !d.GetLastAttempt().GetFallbackToSyncJoin() ||
		d.GetTenant().GetTenantName() != "Contoso" || d.GetDeviceAuthStatus() != dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_UNSPECIFIED {
		t.Errorf("%v", d)
	}
	want := "AD Connectivity Test SKIPPED 0, AD Configuration Test PASS 0, DRS Discovery Test PASS 0, DRS Connectivity Test PASS 0, Token acquisition Test SKIPPED 0"
	if got := tests(d); got != want {
		t.Errorf("tests %s", got)
	}
	w.sync()
	if a, err := w.hybrid(); err != nil || a.GetPending() {
		t.Fatalf("after the sync: %v, %v", a, err)
	}
	w.wantEvent(204, information, 0)
	w.wantAttempt("sync", "", 0, "", false)
	if d := w.describe(true); len(d.GetTests()) != 0 || d.GetDomainName() != "contoso.test" || d.GetState().GetJoinState() != dsregv1.JoinState_JOIN_STATE_HYBRID {
		t.Errorf("%v", d)
	}
}

func tests(d *dsregv1.DescribeRegistrationResponse) string {
	var out []string
	for _, x := range d.GetTests() {
		out = append(out, strings.TrimSpace(x.GetName()+" "+x.GetResult()+" "+hex(x.GetCode())+" "+hex(x.GetSubCode())))
	}
	return strings.ReplaceAll(strings.Join(out, ", "), " 0 0", " 0")
}

func hex(n uint32) string {
	const digits = "0123456789abcdef"
	if n == 0 {
		return "0"
	}
	s := ""
	for ; n > 0; n >>= 4 {
		s = string(digits[n&15]) + s
	}
	return s
}

// TestTheTestsBeforeAHybridJoin: each fault is told by the test that it breaks.
func TestTheTestsBeforeAHybridJoin(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world)
		want  string
	}{
		"the network is down": {func(w *world) { w.toIdP.cut(true) },
			"AD Connectivity Test SKIPPED 0, AD Configuration Test SKIPPED 0, DRS Discovery Test FAIL 801c0021 80072efd, DRS Connectivity Test FAIL 801c0021 80072efd, Token acquisition Test SKIPPED 0"},
		"a proxy answers": {func(w *world) {
			w.idp.before["DescribeRegistrationServices"] = prterr.New(prterr.Denied, "not JSON")
		}, "AD Connectivity Test SKIPPED 0, AD Configuration Test SKIPPED 0, DRS Discovery Test FAIL 801c0021 8007000d, DRS Connectivity Test PASS 0, Token acquisition Test SKIPPED 0"},
		"another tenant": {func(w *world) {
			first := true
			w.idp.discovery = func(r *idpv1.DescribeRegistrationServicesResponse) {
				if !first { // the second question is for the domain
					r.TenantId = computerID
				}
				first = false
			}
		}, "AD Connectivity Test SKIPPED 0, AD Configuration Test FAIL 801c001d 0, DRS Discovery Test PASS 0, DRS Connectivity Test PASS 0, Token acquisition Test SKIPPED 0"},
	} {
		w := newWorld(t)
		if _, err := w.hybrid(); err != nil {
			t.Fatal(err)
		}
		w.idp.set(func() { c.spoil(w) })
		if got := tests(w.describe(true)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
		if got := tests(w.describe(false)); strings.Count(got, "SKIPPED") != 5 {
			t.Errorf("%s: not live: %s", name, got)
		}
	}
}

// TestWhereAnAttemptFailed: phase, codes and the event for each kind of failure.
func TestWhereAnAttemptFailed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil        func(*world)
		phase        string
		code         uint32
		server       string
		event, after uint32
	}{
		"domain unknown":     {func(w *world) { w.idp.realm = idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN }, "discover", 0x801c003a, "AADSTS90002", 307, 0},
		"domain federated":   {func(w *world) { w.idp.realm = idpv1.AccountType_ACCOUNT_TYPE_FEDERATED }, "discover", 0x801c003d, "", 307, 0},
		"no network":         {func(w *world) { w.toIdP.cut(true) }, "discover", 0x801c0021, "", 307, 0},
		"discovery too slow": {func(w *world) { w.idp.before["DescribeRegistrationServices"] = prterr.New(prterr.Deadline, "late") }, "discover", 0x801c001f, "", 307, 201},
		"discovery busy":     {func(w *world) { w.idp.before["DescribeRegistrationServices"] = prterr.New(prterr.Exhausted, "wait") }, "discover", 0x801c0025, "", 307, 201},
		"wrong password":     {func(w *world) { w.idp.users[alice] = "" }, "auth", 0xcaa90006, "AADSTS50126", 305, 0},
		"no token":           {func(w *world) { w.idp.noToken = true }, "auth", 0xcaa90006, "", 305, 0},
		"TPM failed":         {func(w *world) { w.tpm.dead = true }, "join", 0x80290407, "", 304, 0},
		"agent unreachable":  {func(w *world) { w.toTPM.cut(true) }, "join", 0x80090030, "", 304, 0},
		"refused":            {func(w *world) { w.idp.strict, w.tpm.absent = true, true }, "join", 0x801c0003, "", 304, 204},
		"a lie":              {func(w *world) { w.idp.lie = func(r *idpv1.RegisterDeviceResponse) { r.Thumbprint = "AB" } }, "join", 0x801c0003, "", 304, 204},
		"another tenant": {func(w *world) {
			w.idp.discovery = func(r *idpv1.DescribeRegistrationServicesResponse) { r.TenantId = computerID }
		}, "join", 0x801c0003, "", 304, 204},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(w)
			if _, err := w.join(); err == nil {
				t.Fatal("joined")
			}
			w.wantEvent(c.event, bad, c.code)
			if c.after != 0 {
				w.wantEvent(c.after, bad, c.code)
			}
			w.wantAttempt("join", c.phase, c.code, c.server, false)
		})
	}
}

func TestAnAttemptThatIsNotMade(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	w.wantAttempt("join", "", 0, "", false)
	if _, err := w.register(); err == nil {
		t.Fatal("registered")
	}
	w.wantAttempt("register", "pre-check", 0x8007139f, "", false)
	if msg := w.describe(false).GetLastAttempt().GetServerMessage(); msg != "" {
		t.Errorf("no server was asked, and it said %q", msg)
	}
}

// TestINV06_WhatLiveTestsSay of the device at its tenant, and of its keys.
func TestINV06_WhatLiveTestsSay(t *testing.T) {
	type status = dsregv1.DeviceAuthStatus
	const success, gone, failure, untested = dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_SUCCESS, dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_DISABLED_OR_DELETED,
		dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_ERROR, dsregv1.DeviceAuthStatus_DEVICE_AUTH_STATUS_UNSPECIFIED
	for name, c := range map[string]struct {
		spoil func(*world)
		auth  status
		keys  dsregv1.KeySignTest
	}{
		"well":     {func(*world) {}, success, passed},
		"deleted":  {func(w *world) { clear(w.idp.devices) }, gone, passed},
		"disabled": {func(w *world) { w.idp.before["CheckDevice"] = prterr.AADSTS(aadsts.DeviceDisabled, "") }, gone, passed},
		"as Entra, without such a call": {func(w *world) {
			w.idp.before["CheckDevice"] = prterr.New(prterr.NotFound, "the identity provider does not know this request")
		}, untested, passed},
		"busy":              {func(w *world) { w.idp.before["CheckDevice"] = prterr.New(prterr.Exhausted, "wait") }, failure, passed},
		"no network":        {func(w *world) { w.toIdP.cut(true) }, failure, passed},
		"keys lost":         {func(w *world) { w.tpm.damage(tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEYS_LOST) }, failure, failed},
		"TPM failed":        {func(w *world) { w.tpm.dead = true }, failure, failed},
		"agent unreachable": {func(w *world) { w.toTPM.cut(true) }, failure, notRun},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			joined := w.mustJoin()
			w.ages()
			w.idp.set(func() { c.spoil(w) })
			d := w.describe(true)
			if d.GetDeviceAuthStatus() != c.auth || d.GetState().GetKeySignTest() != c.keys {
				t.Errorf("device authentication %v, keys %v", d.GetDeviceAuthStatus(), d.GetState().GetKeySignTest())
			}
			if d.GetState().GetDeviceId() != joined.GetDeviceId() || d.GetKeyContainerId() == "" || d.GetTenant().GetJoinSrv().GetVersion() != "2.0" || d.GetTenant().GetIdp() != "login.test" {
				t.Errorf("%v", d)
			}
			if recovery := d.GetState().GetAadRecoveryEnabled(); recovery != (name == "keys lost") {
				t.Errorf("AadRecoveryEnabled %v", recovery)
			}
			for _, m := range []string{idpv1.DeviceRegistrationService_CheckDevice_FullMethodName, idpv1.NonceService_IssueNonce_FullMethodName} {
				if allowed := w.toIdP.allowed[m]; allowed > 3*time.Second {
					t.Errorf("%s may take %v", m, allowed)
				}
			}
		})
	}
}

// TestNotesDecideNothing: a file of notes that is damaged is put aside and named, and what
// is in it is no secret.
func TestNotesDecideNothing(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	path := filepath.Join(w.dir, "diagnostics.json")
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, []byte(password)) {
		t.Fatalf("%v: %s", err, data)
	}
	for i, bad := range []string{"", "{", `{"version":9}`, `{"version":1,"attempt":{"type":"a\u0007b"}}`, `{"version":1,"attempt":{"type":"` + strings.Repeat("x", 2000) + `"}}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		w.restart(nil)
		if d := w.describe(false); d.GetLastAttempt() != nil || d.GetTenant().GetTenantName() != "" || d.GetTenant().GetTenantId() != string(w.idp.tenant) {
			t.Errorf("%.40s: %v", bad, d)
		}
		if !strings.Contains(w.logged(), "begins anew") {
			t.Errorf("%.40s: nothing is logged", bad)
		}
		aside, err := filepath.Glob(filepath.Join(w.dir, "quarantine", "diagnostics.json.*"))
		if err != nil || len(aside) != i+1 || !strings.Contains(w.logged(), aside[i]) {
			t.Errorf("%.40s: in quarantine %v, %v", bad, aside, err)
		}
		w.mustState()
	}
	if d := w.describe(true); d.GetTenant().GetTenantName() != "Contoso" {
		t.Errorf("a live test brings it back: %v", d.GetTenant())
	}
}

func TestOnlyTheOperatorReadsDiagnosticsAndEvents(t *testing.T) {
	w := newWorld(t)
	for _, caller := range []string{"lsa-cloudap", "wam-broker", "app"} {
		conn, stop := w.door(caller)
		if _, err := dsregv1.NewDiagnosticsServiceClient(conn).DescribeRegistration(t.Context(), &dsregv1.DescribeRegistrationRequest{}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", caller, err)
		}
		if _, err := eventv1.NewEventServiceClient(conn).ListEvents(t.Context(), &eventv1.ListEventsRequest{}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", caller, err)
		}
		stop()
	}
}

// TestOBS02_ALookWritesNothingAndARestartForgetsNothing: before a join, while one waits and
// after it.
func TestOBS02_ALookWritesNothingAndARestartForgetsNothing(t *testing.T) {
	w := newWorld(t)
	events := func() []*eventv1.Event {
		t.Helper()
		l, err := eventv1.NewEventServiceClient(w.conn).ListEvents(t.Context(), &eventv1.ListEventsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return l.GetEvents()
	}
	for _, when := range []struct {
		what string
		do   func()
		want int
	}{
		{"before a join", func() {}, 0},
		{"while one waits", func() { _, _ = w.hybrid() }, 4},
		{"after it", func() { w.sync(); _, _ = w.hybrid() }, 6},
	} {
		when.do()
		before := events()
		if len(before) != when.want {
			t.Fatalf("%s: %d events: %v", when.what, len(before), before)
		}
		w.describe(true)
		w.restart(nil)
		w.describe(true)
		if after := events(); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: events %v, before %v", when.what, after, before)
		}
	}
}
