package tpmagent_test

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

const (
	prt   = "1.AAA.prt-of-the-test"
	nonce = "AQAB.nonce"
)

func cookie(t testing.TB, a *tpmagenttest.Agent, user string, key *tpmv1.SealedSessionKey) error {
	_, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{
		Partition: tpmagenttest.Partition(user), SessionKey: key, Prt: prt, RequestNonce: nonce,
	})
	return err
}

func methods() []protoreflect.MethodDescriptor {
	var all []protoreflect.MethodDescriptor
	for _, f := range []protoreflect.FileDescriptor{tpmv1.File_prt_tpm_v1_device_key_proto, tpmv1.File_prt_tpm_v1_prt_proto, tpmv1.File_prt_tpm_v1_hello_proto, tpmv1.File_prt_tpm_v1_data_key_proto, tpmv1.File_prt_tpm_v1_state_proto} {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				all = append(all, f.Services().Get(i).Methods().Get(j))
			}
		}
	}
	return all
}

func fullName(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// TestT1_WhoMayAsk calls every method as every component: who passes is exactly
// who is on the list.
func TestT1_WhoMayAsk(t *testing.T) {
	a := tpmagenttest.Start(t, tpmagent.Config{})
	for _, caller := range []string{"dsreg", "lsa-cloudap", "wam-broker", "operator", "app", "browser", "browsercore", "logonui", "idp", "adfs", "tpm-agent"} {
		conn := a.Dial(caller)
		for _, m := range methods() {
			if m.Name() == "CreateDeviceKeys" && caller == "dsreg" {
				continue // passes, and takes long: the suite calls it
			}
			err := conn.Invoke(t.Context(), fullName(m), dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output()))
			listed := slices.Contains(tpmagent.Allow()[fullName(m)], caller)
			refused := err != nil && strings.Contains(err.Error(), "may not call")
			if listed == refused {
				t.Errorf("%s calling %s: listed %v, %v", caller, m.Name(), listed, err)
			}
		}
	}
	if len(methods()) != len(tpmagent.Allow()) {
		t.Errorf("%d methods, %d on the list", len(methods()), len(tpmagent.Allow()))
	}
}

// TestPRO01_Attack22_NoAnswerHoldsAKey reads the contract: bytes in an answer are public or
// sealed, and each such field is named here with the reason.
func TestPRO01_Attack22_NoAnswerHoldsAKey(t *testing.T) {
	good := map[string]string{
		"device_public_key":    "public half",
		"transport_public_key": "public half",
		"public_key":           "public half",
		"certificate_request":  "public, signed",
		"sealed":               "only this TPM or agent opens it",
		"wrapped":              "only this TPM and agent together with the identity provider open it",

		"endorsement_key":         "public half",
		"endorsement_certificate": "public, signed by the maker of the TPM",
		"attestation_key":         "public half",
		"public_area":             "public half",
		"attestation":             "public, signed by the attestation key",
		"certificate":             "public, signed",
		"signature":               "over a text that the agent wrote, or a statement of the TPM",
		"wrapped_reset_secret":    "only the PIN reset service opens it; it allows a new PIN and nothing else",
	}
	for _, m := range methods() {
		walk(m.Output(), func(f protoreflect.FieldDescriptor) {
			if f.Kind() == protoreflect.BytesKind && good[string(f.Name())] == "" {
				t.Errorf("%s answers with bytes %s", m.Name(), f.FullName())
			}
			if n := string(f.Name()); strings.Contains(n, "private") || strings.Contains(n, "derived") {
				t.Errorf("%s answers with %s", m.Name(), n)
			}
		})
	}
}

