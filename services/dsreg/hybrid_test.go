package dsreg_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg"
)

const (
	computerID  = "0f3b2c1d-5e4f-4a6b-8c7d-9e0f1a2b3c4d"
	computerSID = "S-1-5-21-1111111111-2222222222-3333333333-1104"
)

func (w *world) hybridRequest() *dsregv1.JoinHybridDeviceRequest {
	return &dsregv1.JoinHybridDeviceRequest{
		TenantId: string(w.idp.tenant), TargetDomain: "contoso.test", ComputerId: computerID, ComputerSid: computerSID, DisplayName: "PC-7",
	}
}

func (w *world) hybrid() (*dsregv1.JoinHybridDeviceResponse, error) {
	w.clock.Advance(time.Second) // a computer signs its identity once a second
	return dsregv1.NewRegistrationServiceClient(w.conn).JoinHybridDevice(w.t.Context(), w.hybridRequest())
}

// sync does what AD Connect does: it brings what the computer has written to its
// object to the tenant.
func (w *world) sync() {
	w.t.Helper()
	a, err := dsregv1.NewRegistrationServiceClient(w.conn).DescribeComputerAccount(w.t.Context(), &dsregv1.DescribeComputerAccountRequest{})
	if err != nil || a.GetComputerId() != computerID || a.GetComputerSid() != computerSID || a.GetDisplayName() != "PC-7" || a.GetTenantId() != string(w.idp.tenant) {
		w.t.Fatalf("the account of the computer: %v, %v", a, err)
	}
	w.idp.put(a.GetComputerId(), a.GetComputerSid(), a.GetCertificate())
}

// mustHybrid is a hybrid join with a sync in its middle.
func (w *world) mustHybrid() {
	w.t.Helper()
	if a, err := w.hybrid(); err != nil || !a.GetPending() {
		w.t.Fatalf("before the sync: %v, %v", a, err)
	}
	w.sync()
	if a, err := w.hybrid(); err != nil || a.GetPending() {
		w.t.Fatalf("after the sync: %v, %v", a, err)
	}
}

func (w *world) isHybrid() {
	w.t.Helper()
	s := w.consistent()
	if s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_HYBRID || !s.GetDomainJoined() || !s.GetAzureAdJoined() || s.GetWorkplaceJoined() ||
		s.GetDeviceId() != computerID || s.GetTenantId() != string(w.idp.tenant) || s.GetDisplayName() != "PC-7" || s.GetJoinedBy() != "" || s.GetAttestedProtection() != "emulated" {
		w.t.Errorf("state %v", s)
	}
	if !w.idp.knows(computerID) || len(w.tpm.sets) != 1 || !w.tpm.sets[w.tpm.installed].native {
		w.t.Errorf("the tenant knows it: %v, %d key sets", w.idp.knows(computerID), len(w.tpm.sets))
	}
}

