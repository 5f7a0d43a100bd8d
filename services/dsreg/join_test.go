package dsreg_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

func TestREG07_EntraJoin(t *testing.T) {
	w := newWorld(t)
	if s := w.mustState(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_NONE || s.GetDeviceId() != "" || s.GetKeyProvider() != "" {
		t.Errorf("before: %v", s)
	}
	joined := w.mustJoin()
	cert, err := x509.ParseCertificate(w.tpm.holds())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again after a restart
		s := w.mustState()
		switch {
		case s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_JOINED || !s.GetAzureAdJoined() || s.GetWorkplaceJoined() || s.GetDomainJoined():
			t.Errorf("join state %v", s)
		case s.GetDeviceId() != joined.GetDeviceId() || s.GetDeviceId() != cert.Subject.CommonName:
			t.Errorf("device id %q", s.GetDeviceId())
		case s.GetTenantId() != string(w.idp.tenant) || joined.GetTenantId() != s.GetTenantId():
			t.Errorf("tenant id %q", s.GetTenantId())
		case s.GetDisplayName() != "DESKTOP-1" || s.GetJoinedBy() != alice:
			t.Errorf("names %q %q", s.GetDisplayName(), s.GetJoinedBy())
		case len(s.GetCertificateThumbprint()) != 40 || s.GetCertificateThumbprint() != strings.ToUpper(s.GetCertificateThumbprint()):
			t.Errorf("thumbprint %q", s.GetCertificateThumbprint())
		case !s.GetCertificateNotBefore().AsTime().Equal(cert.NotBefore) || !s.GetCertificateNotAfter().AsTime().Equal(cert.NotAfter):
			t.Errorf("validity %v to %v", s.GetCertificateNotBefore().AsTime(), s.GetCertificateNotAfter().AsTime())
		}
		w.restart(nil)
	}
	if !w.idp.knows(joined.GetDeviceId()) {
		t.Error("the tenant has other devices than this one")
	}
	got := w.idp.got
	if got.GetDisplayName() != "DESKTOP-1" || got.GetDeviceType() != "Windows" || got.GetOsVersion() != "10.0.26100" || got.GetTargetDomain() != "contoso.test" {
		t.Errorf("the tenant was told %v", got)
	}
}

// Of the keys, the registration request holds the certificate request and the
// RSA1 blob; no part of a private key is in anything that leaves the device, in
// the state file or in the log.
func TestREG05_OnlyPublicHalvesTravel(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	set := w.tpm.sets[w.tpm.installed]
	csr, err := entrawire.ParseCSR(w.idp.got.GetCertificateRequest())
	if err != nil || !set.device.PublicKey.Equal(csr.PublicKey) {
		t.Errorf("certificate request: %v", err)
	}
	if tk, err := entrawire.ParseRSA1(w.idp.got.GetTransportKey()); err != nil || !set.transport.PublicKey.Equal(tk) {
		t.Errorf("transport key: %v", err)
	}
	register := w.toIdP.sent[idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName]
	for name, key := range map[string]*rsa.PrivateKey{"device": set.device, "transport": set.transport} {
		if !bytes.Contains(register, key.N.Bytes()) {
			t.Errorf("%s key: the canary search does not find the public half, so it would not find the private one", name)
		}
	}
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
		if bytes.Contains(data, []byte(password)) != (where == idpv1.DeviceRegistrationService_RequestRegistrationToken_FullMethodName) {
			t.Errorf("%s: the password is where it should not be, or not where it should", where)
		}
		if bytes.Contains(data, []byte(w.idp.token(alice))) != (where == idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName) {
			t.Errorf("%s: the registration token is where it should not be, or not where it should", where)
		}
	}
}

func privateParts(set *fakeSet) map[string][]byte {
	parts := map[string][]byte{}
	for name, key := range map[string]*rsa.PrivateKey{"device": set.device, "transport": set.transport} {
		parts[name+" d"] = key.D.Bytes()
		parts[name+" p"] = key.Primes[0].Bytes()
		parts[name+" q"] = key.Primes[1].Bytes()
		parts[name+" dp"] = key.Precomputed.Dp.Bytes()
		parts[name+" dq"] = key.Precomputed.Dq.Bytes()
		parts[name+" qinv"] = key.Precomputed.Qinv.Bytes()
	}
	return parts
}

// A second join gives a new identity; the old device is gone from the tenant and
// its keys from the TPM.
func TestREG20_AJoinAgainIsANewIdentity(t *testing.T) {
	w := newWorld(t)
	first := w.mustJoin()
	oldSet, oldCert := w.tpm.installed, w.tpm.holds()
	second := w.mustJoin()
	if first.GetDeviceId() == second.GetDeviceId() || bytes.Equal(oldCert, w.tpm.holds()) {
		t.Error("the identity stayed")
	}
	if w.tpm.sets[oldSet] != nil || len(w.tpm.sets) != 1 {
		t.Errorf("the TPM holds %d sets, the old one: %v", len(w.tpm.sets), w.tpm.sets[oldSet] != nil)
	}
	if !w.idp.knows(second.GetDeviceId()) {
		t.Error("the tenant still has the old device, or not the new one")
	}
	if s := w.mustState(); s.GetDeviceId() != second.GetDeviceId() {
		t.Errorf("state names %s", s.GetDeviceId())
	}
}

