package tpmagent_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/wycheprooftest"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// withTransportKey is an agent on a soft TPM whose transport key is known.
func withTransportKey(t *testing.T, key *rsa.PrivateKey) *tpmagenttest.Agent {
	t.Helper()
	tpm := must[*softtpm.TPM](t)(softtpm.New(softtpm.Config{Slots: 8}))
	dir := t.TempDir()
	first := tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
	id := first.Register()
	if err := first.Service.Close(); err != nil {
		t.Fatal(err)
	}
	set, path := readResting(t, dir, id.KeySetID)
	set.Transport = wrapTransportKey(t, tpm, key, tpmagenttest.AuthOf(t, dir, "transport key", id.KeySetID))
	if err := os.WriteFile(path, must[[]byte](t)(json.Marshal(set)), 0o600); err != nil {
		t.Fatal(err)
	}
	return tpmagenttest.Start(t, tpmagent.Config{StateDir: dir, Transport: tpm})
}

// sessionKeyJWE is a session_key_jwe with a given encrypted key and, for a message
// that can be a session key, a content that is good under it.
func sessionKeyJWE(t *testing.T, encryptedKey, message []byte) string {
	t.Helper()
	iv, content := make([]byte, 12), make([]byte, 17)
	if len(message) == kdf.KeySize {
		gcm := must[cipher.AEAD](t)(cipher.NewGCM(must[cipher.Block](t)(aes.NewCipher(message))))
		content = gcm.Seal(nil, iv, []byte{0x20}, nil)
	}
	return strings.Join([]string{
		jose.EncodeSegment([]byte(`{"enc":"A256GCM","alg":"RSA-OAEP"}`)), jose.EncodeSegment(encryptedKey),
		jose.EncodeSegment(iv), jose.EncodeSegment(content[:1]), jose.EncodeSegment(content[1:]),
	}, ".")
}

// TestWycheproofImportSessionKey gives each vector to the agent as the encrypted
// key of a session_key_jwe. What is taken has to be the vector's message, which
// shows in a signature; what is refused is refused in one text, or the texts would
// be an oracle for the padding (Manger's attack).
func TestWycheproofImportSessionKey(t *testing.T) {
	const name = "rsa_oaep_2048_sha1_mgf1sha1"
	parsed := must[any](t)(x509.ParsePKCS8PrivateKey(wycheprooftest.Read(t, name)[0].PrivateKeyPKCS8))
	agent := withTransportKey(t, parsed.(*rsa.PrivateKey))
	partition := tpmagenttest.Partition(tpmagenttest.UserA)
	texts := map[string]int{}
	wycheprooftest.Judge(t, name, func(t *testing.T, _ *wycheprooftest.Group, v *wycheprooftest.Vector) error {
		imported, err := agent.PRT().ImportSessionKey(t.Context(), &tpmv1.ImportSessionKeyRequest{Partition: partition, SessionKeyJwe: sessionKeyJWE(t, v.CT, v.Msg)})
		if err != nil {
			texts[err.Error()]++
			return err
		}
		signed, err := agent.PRT().SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{Partition: partition, SessionKey: imported.GetSessionKey(), Prt: "prt", RequestNonce: "nonce"})
		if err != nil {
			t.Fatal(err)
		}
		token := must[*jose.Token](t)(jose.Parse(signed.GetCookie()))
		if err := entrawire.VerifySession(token, secret.NewBytes(v.Msg)); err != nil {
			t.Errorf("vector %d: the agent took another session key than the vector's message", v.ID)
		}
		return nil
	},
		wycheprooftest.Deviation{
			If:   func(_ *wycheprooftest.Group, v *wycheprooftest.Vector) bool { return len(v.Label) > 0 },
			Does: "refuses what was encrypted with a label", Why: "RFC 7518 4.3 has the empty label and no other",
		},
		wycheprooftest.Deviation{
			If: func(_ *wycheprooftest.Group, v *wycheprooftest.Vector) bool {
				return len(v.Label) == 0 && len(v.Msg) != kdf.KeySize
			},
			Does: "refuses messages of another length than 32 bytes", Why: "a session key has that",
		})
	if len(texts) != 1 {
		t.Errorf("refused in %d texts: %v", len(texts), texts)
	}
}
