package entrawire

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wycheprooftest"
)

// otherKeys are the vectors with keys that the protocol does not have.
func otherKeys() wycheprooftest.Deviation {
	return wycheprooftest.Deviation{
		If:   func(g *wycheprooftest.Group, _ *wycheprooftest.Vector) bool { return g.KeySize != 8*kdf.KeySize },
		Does: "refuses keys of 128 and 192 bits", Why: "session keys and derived keys have 256",
	}
}

// TestWycheproofEncryptedAnswer opens each vector as an answer whose header says
// A256GCM and whose body is CBC without a tag, as Entra sends it. The vector's key
// is in the place of the derived one.
func TestWycheproofEncryptedAnswer(t *testing.T) {
	header := jose.EncodeSegment([]byte(`{"alg":"dir","enc":"A256GCM","ctx":"` + strings.Repeat("A", 32) + `"}`))
	wycheprooftest.Judge(t, "aes_cbc_pkcs5", func(t *testing.T, _ *wycheprooftest.Group, v *wycheprooftest.Vector) error {
		answer, err := ParseAnswer(header + ".." + jose.EncodeSegment(v.IV) + "." + jose.EncodeSegment(v.CT) + ".")
		if err != nil {
			return err
		}
		plain, err := answer.Open(secret.NewBytes(v.Key))
		if err == nil {
			wycheprooftest.Same(t, v, "plaintext", plain, v.Msg)
		}
		return err
	}, otherKeys())
}

// TestWycheproofGCM is what checks a session_key_jwe and opens an answer of
// version 4.
func TestWycheproofGCM(t *testing.T) {
	wycheprooftest.Judge(t, "aes_gcm", func(t *testing.T, _ *wycheprooftest.Group, v *wycheprooftest.Vector) error {
		gcm, err := sessionGCM(secret.NewBytes(v.Key))
		if err != nil {
			return err
		}
		plain, ok := openGCM(gcm, v.IV, v.CT, v.Tag, v.AAD)
		if !ok {
			return ErrAnswer
		}
		wycheprooftest.Same(t, v, "plaintext", plain, v.Msg)
		return nil
	}, otherKeys(), wycheprooftest.Deviation{
		If: func(g *wycheprooftest.Group, _ *wycheprooftest.Vector) bool {
			return g.KeySize == 8*kdf.KeySize && g.IVSize != 8*gcmIVSize
		},
		Does: "refuses IVs of other sizes than 96 bits", Why: "RFC 7518 5.3 has no other",
	})
}
