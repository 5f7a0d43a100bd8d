package tpmagent_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

const (
	passed  = tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_PASSED
	damaged = tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEY_DAMAGED
	lost    = tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEYS_LOST
	failed  = tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_TPM_FAILED

	deviceKey = tpmv1.KeyPurpose_KEY_PURPOSE_DEVICE
	allOf     = tpmv1.KeyPurpose_KEY_PURPOSE_UNSPECIFIED
)

// selfTest wants one outcome of a key, or of all keys, and that the others pass.
func selfTest(t *testing.T, a *tpmagenttest.Agent, key tpmv1.KeyPurpose, want tpmv1.KeyTestOutcome) {
	t.Helper()
	resp, err := a.Devices().TestDeviceKeys(t.Context(), &tpmv1.TestDeviceKeysRequest{})
	if err != nil || len(resp.GetResults()) == 0 {
		t.Fatalf("%v, %v", resp, err)
	}
	for _, r := range resp.GetResults() {
		expected := passed
		if key == allOf || key == r.GetPurpose() {
			expected = want
		}
		if r.GetOutcome() != expected {
			t.Errorf("%v: %v, want %v", r.GetPurpose(), r.GetOutcome(), expected)
		}
	}
}

// TestREG23_TheSelfTestTellsWhatIsLost produces each outcome, and holds that a TPM
// that merely fails costs nothing.
func TestREG23_TheSelfTestTellsWhatIsLost(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
	a.Register()
	selfTest(t, a, allOf, passed)
	tpm.Fail(true)
	selfTest(t, a, allOf, failed)
	tpm.Fail(false)
	selfTest(t, a, allOf, passed)

	damage(t, dir, "device")
	b := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
	selfTest(t, b, deviceKey, damaged)
	_, err = b.PRT().SignPRTRequest(t.Context(), &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: "a@b.test", RequestNonce: nonce, Credential: &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: "x"}},
	})
	if prterr.KindOf(err) != prterr.KeysLost || hresult(err) != 0x80090016 {
		t.Errorf("with a damaged device key: %v", err)
	}

	clearTPM(t, tpm)
	selfTest(t, b, allOf, lost)
	// New keys are the way back, and need no restart.
	b.Register()
	selfTest(t, b, allOf, passed)
}

