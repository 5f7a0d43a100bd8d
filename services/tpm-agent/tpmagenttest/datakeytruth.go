package tpmagenttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// DataKeyOpener plays somebody who has the TPM of an agent, its whole state folder, the
// power of root, and the identity provider's key: it opens wrapped data keys, with code
// of its own. What does not open with that provider's key is nil. Slots of the TPM are
// free again when it returns.
func DataKeyOpener(t testing.TB, dir string, tpm transport.TPM) func(p Provider, caller, tenant, user string, wrapped []byte) []byte {
	t.Helper()
	id, err := os.ReadFile(filepath.Join(dir, "installed"))
	if err != nil {
		t.Fatal(err)
	}
	set := strings.TrimSpace(string(id))
	outer := unsealSet(t, dir, set, tpm)
	return func(p Provider, caller, tenant, user string, wrapped []byte) []byte {
		const purpose, nonce, generation = "data key of a user", 12, 16
		bound := led(purpose, set, caller, tenant, user)
		if len(wrapped) < 1+nonce {
			return nil
		}
		inner := gcmOpen(t, outer, wrapped[1:1+nonce], wrapped[1+nonce:], bound)
		if len(inner) < generation+nonce {
			return nil
		}
		info := led(purpose, set, caller, tenant, user, p.ID, string(inner[:generation]))
		key, err := hkdf.Key(sha256.New, p.Key, nil, string(info), 32)
		if err != nil {
			t.Fatal(err)
		}
		return gcmOpen(t, key, inner[generation:generation+nonce], inner[generation+nonce:], bound)
	}
}

// unsealSet is the data key of a registration.
func unsealSet(t testing.TB, dir, set string, tpm transport.TPM) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, set+".keyset"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Data struct{ Public, Private []byte }
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](file.Data.Public)
	if err != nil {
		t.Fatal(err)
	}
	root, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = tpm2.FlushContext{FlushHandle: root.ObjectHandle}.Execute(tpm) }()
	loaded, err := tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: root.ObjectHandle, Name: root.Name, Auth: tpm2.PasswordAuth(nil)},
		InPrivate:    tpm2.TPM2BPrivate{Buffer: file.Data.Private}, InPublic: tpm2.New2B(*public),
	}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(tpm) }()
	r, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{
		Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(AuthOf(t, dir, "data key", set)),
	}}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	return r.OutData.Buffer
}

// led joins parts, each led by its length in 4 bytes.
func led(parts ...string) (b []byte) {
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// gcmOpen is AES-256-GCM, nil for what does not open.
func gcmOpen(t testing.TB, key, nonce, sealed, bound []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := aead.Open(nil, nonce, sealed, bound)
	return plain
}