// The new identity does not wait for the removal of the old one.
func TestREG20_WithoutTheOldTenantsHelp(t *testing.T) {
	for _, method := range []string{"IssueNonce", "DeleteDevice"} {
		w := newWorld(t)
		first := w.mustJoin()
		w.idp.before[method] = prterr.New(prterr.Unavailable, "out of order")
		second := w.mustJoin()
		if s := w.mustState(); s.GetDeviceId() != second.GetDeviceId() || !w.idp.knows(first.GetDeviceId(), second.GetDeviceId()) {
			t.Errorf("%s: state names %s", method, s.GetDeviceId())
		}
		if !strings.Contains(w.logged(), first.GetDeviceId()) {
			t.Errorf("%s: the log does not name the device that was left behind", method)
		}
	}
}

func TestOneChangeAtATime(t *testing.T) {
	w := newWorld(t)
	first := w.mustJoin()
	w.idp.entered, w.idp.proceed = make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() { _, err := w.join(); done <- err }()
	<-w.idp.entered
	if _, err := w.join(); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("a second join: %v", err)
	}
	if err := w.leave(false); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("a leave: %v", err)
	}
	if s := w.mustState(); s.GetDeviceId() != first.GetDeviceId() {
		t.Errorf("state during a join names %s", s.GetDeviceId())
	}
	close(w.idp.proceed)
	if err := <-done; err != nil {
		t.Errorf("the first join: %v", err)
	}
	w.idp.entered = nil
	if err := w.leave(false); err != nil {
		t.Errorf("a leave afterwards: %v", err)
	}
}

func TestKeyProvider(t *testing.T) {
	for level, protected := range map[tpmv1.ProtectionLevel]bool{
		tpmv1.ProtectionLevel_PROTECTION_LEVEL_HARDWARE:    true,
		tpmv1.ProtectionLevel_PROTECTION_LEVEL_EMULATED:    false,
		tpmv1.ProtectionLevel_PROTECTION_LEVEL_UNSPECIFIED: false,
		tpmv1.ProtectionLevel(99):                          false,
	} {
		w := newWorld(t)
		w.tpm.protection = level
		w.mustJoin()
		w.toTPM.cut(true)
		w.toIdP.cut(true)
		if s := w.mustState(); s.GetKeyProvider() != "" || s.GetTpmProtected() || s.GetDeviceId() == "" {
			t.Errorf("%v: without the tpm-agent: %v", level, s)
		}
		w.toTPM.cut(false)
		for range 2 {
			if s := w.mustState(); s.GetKeyProvider() != "Test TPM" || s.GetTpmProtected() != protected {
				t.Errorf("%v: %q, protected %v", level, s.GetKeyProvider(), s.GetTpmProtected())
			}
			w.toTPM.cut(true) // from here on by heart
		}
		if d := w.toTPM.allowed[tpmv1.ProviderService_DescribeProvider_FullMethodName]; d <= 0 || d > 5*time.Second {
			t.Errorf("%v: a tpm-agent that hangs would hold the state up for %v", level, d)
		}
		if w.tpm.described != 1 {
			t.Errorf("asked %d times", w.tpm.described)
		}
	}
}

func TestWhoMayCall(t *testing.T) {
	w := newWorld(t)
	for caller, allowed := range map[string][]string{
		"operator": {"join", "register", "leave", "state", "hybrid", "account", "recover", "migrate"}, "lsa-cloudap": {"state", "start"}, "wam-broker": {"register", "leave", "state"},
		"app": nil, "browser": nil, "idp": nil, "tpm-agent": nil, "dsreg": nil, "logonui": nil, "browsercore": nil,
	} {
		conn, stop := w.door(caller)
		registration := dsregv1.NewRegistrationServiceClient(conn)
		_, join := registration.JoinDevice(t.Context(), &dsregv1.JoinDeviceRequest{})
		_, register := registration.RegisterDevice(t.Context(), &dsregv1.RegisterDeviceRequest{})
		_, leave := registration.LeaveDevice(t.Context(), &dsregv1.LeaveDeviceRequest{})
		_, state := dsregv1.NewDeviceStateServiceClient(conn).GetDeviceState(t.Context(), &dsregv1.GetDeviceStateRequest{})
		_, hybrid := registration.JoinHybridDevice(t.Context(), &dsregv1.JoinHybridDeviceRequest{})
		_, account := registration.DescribeComputerAccount(t.Context(), &dsregv1.DescribeComputerAccountRequest{})
		_, recovered := registration.RecoverDevice(t.Context(), &dsregv1.RecoverDeviceRequest{})
		_, migrate := registration.MigrateDeviceKeys(t.Context(), &dsregv1.MigrateDeviceKeysRequest{})
		_, start := dsregv1.NewRecoveryServiceClient(conn).StartRecovery(t.Context(), &dsregv1.StartRecoveryRequest{})
		for method, err := range map[string]error{
			"join": join, "register": register, "leave": leave, "state": state,
			"hybrid": hybrid, "account": account, "recover": recovered, "migrate": migrate, "start": start,
		} {
			if denied := prterr.KindOf(err) == prterr.Denied; denied == slices.Contains(allowed, method) {
				t.Errorf("%s calls %s: %v", caller, method, err)
			}
		}
		stop()
	}
}
