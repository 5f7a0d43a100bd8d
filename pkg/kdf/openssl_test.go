package kdf_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

var update = flag.Bool("update", false, "ask the openssl in PATH for the committed vectors anew")

const vectorFile = "testdata/openssl.json"

// opensslFile is what openssl said once, with the command that asked it.
type opensslFile struct {
	Version string          `json:"openssl_version"`
	Command string          `json:"command"`
	Vectors []opensslVector `json:"vectors"`
}

type opensslVector struct {
	// KeyLen is what is asked for, in bytes. It decides the length in the message:
	// 32 is 256 bits (versions 1 and 2), 1024 is 8192 bits (version 3).
	KeyLen int    `json:"keylen"`
	Key    string `json:"hexkey"`
	Info   string `json:"hexinfo"`
	// Derived is the first 32 bytes of the answer.
	Derived string `json:"derived"`
}

// command is the question to openssl, which has an SP 800-108 of its own.
func command(keyLen, key, info string) []string {
	return []string{"kdf", "-keylen", keyLen, "-kdfopt", "mac:HMAC", "-kdfopt", "digest:SHA256", "-kdfopt", "mode:counter",
		"-kdfopt", "hexkey:" + key, "-kdfopt", "salt:AzureAD-SecureConversation", "-kdfopt", "hexinfo:" + info, "KBKDF"}
}

// openssl finds a program that has KBKDF, or skips with what is missing.
func openssl(t *testing.T) (bin, version string) {
	t.Helper()
	bin, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl in PATH to compare with")
	}
	out, err := exec.CommandContext(t.Context(), bin, "version").CombinedOutput()
	if version = strings.TrimSpace(string(out)); err != nil || !strings.HasPrefix(version, "OpenSSL 3") {
		t.Skipf("openssl in PATH is not version 3, which is the first with KBKDF: %q", version)
	}
	return bin, version
}

func ask(t *testing.T, bin string, v opensslVector) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), bin, command(strconv.Itoa(v.KeyLen), v.Key, v.Info)...).CombinedOutput()
	derived := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(string(out)), ":", ""))
	if err != nil || len(derived) != 2*v.KeyLen {
		t.Fatalf("openssl kdf: %v: %s", err, out)
	}
	return derived[:2*kdf.KeySize]
}

// random is n questions of both lengths. Contexts are as long as the protocol
// allows them in version 1, and 32 bytes among them.
func random(t *testing.T, n int) (vs []opensslVector) {
	t.Helper()
	for i := range n {
		raw := make([]byte, kdf.KeySize+1+(i*7+31)%64)
		if _, err := rand.Read(raw); err != nil {
			t.Fatal(err)
		}
		vs = append(vs, opensslVector{KeyLen: []int{32, 1024}[i%2], Key: hex.EncodeToString(raw[:kdf.KeySize]), Info: hex.EncodeToString(raw[kdf.KeySize:])})
	}
	return vs
}

func check(t *testing.T, v opensslVector) {
	t.Helper()
	derive := map[int]func(secret.Bytes, []byte) secret.Bytes{32: kdf.Derive, 1024: kdf.DeriveV3}[v.KeyLen]
	if derive == nil {
		t.Fatalf("a vector of %d bytes is of no version", v.KeyLen)
	}
	got := derive(secret.NewBytes(unhex(t, v.Key)), unhex(t, v.Info)).Reveal()
	if hex.EncodeToString(got) != v.Derived {
		t.Errorf("keylen %d, key %s, info %s: got %x, openssl says %s", v.KeyLen, v.Key, v.Info, got, v.Derived)
	}
}

// TestPRO06_DerivationAsOpenSSLSaid always runs: the answers are committed.
func TestPRO06_DerivationAsOpenSSLSaid(t *testing.T) {
	if *update {
		bin, version := openssl(t)
		f := opensslFile{version, "openssl " + strings.Join(command("KEYLEN", "HEXKEY", "HEXINFO"), " "), random(t, 24)}
		for i, v := range f.Vectors {
			f.Vectors[i].Derived = ask(t, bin, v)
		}
		out, err := json.MarshalIndent(f, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(out, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var f opensslFile
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{32, 1024} {
		if !slices.ContainsFunc(f.Vectors, func(v opensslVector) bool { return v.KeyLen == length }) {
			t.Errorf("no vector of %d bytes", length)
		}
	}
	for _, v := range f.Vectors {
		check(t, v)
	}
	t.Logf("%d vectors of %s", len(f.Vectors), f.Version)
}

// TestPRO06_DerivationAgainstOpenSSL asks the openssl of this machine about keys
// and contexts that nobody has seen before.
func TestPRO06_DerivationAgainstOpenSSL(t *testing.T) {
	bin, version := openssl(t)
	questions := random(t, 64)
	for _, v := range questions {
		v.Derived = ask(t, bin, v)
		check(t, v)
	}
	t.Logf("%d questions to %s", len(questions), version)
}
