package softtpm_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// maxContext is the largest context of a derived object, in bytes.
const maxContext = 32

// TestPRO06_TheTPMDerivesAsOpenSSLSaid has the TPM derive what openssl kdf said
// (pkg/kdf has the vectors and the command): version 1 and 2 by TPM2_HMAC, version
// 3 by an object that is derived in the TPM and shows in what it signs.
func TestPRO06_TheTPMDerivesAsOpenSSLSaid(t *testing.T) {
	var file struct {
		Vectors []struct {
			KeyLen                   int
			HexKey, HexInfo, Derived string
		}
	}
	ok(t, json.Unmarshal(must[[]byte](t)(os.ReadFile("../kdf/testdata/openssl.json")), &file))
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	by := map[int]int{}
	for i, v := range file.Vectors {
		secret, info, want := unhex(t, v.HexKey), unhex(t, v.HexInfo), unhex(t, v.Derived)
		switch {
		case v.KeyLen == 32:
			k := made(t, tpm, root, skTemplate(true), "", secret)
			if got := must[[]byte](t)(hmacOf(tpm, k.auth(), kdfInput(info, 256))); !bytes.Equal(got, want) {
				t.Errorf("vector %d: got %x, want %x", i, got, want)
			}
			flush(t, tpm, k.Handle)
		case len(info) <= maxContext:
			parent := made(t, tpm, root, deriverTemplate(), "", secret)
			child := deriveKey(t, tpm, parent, hmacChild(), info)
			if got := must[[]byte](t)(hmacOf(tpm, child.auth(), []byte("x"))); !bytes.Equal(got, mac(want, []byte("x"))) {
				t.Errorf("vector %d: the derived key is another", i)
			}
			flush(t, tpm, child.Handle, parent.Handle)
		default:
			continue
		}
		by[v.KeyLen]++
	}
	if by[32] < 5 || by[1024] < 5 {
		t.Errorf("too few vectors: %v", by)
	}
	t.Logf("vectors by length: %v", by)
}

// hmacChild is a derived HMAC key.
func hmacChild() tpm2.TPMTTemplate {
	return tpm2.TPMTTemplate{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256, Parameters: skTemplate(true).Parameters,
		ObjectAttributes: tpm2.TPMAObject{FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
	}
}
