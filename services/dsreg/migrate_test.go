package dsreg_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

func (w *world) migrate() (*dsregv1.MigrateDeviceKeysResponse, error) {
	return dsregv1.NewRegistrationServiceClient(w.conn).MigrateDeviceKeys(w.t.Context(), &dsregv1.MigrateDeviceKeysRequest{})
}

// olderFile puts the state file into the form of the first version.
func (w *world) olderFile() {
	w.t.Helper()
	var m map[string]any
	if err := json.Unmarshal(w.file(), &m); err != nil {
		w.t.Fatal(err)
	}
	m["version"] = 1
	for _, member := range []string{"key_protection", "administrators", "membership_id"} {
		delete(m["current"].(map[string]any), member)
	}
	data, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "device.json"), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.restart(nil)
}

// onSoftware is a device that was joined without a TPM and has one now.
func onSoftware(w *world) *dsregv1.JoinDeviceResponse {
	w.tpm.absent = true
	joined := w.mustJoin()
	w.tpm.absent = false
	return joined
}

func TestREG03_SoftwareKeysAreNamed(t *testing.T) {
	w := newWorld(t)
	onSoftware(w)
	for range 2 {
		s := w.mustState()
		if s.GetTpmProtected() || s.GetKeyProvider() != "Test software store" || s.GetSoftwareReason() != "no TPM was found" || s.GetAttestedProtection() != "software" {
			t.Errorf("state %v", s)
		}
		w.restart(nil)
	}
}

func TestPRO13_KeysMoveToTheTPM(t *testing.T) {
	w := newWorld(t)
	joined := onSoftware(w)
	old, before := w.tpm.holds(), w.mustState()
	resp, err := w.migrate()
	if err != nil || resp.GetKeyProvider() != "Test TPM" {
		t.Fatalf("got %v, %v", resp, err)
	}
	for range 2 {
		s := w.consistent()
		if s.GetDeviceId() != joined.GetDeviceId() || s.GetJoinedBy() != alice || s.GetDisplayName() != before.GetDisplayName() || s.GetJoinState() != before.GetJoinState() {
			t.Errorf("before %v, after %v", before, s)
		}
		if s.GetKeyProvider() != "Test TPM" || s.GetSoftwareReason() != "" || s.GetAttestedProtection() != "emulated" || !w.tpm.sets[w.tpm.installed].native {
			t.Errorf("state %v", s)
		}
		w.restart(nil)
	}
	if bytes.Equal(old, w.tpm.holds()) || len(w.tpm.sets) != 1 || !w.idp.knows(joined.GetDeviceId()) {
		t.Errorf("%d key sets", len(w.tpm.sets))
	}
	if _, err := w.migrate(); prterr.KindOf(err) != prterr.Conflict || !strings.Contains(err.Error(), "where they belong") {
		t.Errorf("migrating again: %v", err)
	}
	w.tpm.wipe()
	if _, err := w.recover(alice, password); err != nil {
		t.Errorf("the administrator is not known any more: %v", err)
	}
}

func TestPRO13_AHybridDeviceStaysOne(t *testing.T) {
	w := newWorld(t)
	w.tpm.absent = true
	w.mustHybrid()
	w.tpm.absent = false
	if _, err := w.migrate(); err != nil {
		t.Fatal(err)
	}
	w.isHybrid()
}