// damage flips a bit in the private blob of a key of the only set.
func damage(t *testing.T, dir, key string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.keyset"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var set map[string]json.RawMessage
	var blob struct {
		Public  []byte `json:"public"`
		Private []byte `json:"private"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(set[key], &blob); err != nil {
		t.Fatal(err)
	}
	blob.Private[len(blob.Private)/2] ^= 1
	if set[key], err = json.Marshal(blob); err != nil {
		t.Fatal(err)
	}
	if b, err = json.Marshal(set); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func clearTPM(t *testing.T, tpm *softtpm.TPM) {
	t.Helper()
	_, err := tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
}

// TestREG03_WithoutATPMKeysAreInSoftware: a device that never had a TPM registers
// all the same, and it says so.
func TestREG03_WithoutATPMKeysAreInSoftware(t *testing.T) {
	dir := t.TempDir()
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "unix:" + filepath.Join(dir, "none")})
	id := a.Register()
	_, key := a.Import(id, tpmagenttest.UserA)
	if err := cookie(t, a, tpmagenttest.UserA, key); err != nil {
		t.Error(err)
	}
	d := describe(t, a)
	if d.GetProtection() != tpmv1.ProtectionLevel_PROTECTION_LEVEL_SOFTWARE || !strings.Contains(d.GetKeyProvider(), "Software Key Storage Provider") {
		t.Errorf("%v", d)
	}
	if !strings.Contains(d.GetSoftwareReason(), "absent") {
		t.Errorf("reason %q", d.GetSoftwareReason())
	}
	keys, err := a.Devices().DescribeAttestationKeys(t.Context(), &tpmv1.DescribeAttestationKeysRequest{KeySetId: id.KeySetID})
	if err != nil || len(keys.GetEndorsementKey()) != 0 {
		t.Errorf("software keys have an endorsement: %v, %v", keys, err)
	}
	if _, err := tpmagenttest.Attest(t.Context(), a.Devices(), id.KeySetID); err == nil {
		t.Error("software keys were attested")
	}
}

// TestPRO13_KeysMoveFromSoftwareToTheTPM: a TPM appears. The keys in software go on
// until new ones, made in the TPM and vouched for by the old, take their place.
func TestPRO13_KeysMoveFromSoftwareToTheTPM(t *testing.T) {
	dir := t.TempDir()
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "unix:" + filepath.Join(dir, "none")})
	old := a.Register()
	_, key := a.Import(old, tpmagenttest.UserA)
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}
	b := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "soft:"})
	if err := cookie(t, b, tpmagenttest.UserA, key); err != nil {
		t.Errorf("the keys in software stopped working: %v", err)
	}
	if d := describe(t, b); d.GetProtection() != tpmv1.ProtectionLevel_PROTECTION_LEVEL_SOFTWARE || !d.GetHigherProtection() {
		t.Errorf("before: %v", d)
	}
	fresh := b.Create()
	if _, err := tpmagenttest.Attest(t.Context(), b.Devices(), fresh.KeySetID); err != nil {
		t.Fatalf("the new keys are not in the TPM: %v", err)
	}
	resp, err := b.Devices().SignKeyReplacement(t.Context(), &tpmv1.SignKeyReplacementRequest{KeySetId: fresh.KeySetID, RequestNonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	checkReplacement(t, resp.GetRequest(), old, fresh)
	_, err = b.Devices().InstallDeviceCertificate(t.Context(), &tpmv1.InstallDeviceCertificateRequest{
		KeySetId: fresh.KeySetID, Certificate: tpmagenttest.Certificate(t, fresh.DeviceKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := describe(t, b); d.GetProtection() != tpmv1.ProtectionLevel_PROTECTION_LEVEL_EMULATED || d.GetHigherProtection() || d.GetSoftwareReason() != "" {
		t.Errorf("after: %v", d)
	}
	if err := cookie(t, b, tpmagenttest.UserA, key); prterr.KindOf(err) != prterr.KeysLost {
		t.Errorf("the old session key: %v", err)
	}
	selfTest(t, b, allOf, passed)
}

func checkReplacement(t *testing.T, request string, old, fresh tpmagenttest.Identity) {
	t.Helper()
	tok, err := jose.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	var c entrawire.KeyReplacement
	if err := tok.Claims(&c); err != nil || c.Validate() != nil || tok.VerifyRS256(old.DeviceKey) != nil {
		t.Fatal(err, c.Validate(), tok.VerifyRS256(old.DeviceKey))
	}
	spki, tk := publics(t, fresh)
	if !c.Names(spki, tk) || c.RequestNonce != nonce {
		t.Errorf("claims %+v", c)
	}
}

// TestA09_TheLevelOfKeysDoesNotChange: a TPM that is silenced after the keys were
// made in it does not turn them into keys in software.
func TestA09_TheLevelOfKeysDoesNotChange(t *testing.T) {
	dir := t.TempDir()
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "soft:"})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}
	b := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "unix:" + filepath.Join(dir, "none")})
	if err := cookie(t, b, tpmagenttest.UserA, key); prterr.KindOf(err) != prterr.TPMFailed {
		t.Errorf("got %v", err)
	}
	if _, err := b.Devices().CreateDeviceKeys(t.Context(), &tpmv1.CreateDeviceKeysRequest{}); prterr.KindOf(err) != prterr.TPMFailed {
		t.Errorf("new keys: %v", err)
	}
}

// TestPRO12_KeysAreNotTiedToBootMeasurements: firmware or secure-boot settings
// change, so PCR 7 does; everything goes on.
func TestPRO12_KeysAreNotTiedToBootMeasurements(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := tpmagenttest.Start(t, tpmagent.Config{Transport: tpm})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	_, err = tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: 7, Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}},
	}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	if err := cookie(t, a, tpmagenttest.UserA, key); err != nil {
		t.Error(err)
	}
	selfTest(t, a, allOf, passed)
}

// TestSparesAreTakenAndMadeAgain: a registration takes keys that lie ready, and a
// restart finds the next ones.
func TestSparesAreTakenAndMadeAgain(t *testing.T) {
	dir := t.TempDir()
	cfg := tpmagent.Config{StateDir: dir, TPM: "soft:", Spares: 1}
	a := tpmagenttest.Start(t, cfg)
	waitForSpare(t, dir)
	before := maps.Clone(a.Service.CommandLog())
	id := a.Create()
	if n := a.Service.CommandLog()[tpm2.TPMCCCreate] - before[tpm2.TPMCCCreate]; n > 1 {
		t.Errorf("%d keys were made while somebody waited", n) // one may be the next spare's
	}
	if _, err := os.Stat(filepath.Join(dir, id.KeySetID+".spare")); err == nil {
		t.Error("the spare is still there")
	}
	waitForSpare(t, dir)
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Spares = 0
	b := tpmagenttest.Start(t, cfg)
	b.Create()
	if b.Service.CommandLog()[tpm2.TPMCCCreate] > 1 { // one is the trial of what the TPM can do
		t.Error("the spare of before was not taken")
	}
	b.Register()
}

func waitForSpare(t *testing.T, dir string) {
	t.Helper()
	for range 1000 {
		if files, _ := filepath.Glob(filepath.Join(dir, "*.spare")); len(files) > 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no spare was made")
}

// TestASpareOfAnotherTPMIsDropped: the TPM was cleared while a spare lay ready.
func TestASpareOfAnotherTPMIsDropped(t *testing.T) {
	dir := t.TempDir()
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm, Spares: 1})
	waitForSpare(t, dir)
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}
	clearTPM(t, tpm)
	b := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
	b.Register()
	selfTest(t, b, allOf, passed)
	if files, _ := filepath.Glob(filepath.Join(dir, "*.spare")); len(files) > 0 {
		t.Errorf("spares %v", files)
	}
}
