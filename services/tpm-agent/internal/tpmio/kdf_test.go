package tpmio

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/kdf"
)

// TestPRO06_TheAgentDerivesAsOpenSSLSaid takes what openssl kdf said (pkg/kdf has
// the vectors and the command) through the agent's own TPM command.
func TestPRO06_TheAgentDerivesAsOpenSSLSaid(t *testing.T) {
	raw, err := os.ReadFile(filepath.FromSlash("../../../../pkg/kdf/testdata/openssl.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			KeyLen                   int
			HexKey, HexInfo, Derived string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	o, n := judged(t), 0
	for i, v := range file.Vectors {
		if v.KeyLen != kdf.KeySize {
			continue // version 3 is no HMAC command
		}
		n++
		key, info := unhex(v.HexKey), unhex(v.HexInfo)
		err := do(t, o, func(c *Conn) error {
			root, h, err := given(c, key)
			if err != nil {
				return err
			}
			got, err := c.HMAC(h, []byte("auth"), kdf.Input(info))
			if hex.EncodeToString(got) != v.Derived {
				t.Errorf("vector %d: got %x, openssl says %s", i, got, v.Derived)
			}
			_ = c.Flush(h)
			_ = c.Flush(root)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 5 {
		t.Errorf("only %d vectors", n)
	}
}
