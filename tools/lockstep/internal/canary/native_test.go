package canary_test

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/canary"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// TestA10_NativeKeysAreNeverInTheAgent: session keys that are wrapped for the TPM, which
// is outside, are not in the agent's memory even at the moment of their use, and
// neither is what is derived from them. The test is the identity provider here: it
// makes the keys, so it knows what to look for.
func TestA10_NativeKeysAreNeverInTheAgent(t *testing.T) {
	n, dir := signIns(t), folder(t)
	socket := swtpm(t, dir)
	w := newWorld(t, dir, "unix:"+socket, func(c *lab.Config) { c.NativeSessionKeys = true })
	storage := w.registerNative()
	prt := tpmv1.NewPRTKeyServiceClient(w.tap.agent["lsa-cloudap"])
	partition := tpmagenttest.Partition(tpmagenttest.UserA)
	var keys truth
	for i := range n {
		key := secret.NewBytes(make([]byte, kdf.KeySize))
		_, _ = rand.Read(key.Reveal())
		keys.sessions = append(keys.sessions, canary.Key{Name: fmt.Sprintf("session key %d", i), Bytes: key.Reveal()})
		jwe, err := tpmagenttest.WrapNative(storage.Storage, key)
		if err != nil {
			t.Fatal(err)
		}
		imported, err := prt.ImportSessionKey(t.Context(), &tpmv1.ImportSessionKeyRequest{Partition: partition, SessionKeyJwe: jwe})
		if err != nil {
			t.Fatal(err)
		}
		cookie, err := prt.SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{
			Partition: partition, SessionKey: imported.GetSessionKey(), Prt: "1.the.prt", RequestNonce: "AQAB.nonce",
		})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := jose.Parse(cookie.GetCookie())
		if err != nil || entrawire.VerifySession(signed, key) != nil {
			t.Fatalf("the cookie does not verify: %v", err)
		}
		ctx := kdf.ContextV2(signed.Header.Ctx, signed.Payload)
		keys.derived = append(keys.derived, canary.Key{Name: fmt.Sprintf("derived key of request %d", i), Bytes: kdf.DeriveV3(key, ctx).Reveal()})
		answer, err := entrawire.SealNativeAnswer(key, []byte(`{"token_type":"Bearer","expires_in":"1","ext_expires_in":"0","expires_on":"1","refresh_token":"1.new.prt","refresh_token_expires_in":1,"id_token":"h.p."}`))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := entrawire.ParseNativeAnswer(answer)
		if err != nil {
			t.Fatal(err)
		}
		keys.derived = append(keys.derived, canary.Key{Name: fmt.Sprintf("derived key of answer %d", i), Bytes: kdf.DeriveV3(key, parsed.Ctx).Reveal()})
		opened, err := prt.OpenPRTAnswer(t.Context(), &tpmv1.OpenPRTAnswerRequest{Partition: partition, SessionKey: imported.GetSessionKey(), Answer: answer})
		if err != nil || opened.GetPrt() != "1.new.prt" {
			t.Fatalf("%v, %v", opened, err)
		}
	}
	last, err := canary.Take(w.pids()["tpm-agent"], filepath.Join(w.dir, "memory"))
	mayTrace(t, err)
	found, err := last.Search(keys.needles(t))
	if err != nil || len(found) > 0 {
		t.Errorf("the tpm-agent holds %v, %v: %q", kinds(found), err, canary.Summary(found))
	}
}

// registerNative gives the agent a registration with native session keys in the place
// of its own.
func (w *world) registerNative() *tpmagenttest.Attested {
	w.t.Helper()
	devices := tpmv1.NewDeviceKeyServiceClient(w.tap.agent["dsreg"])
	set, err := devices.CreateDeviceKeys(w.t.Context(), &tpmv1.CreateDeviceKeysRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := tpmagenttest.Attest(w.t.Context(), devices, set.GetKeySetId())
	if err != nil {
		w.t.Fatal(err)
	}
	dk, err := x509.ParsePKIXPublicKey(set.GetDevicePublicKey())
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = devices.InstallDeviceCertificate(w.t.Context(), &tpmv1.InstallDeviceCertificateRequest{
		KeySetId: set.GetKeySetId(), Certificate: tpmagenttest.Certificate(w.t, dk), NativeSessionKeys: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}