func TestPRO13_WhatStopsAMigration(t *testing.T) {
	w := newWorld(t)
	if _, err := w.migrate(); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("no device: %v", err)
	}
	w.tpm.absent = true
	w.mustJoin()
	if _, err := w.migrate(); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("no TPM: %v", err)
	}
	for name, c := range map[string]struct {
		spoil func(*world)
		kind  prterr.Kind
	}{
		"no network": {func(w *world) { w.toIdP.cut(true) }, prterr.Unavailable},
		"no tpm":     {func(w *world) { w.toTPM.cut(true) }, prterr.Unavailable},
		"bad nonce":  {func(w *world) { w.idp.badNonce = true }, prterr.Denied},
		"refused":    {func(w *world) { w.idp.before["ReplaceDeviceKeys"] = prterr.New(prterr.Denied, "no") }, prterr.Denied},
		"old key not taken": {func(w *world) {
			w.idp.before["ReplaceDeviceKeys"] = prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
		}, prterr.Denied},
		"another device": {func(w *world) {
			w.idp.issue = func(i *issued) { i.device = computerID; i.template.Subject.CommonName = computerID }
		}, prterr.Denied},
		"another tenant":     {func(w *world) { w.idp.issue = func(i *issued) { i.tenant = computerID } }, prterr.Denied},
		"another key":        {func(w *world) { w.idp.issue = func(i *issued) { i.key = &pool()[9].PublicKey } }, prterr.Denied},
		"the TPM is foreign": {func(w *world) { w.idp.before["RequestAttestationChallenge"] = prterr.New(prterr.Denied, "no") }, prterr.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			joined := onSoftware(w)
			cert := w.tpm.holds()
			w.ages()
			c.spoil(w)
			if _, err := w.migrate(); prterr.KindOf(err) != c.kind {
				t.Errorf("got %v", err)
			}
			w.toIdP.cut(false)
			w.toTPM.cut(false)
			if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || !bytes.Equal(cert, w.tpm.holds()) {
				t.Errorf("state %v", s)
			}
		})
	}
}

// The TPM fails after the tenant has taken the new keys: migrating again goes on with
// them and asks the tenant for nothing.
func TestPRO13_AnInstallationThatFails(t *testing.T) {
	w := newWorld(t)
	joined := onSoftware(w)
	w.tpm.before["InstallDeviceCertificate"] = prterr.New(prterr.TPMFailed, "broken")
	if _, err := w.migrate(); prterr.KindOf(err) != prterr.TPMFailed || !strings.Contains(err.Error(), "migrate again") {
		t.Fatalf("got %v", err)
	}
	clear(w.tpm.before)
	w.restart(nil)
	w.toIdP.cut(true)
	if _, err := w.migrate(); err != nil {
		t.Fatal(err)
	}
	if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || !w.tpm.sets[w.tpm.installed].native || s.GetAttestedProtection() != "emulated" {
		t.Errorf("state %v", s)
	}
}

// The answer of the tenant gets lost: migrating again is answered again, and the device
// stays the same one.
func TestPRO13_ALostAnswerIsHadAgain(t *testing.T) {
	w := newWorld(t)
	joined := onSoftware(w)
	w.idp.after["ReplaceDeviceKeys"] = prterr.New(prterr.Unavailable, "cut off")
	if _, err := w.migrate(); prterr.KindOf(err) != prterr.Unavailable {
		t.Fatalf("got %v", err)
	}
	w.wantAttempt("migrate", "join", 0x80072efd, "", false)
	clear(w.idp.after)
	made := w.tpm.made
	if _, err := w.migrate(); err != nil {
		t.Fatal(err)
	}
	if s := w.consistent(); s.GetDeviceId() != joined.GetDeviceId() || s.GetKeyProvider() != "Test TPM" || w.tpm.made != made || !w.idp.knows(joined.GetDeviceId()) {
		t.Errorf("state %v", s)
	}
}

// After a crash the device is the same with old keys or new ones, and migrating again
// ends well, also when the answer of the tenant was lost with the crash.
func TestPRO13_ACrashInAMigration(t *testing.T) {
	everyCrash(t, func(w *world) { onSoftware(w) }, func(w *world) error {
		w.until("the keys are tested", func() bool { return w.mustState().GetKeySignTest() != notRun })
		_, err := w.migrate()
		return err
	}, func(t *testing.T, w *world) {
		before := w.consistent()
		_, err := w.migrate()
		if err != nil && before.GetKeyProvider() != "Test TPM" {
			t.Fatalf("migrating again: %v", err)
		}
		if s := w.consistent(); s.GetKeyProvider() != "Test TPM" || s.GetDeviceId() != before.GetDeviceId() || len(w.tpm.sets) != 1 {
			t.Errorf("state %v, %d key sets", s, len(w.tpm.sets))
		}
	}, "keys-created", "attested", "replacing-written", "replaced")
}
