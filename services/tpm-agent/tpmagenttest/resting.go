package tpmagenttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// AuthOf derives an authorisation value as the agent does, from the secret file in
// its folder.
func AuthOf(t testing.TB, dir string, parts ...string) []byte {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, "agent.secret"))
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		m.Write([]byte(p))
	}
	return []byte(base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:24]))
}

// StorageRoot makes the storage root key again, which a TPM always makes the same.
func StorageRoot(t testing.TB, tpm transport.TPM) (tpm2.AuthHandle, *tpm2.TPMTPublic) {
	t.Helper()
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tpm) })
	public, err := r.OutPublic.Contents()
	if err != nil {
		t.Fatal(err)
	}
	return tpm2.AuthHandle{Handle: r.ObjectHandle, Name: r.Name, Auth: tpm2.PasswordAuth(nil)}, public
}

// Unwrapper plays somebody who has the TPM of an agent, its whole state folder and
// the power of root: it unwraps the session keys of the installed registration, as
// only the agent may. Tests learn from it what nobody else may know.
func Unwrapper(t testing.TB, dir string, tpm transport.TPM) func(jwe string) secret.Bytes {
	t.Helper()
	id, err := os.ReadFile(filepath.Join(dir, "installed"))
	if err != nil {
		t.Fatal(err)
	}
	set := strings.TrimSpace(string(id))
	raw, err := os.ReadFile(filepath.Join(dir, set+".keyset"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Transport struct{ Public, Private []byte }
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](file.Transport.Public)
	if err != nil {
		t.Fatal(err)
	}
	root, _ := StorageRoot(t, tpm)
	key, err := tpm2.Load{ParentHandle: root, InPrivate: tpm2.TPM2BPrivate{Buffer: file.Transport.Private}, InPublic: tpm2.New2B(*public)}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = tpm2.FlushContext{FlushHandle: key.ObjectHandle}.Execute(tpm) })
	auth := AuthOf(t, dir, "transport key", set)
	return func(jwe string) secret.Bytes {
		t.Helper()
		wrapped, err := entrawire.ParseSessionKeyJWE(jwe)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tpm2.RSADecrypt{
			KeyHandle:  tpm2.AuthHandle{Handle: key.ObjectHandle, Name: key.Name, Auth: tpm2.PasswordAuth(auth)},
			CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: wrapped.EncryptedKey}, InScheme: tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull},
		}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
		return secret.NewBytes(r.Message.Buffer)
	}
}