func TestREG15_AHybridJoinWaitsForTheSync(t *testing.T) {
	w := newWorld(t)
	w.idp.strict = true
	for range 2 { // it waits over a restart, with the same keys
		if a, err := w.hybrid(); err != nil || !a.GetPending() || a.GetDeviceId() != computerID || a.GetTenantId() != string(w.idp.tenant) {
			t.Fatalf("before the sync: %v, %v", a, err)
		}
		if s := w.mustState(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE || s.GetDeviceId() != "" {
			t.Errorf("a device that waits: %v", s)
		}
		w.restart(nil)
	}
	if w.tpm.made != 1 {
		t.Errorf("%d key sets made", w.tpm.made)
	}
	w.sync()
	if a, err := w.hybrid(); err != nil || a.GetPending() {
		t.Fatalf("after the sync: %v, %v", a, err)
	}
	account := func() []byte {
		a, err := dsregv1.NewRegistrationServiceClient(w.conn).DescribeComputerAccount(t.Context(), &dsregv1.DescribeComputerAccountRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return a.GetCertificate()
	}
	for range 2 { // and again after a restart
		w.isHybrid()
		if a, err := w.hybrid(); err != nil || a.GetPending() || w.tpm.made != 1 {
			t.Errorf("joining again: %v, %v", a, err)
		}
		if cert, err := x509.ParseCertificate(account()); err != nil || cert.Subject.CommonName != computerID {
			t.Errorf("what the sync reads: %v", err)
		}
		w.restart(nil)
	}
	if err := w.leave(false); err != nil {
		t.Fatal(err)
	}
	w.isGone(t)
}

// Nobody has to call again: the join goes on by itself, over restarts too, and ends
// with the component.
func TestREG15_AWaitingJoinGoesOnByItself(t *testing.T) {
	w := newWorld(t)
	if _, err := w.hybrid(); err != nil {
		t.Fatal(err)
	}
	w.later("it was tried", func() bool { return strings.Count(w.logged(), "waits for the sync of the domain") >= 2 })
	w.sync()
	w.restart(nil)
	w.later("it has joined", func() bool { return w.mustState().GetDeviceId() != "" })
	w.isHybrid()
}

// A refusal that will be the same the next time is not repeated by itself.
func TestARefusedHybridJoinIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	if _, err := w.hybrid(); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.idp.set(func() { w.idp.before["JoinHybridDevice"] = prterr.New(prterr.Denied, "the attestation is not right") })
	w.later("it was refused", func() bool { return strings.Contains(w.logged(), "a hybrid join that waits has failed") })
	w.clock.Advance(24 * time.Hour)
	time.Sleep(20 * time.Millisecond) // a second try would be under way by now
	if n := strings.Count(w.logged(), "a hybrid join that waits has failed"); n != 1 {
		t.Errorf("tried %d times", n)
	}
	if _, err := w.hybrid(); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("asked by hand: %v", err)
	}
	w.idp.set(func() { clear(w.idp.before) })
	if a, err := w.hybrid(); err != nil || a.GetPending() {
		t.Errorf("when the tenant takes it: %v, %v", a, err)
	}
	w.isHybrid()
}

// The tenant completed the join and its answer was lost. The object waits no more,
// so the join begins again with other keys, which the sync brings.
func TestALostAnswerToAHybridJoin(t *testing.T) {
	w := newWorld(t)
	if _, err := w.hybrid(); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.idp.after["JoinHybridDevice"] = prterr.New(prterr.Deadline, "too slow")
	if _, err := w.hybrid(); prterr.KindOf(err) != prterr.Deadline {
		t.Fatalf("got %v", err)
	}
	clear(w.idp.after)
	w.restart(nil)
	if a, err := w.hybrid(); err != nil || !a.GetPending() || w.tpm.made != 2 {
		t.Fatalf("got %v, %v, %d key sets made", a, err, w.tpm.made)
	}
	w.sync()
	if a, err := w.hybrid(); err != nil || a.GetPending() {
		t.Fatalf("got %v, %v", a, err)
	}
	w.isHybrid()
}

func TestACrashInAHybridJoin(t *testing.T) {
	way := func(w *world) error {
		a, err := w.hybrid()
		if err == nil && a.GetPending() {
			w.sync()
			_, err = w.hybrid()
		}
		return err
	}
	everyCrash(t, func(*world) {}, way, func(t *testing.T, w *world) {
		w.consistent()
		for range 3 {
			if w.mustState().GetJoinState() == dsregv1.JoinState_JOIN_STATE_HYBRID {
				break
			}
			if err := way(w); err != nil {
				t.Fatalf("trying again: %v", err)
			}
		}
		w.isHybrid()
	}, "keys-created", "waiting-written", "registered")
}