// TestT2_Attack22_NoMethodTakesBytesToSign reads the contract: no request has a field of
// bytes that would be signed, derived from or decrypted as they are.
func TestT2_Attack22_NoMethodTakesBytesToSign(t *testing.T) {
	good := map[string]string{
		"certificate": "parsed; only its public key is compared and it is put in x5c",
		"sealed":      "opened by this agent only",
		"wrapped":     "opened by this agent with its TPM and the identity provider's key; what is in it does not leave",

		"credential_blob":  "opened by the TPM, and what is in it does not leave the agent",
		"encrypted_secret": "goes with credential_blob",
		"pin_reset_key":    "a public key: one secret of the agent's own making is encrypted to it",
		"reset_secret":     "an authorisation value, for a new PIN and nothing else",
		"digest":           "compared with the one that the same caller gave before; no key takes part",
	}
	for _, m := range methods() {
		walk(m.Input(), func(f protoreflect.FieldDescriptor) {
			if f.Kind() == protoreflect.BytesKind && good[string(f.Name())] == "" {
				t.Errorf("%s takes bytes %s", m.Name(), f.FullName())
			}
		})
		for _, bare := range []string{"Sign", "Decrypt", "Derive", "HMAC", "Encrypt", "Unwrap"} {
			if string(m.Name()) == bare {
				t.Errorf("there is a bare %s", bare)
			}
		}
	}
}

// TestAttack22_TheAgentWritesWhatItSigns: whoever may ask chooses PRT and nonce and
// nothing beside them, and never the context, so that no key it derives is known
// before or good for anything else.
func TestAttack22_TheAgentWritesWhatItSigns(t *testing.T) {
	a := tpmagenttest.Start(t, tpmagent.Config{})
	key, sealed := a.Import(a.Register(), tpmagenttest.UserA)
	contexts := map[string]bool{}
	for range 8 {
		resp, err := a.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{
			Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce,
		})
		if err != nil {
			t.Fatal(err)
		}
		tok, err := jose.Parse(resp.GetCookie())
		if err != nil {
			t.Fatal(err)
		}
		if string(tok.Payload) != `{"refresh_token":"`+prt+`","is_primary":"true","request_nonce":"`+nonce+`","win_ver":"`+entrawire.WinVer+`","windows_api_version":"`+entrawire.CookieAPIVersion+`"}` {
			t.Errorf("signed %s", tok.Payload)
		}
		if tok.Header.KDFVer != 2 || len(tok.Header.Ctx) < jose.MinContext || contexts[string(tok.Header.Ctx)] {
			t.Errorf("kdf_ver %d, context %x", tok.Header.KDFVer, tok.Header.Ctx)
		}
		contexts[string(tok.Header.Ctx)] = true
		derived := kdf.Derive(key, kdf.ContextV2(tok.Header.Ctx, tok.Payload))
		if whole := resp.String(); strings.Contains(whole, string(derived.Reveal())) || strings.Contains(whole, hex.EncodeToString(derived.Reveal())) {
			t.Error("the derived key is in the answer")
		}
	}
}

func walk(m protoreflect.MessageDescriptor, f func(protoreflect.FieldDescriptor)) {
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		f(fd)
		if fd.Message() != nil {
			walk(fd.Message(), f)
		}
	}
}

func TestPRO02_OneTPMCommandARequest(t *testing.T) {
	a := tpmagenttest.Start(t, tpmagent.Config{})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	if err := cookie(t, a, tpmagenttest.UserA, key); err != nil { // loads the key
		t.Fatal(err)
	}
	before := a.Service.CommandLog()
	const n = 20
	for range n {
		if err := cookie(t, a, tpmagenttest.UserA, key); err != nil {
			t.Fatal(err)
		}
	}
	after := a.Service.CommandLog()
	if got := after[tpm2.TPMCCHMAC] - before[tpm2.TPMCCHMAC]; got != n {
		t.Errorf("%d HMAC commands for %d cookies", got, n)
	}
	for cc, count := range after {
		if cc != tpm2.TPMCCHMAC && count != before[cc] {
			t.Errorf("%d commands %v besides", count-before[cc], cc)
		}
	}
}

func TestPRO07_AFailedTPMMeansNoSignature(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := tpmagenttest.Start(t, tpmagent.Config{Transport: tpm})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	tpm.Fail(true)
	if err := cookie(t, a, tpmagenttest.UserA, key); prterr.KindOf(err) != prterr.TPMFailed {
		t.Errorf("got %v", err)
	}
	_, err = a.PRT().SignPRTRequest(t.Context(), &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: "a@b.test", RequestNonce: nonce, Credential: &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: "x"}},
	})
	if prterr.KindOf(err) != prterr.TPMFailed {
		t.Errorf("got %v", err)
	}
	tpm.Fail(false)
	if err := cookie(t, a, tpmagenttest.UserA, key); err != nil {
		t.Errorf("after repair: %v", err)
	}
}

