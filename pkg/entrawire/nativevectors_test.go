package entrawire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// nativeFile has one native session: a storage key of which everybody has the
// private half, a session key wrapped for it, a request, an answer. Every figure of
// derivation, HMAC and AES in it is what openssl said.
const nativeFile = "testdata/native.json"

const nativeAnswerText = prtAnswerText

func loadNative(t testing.TB) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(nativeFile)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]string
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func bin(t testing.TB, v map[string]string, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v[name])
	if err != nil || len(b) == 0 {
		t.Fatalf("%s is %q: %v", name, v[name], err)
	}
	return b
}

// openssl runs a program that shares nothing with ours, or skips with what is missing.
func openssl(t testing.TB, in []byte, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl in PATH to compare with")
	}
	if v, err := exec.CommandContext(t.Context(), program, "version").Output(); err != nil || !bytes.HasPrefix(v, []byte("OpenSSL 3")) {
		t.Skipf("openssl in PATH is not version 3, which is the first with KBKDF: %q", v)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v", args[0], err)
	}
	return out
}

// figures are what openssl makes of the inputs in v.
func figures(t testing.TB, v map[string]string, input string, first []byte, blocks int) map[string]string {
	t.Helper()
	derived := func(context string) string {
		out := openssl(t, nil, "kdf", "-keylen", "1024", "-kdfopt", "mac:HMAC", "-kdfopt", "digest:SHA256", "-kdfopt", "mode:counter",
			"-kdfopt", "hexkey:"+v["session_key_hex"], "-kdfopt", "salt:AzureAD-SecureConversation", "-kdfopt", "hexinfo:"+context, "KBKDF")
		all := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(string(out)), ":", ""))
		return all[:2*kdf.KeySize]
	}
	request, answer := derived(v["request_context_hex"]), derived(v["answer_ctx_hex"])
	return map[string]string{
		"request_derived_key_hex": request,
		"request_mac_hex":         hexed(openssl(t, []byte(input), "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+request, "-binary")),
		"answer_derived_key_hex":  answer,
		"answer_zero_block_hex":   hexed(openssl(t, make([]byte, 16), "enc", "-aes-256-ecb", "-nopad", "-K", answer)),
		"answer_stream_hex":       hexed(openssl(t, make([]byte, 16*blocks), "enc", "-aes-256-ctr", "-K", answer, "-iv", hexed(first))),
	}
}

// requestInput is what the signature of the request covers.
func requestInput(t testing.TB, v map[string]string) string {
	t.Helper()
	in, err := jose.SigningInput(jose.Header{Alg: jose.HS256, Typ: "JWT", Ctx: bin(t, v, "request_ctx_hex"), KDFVer: entrawire.KDF3}, []byte(v["request_payload"]))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// writeNative makes the file anew, with another wrap of the same key.
func writeNative(t *testing.T) {
	t.Helper()
	private := count(0x21, 32)
	storage := tpm2.Marshal(nativetest.KnownPublic(t, private))
	text, err := nativetest.Wrap(t, storage, nativetest.Parent(), count(0, 32)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	iv := count(0xa0, 12)
	v := map[string]string{
		"what":            "A native session: a key for TPM2_Import, a request and an answer by version 3. The storage key protects nothing: everybody has it.",
		"openssl_version": strings.TrimSpace(string(openssl(t, nil, "version"))), "openssl_command": "kdf -keylen 1024 ... KBKDF, first 32 bytes; dgst -mac HMAC; enc -aes-256-ecb; enc -aes-256-ctr",
		"storage_key_private_hex": hexed(private), "storage_key_public_hex": hexed(storage),
		"session_key_hex": hexed(count(0, 32)), "session_key_jwe": text,
		"request_ctx_hex": hexed(ctx24()), "request_payload": renewalClaims, "request_context_hex": hexed(contextV2(ctx24(), renewalClaims)),
		"answer_ctx_hex": hexed(count(0x50, 24)), "answer_iv_hex": hexed(iv), "answer_plaintext": nativeAnswerText,
	}
	input := requestInput(t, v)
	for name, figure := range figures(t, v, input, append(bytes.Clone(iv), 0, 0, 0, 1), 1+(len(nativeAnswerText)+15)/16) {
		v[name] = figure
	}
	v["request"] = input + "." + url64(bin(t, v, "request_mac_hex"))
	header := url64([]byte(`{"alg":"dir","enc":"A256GCM","ctx":"` + std64(bin(t, v, "answer_ctx_hex")) + `"}`))
	ciphertext, tag := gcm(bin(t, v, "answer_derived_key_hex"), iv, []byte(nativeAnswerText), []byte(header))
	v["answer_jwe"] = strings.Join([]string{header, "", url64(iv), url64(ciphertext), url64(tag)}, ".")
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(nativeFile, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNative_Vectors runs the committed session in every TPM that there is, and in
// software.
func TestNative_Vectors(t *testing.T) {
	if writeVectors() {
		writeNative(t)
	}
	v := loadNative(t)
	key := secret.NewBytes(bin(t, v, "session_key_hex"))
	tok, err := jose.Parse(v["request"])
	if err != nil {
		t.Fatal(err)
	}
	if err := entrawire.VerifySession(tok, key); err != nil {
		t.Errorf("the request: %v", err)
	}
	if got := entrawire.SessionContext(tok.Header, tok.Payload); hexed(got) != v["request_context_hex"] {
		t.Errorf("context %x", got)
	}
	for context, derived := range map[string]string{"request_context_hex": "request_derived_key_hex", "answer_ctx_hex": "answer_derived_key_hex"} {
		if got := kdf.DeriveV3(key, bin(t, v, context)).Reveal(); !bytes.Equal(got, bin(t, v, derived)) {
			t.Errorf("%s: %x", derived, got)
		}
	}
	if plain, err := entrawire.OpenNativeAnswer(v["answer_jwe"], key); err != nil || string(plain) != v["answer_plaintext"] {
		t.Errorf("the answer: %q, %v", plain, err)
	}
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) { runNative(t, v, tpm) })
}

func runNative(t *testing.T, v map[string]string, tpm transport.TPM) {
	t.Helper()
	holder := nativetest.Known(t, tpm, bin(t, v, "storage_key_private_hex"))
	if !bytes.Equal(holder.StorageKey(), bin(t, v, "storage_key_public_hex")) {
		t.Fatal("the storage key has another public area")
	}
	session, err := holder.Import(v["session_key_jwe"])
	if err != nil {
		t.Fatal(err)
	}
	mac, err := session.HMAC(bin(t, v, "request_context_hex"), []byte(requestInput(t, v)))
	if err != nil || hexed(mac) != v["request_mac_hex"] {
		t.Errorf("HMAC %x, %v", mac, err)
	}
	a, err := entrawire.ParseNativeAnswer(v["answer_jwe"])
	if err != nil {
		t.Fatal(err)
	}
	first, n := a.Counters()
	streams, err := session.CTR(a.Ctx, nativetest.Run{Blocks: 1}, nativetest.Run{First: first, Blocks: n})
	if err != nil || hexed(streams[0]) != v["answer_zero_block_hex"] || hexed(streams[1]) != v["answer_stream_hex"] {
		t.Errorf("key streams %x, %v", streams, err)
	}
	if plain, err := session.OpenAnswer(v["answer_jwe"]); err != nil || string(plain) != v["answer_plaintext"] {
		t.Errorf("the answer: %q, %v", plain, err)
	}
}

// TestNative_VectorsAgainstOpenSSL asks the openssl of this machine for every figure
// once more.
func TestNative_VectorsAgainstOpenSSL(t *testing.T) {
	v := loadNative(t)
	a, err := entrawire.ParseNativeAnswer(v["answer_jwe"])
	if err != nil {
		t.Fatal(err)
	}
	first, n := a.Counters()
	all := figures(t, v, requestInput(t, v), first[:], n)
	for name, want := range all {
		if v[name] != want {
			t.Errorf("%s is %s, openssl says %s", name, v[name], want)
		}
	}
	t.Log(strconv.Itoa(len(all)) + " figures of " + string(openssl(t, nil, "version")))
}