func TestWhatAHybridJoinMakesWayFor(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	if _, err := w.hybrid(); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "leave first") {
		t.Errorf("on a joined device: %v", err)
	}
	w = newWorld(t)
	w.mustRegister()
	w.mustHybrid()
	w.isHybrid()
	other := w.hybridRequest()
	other.ComputerSid = "S-1-5-21-1-2-3-4"
	if _, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinHybridDevice(t.Context(), other); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("as another computer: %v", err)
	}
	joined := w.mustJoin() // who operates the device may join it over whatever it was
	if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || s.GetDomainJoined() || !w.idp.knows(joined.GetDeviceId()) {
		t.Errorf("state %v", s)
	}

	w = newWorld(t)
	if _, err := w.hybrid(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.register(); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "waits for the sync") {
		t.Errorf("registering while a join waits: %v", err)
	}
	if err := w.leave(false); err != nil {
		t.Fatalf("leaving while a join waits: %v", err)
	}
	w.isGone(t)
	if _, err := w.hybrid(); err != nil {
		t.Fatal(err)
	}
	w.mustJoin()
	w.consistent()
	w.clock.Advance(time.Hour)
	if s := w.consistent(); s.GetDomainJoined() || len(w.tpm.sets) != 1 {
		t.Errorf("state %v", s)
	}
}

func TestALyingTPMDoesNotJoinHybrid(t *testing.T) {
	for name, change := range map[string]func(*x509.Certificate, *rsa.PrivateKey) *rsa.PrivateKey{
		"another key": func(*x509.Certificate, *rsa.PrivateKey) *rsa.PrivateKey { return pool()[9] },
		"another computer": func(c *x509.Certificate, k *rsa.PrivateKey) *rsa.PrivateKey {
			c.Subject = pkix.Name{CommonName: "DESKTOP-1"}
			return k
		},
	} {
		w := newWorld(t)
		w.tpm.computer = change
		if _, err := w.hybrid(); prterr.KindOf(err) != prterr.TPMFailed || !strings.Contains(err.Error(), name) || w.file() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadInputOfAHybridJoinIsNamedAndGoesNowhere(t *testing.T) {
	w := newWorld(t)
	for field, change := range map[string]func(*dsregv1.JoinHybridDeviceRequest){
		"tenant_id":     func(r *dsregv1.JoinHybridDeviceRequest) { r.TenantId = "contoso" },
		"computer_id":   func(r *dsregv1.JoinHybridDeviceRequest) { r.ComputerId = "PC-7" },
		"computer_sid":  func(r *dsregv1.JoinHybridDeviceRequest) { r.ComputerSid = "S-1-5-21-1.2026-01-01" },
		"target_domain": func(r *dsregv1.JoinHybridDeviceRequest) { r.TargetDomain = "a b" },
		"display_name":  func(r *dsregv1.JoinHybridDeviceRequest) { r.DisplayName = "" },
	} {
		r := w.hybridRequest()
		change(r)
		if _, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinHybridDevice(t.Context(), r); prterr.KindOf(err) != prterr.Invalid || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if len(w.toIdP.sent) != 0 || len(w.toTPM.sent) != 0 || w.file() != nil {
		t.Error("bad input went further than the door")
	}
	_, err := dsregv1.NewRegistrationServiceClient(w.conn).DescribeComputerAccount(t.Context(), &dsregv1.DescribeComputerAccountRequest{})
	if prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("the account of a computer that is in no domain: %v", err)
	}
}

// A hybrid join costs no password and leaves none behind.
func TestREG05_AHybridJoinSendsPublicHalvesOnly(t *testing.T) {
	w := newWorld(t)
	w.mustHybrid()
	set := w.tpm.sets[w.tpm.installed]
	all := map[string][]byte{"state file": w.file(), "log": []byte(w.logged())}
	for method, data := range w.toIdP.sent {
		all[method] = data
	}
	for where, data := range all {
		for name, canary := range privateParts(set) {
			if bytes.Contains(data, canary) {
				t.Errorf("%s holds %s", where, name)
			}
		}
	}
	if _, err := dsreg.New(w.config(nil)); err != nil {
		t.Error(err)
	}
}

// The tenant takes each text once, and a text has its time in seconds: two identities
// never have the same.
func TestAComputerSignsNoIdentityTwice(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for range 2 {
		if _, err := dsregv1.NewRegistrationServiceClient(w.conn).JoinHybridDevice(t.Context(), w.hybridRequest()); err != nil {
			t.Fatal(err)
		}
		if seen[w.idp.identity] || w.idp.identity == "" {
			t.Errorf("%q was sent twice", w.idp.identity)
		}
		seen[w.idp.identity] = true
	}
}