func TestISS13_TheKeySurvivesARestartAndNoOtherTPMTakesIt(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	start := func(dir string) *tpmagenttest.Agent {
		return tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "soft:", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	}
	a := start(dir)
	clearKey, sealed := a.Import(a.Register(), tpmagenttest.UserA)
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(dir)
	if err := cookie(t, again, tpmagenttest.UserA, sealed); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := again.Service.Close(); err != nil {
		t.Fatal(err)
	}
	// All of the agent's files, and another TPM: the keys are lost, and it says so.
	stolen := t.TempDir()
	if err := os.CopyFS(stolen, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"tpm.state", "tpm.state.lock"} {
		if err := os.Remove(filepath.Join(stolen, f)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := cookie(t, start(stolen), tpmagenttest.UserA, sealed); prterr.KindOf(err) != prterr.KeysLost {
		t.Errorf("with another TPM: %v", err)
	}
	t.Run("A10 no clear session key outside", func(t *testing.T) { searchKey(t, dir, clearKey.Reveal(), sealed.GetSealed(), log.Bytes()) })
}

func searchKey(t *testing.T, dir string, key []byte, more ...[]byte) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, b)
	}
	for i, b := range more {
		if bytes.Contains(b, key) || bytes.Contains(bytes.ToLower(b), []byte(hex.EncodeToString(key))) {
			t.Errorf("the session key is readable in place %d", i)
		}
	}
}

// TestREG02_TheKeysAreTheTPMs tries to get a key out: the TPM refuses to duplicate
// it, although the attempt knows everything that the agent knows.
func TestREG02_TheKeysAreTheTPMs(t *testing.T) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := tpmagenttest.Start(t, tpmagent.Config{Transport: tpm})
	a.Register()
	list, err := a.Devices().ListKeys(t.Context(), &tpmv1.ListKeysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list.GetKeys() {
		if !k.GetFixedTpm() || !k.GetFixedParent() || !k.GetSensitiveDataOrigin() {
			t.Errorf("%v is not bound to the TPM", k.GetPurpose())
		}
	}
	tpmagenttest.RefuseDuplicate(t, tpm)
}

func TestCrashesWhileInstallingLeaveOneIdentity(t *testing.T) {
	for _, point := range []string{"temp-created", "temp-written", "renamed", "certificate-written", "pointer-moved"} {
		t.Run(point, func(t *testing.T) {
			dir := t.TempDir()
			armed := false
			a := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "soft:", Points: func(p string) {
				if armed && p == point {
					panic("killed at " + p)
				}
			}})
			old := a.Register()
			fresh := a.Create()
			armed = true
			_, err := a.Devices().InstallDeviceCertificate(t.Context(), &tpmv1.InstallDeviceCertificateRequest{
				KeySetId: fresh.KeySetID, Certificate: tpmagenttest.Certificate(t, fresh.DeviceKey),
			})
			if prterr.KindOf(err) != prterr.Internal {
				t.Fatalf("the crash did not happen: %v", err)
			}
			// The process is gone: its TPM file can be opened again.
			b := reopen(t, a, dir)
			want := old.KeySetID
			if point == "pointer-moved" {
				want = fresh.KeySetID
			}
			list, err := b.Devices().ListKeys(t.Context(), &tpmv1.ListKeysRequest{})
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range list.GetKeys() {
				if k.GetInstalled() != (k.GetKeySetId() == want) {
					t.Errorf("set %s installed %v", k.GetKeySetId(), k.GetInstalled())
				}
			}
			if _, key := b.Import(identity(want, old, fresh), tpmagenttest.UserA); cookie(t, b, tpmagenttest.UserA, key) != nil {
				t.Error("the identity that is left does not work")
			}
			b.Register() // and the device can be registered anew
		})
	}
}

func identity(id string, all ...tpmagenttest.Identity) tpmagenttest.Identity {
	for _, i := range all {
		if i.KeySetID == id {
			return i
		}
	}
	return tpmagenttest.Identity{}
}

func reopen(t *testing.T, a *tpmagenttest.Agent, dir string) *tpmagenttest.Agent {
	t.Helper()
	if err := a.Service.Close(); err != nil {
		t.Fatal(err)
	}
	return tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, TPM: "soft:"})
}
