package entrawire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func sealNative(t testing.TB, plain []byte) (string, *NativeAnswer) {
	t.Helper()
	s, err := SealNativeAnswer(fixedKey(), plain)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ParseNativeAnswer(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, a
}

func derivedBlock(t testing.TB, a *NativeAnswer) cipher.Block {
	t.Helper()
	block, err := aes.NewCipher(kdf.DeriveV3(fixedKey(), a.Ctx).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// TestNative_AnswerIsRFC7516 opens an answer by the letter of RFC 7516: the tag
// covers the header segment, IV and tag have the sizes of A256GCM.
func TestNative_AnswerIsRFC7516(t *testing.T) {
	s, a := sealNative(t, []byte("hello"))
	parts := strings.Split(s, ".")
	gcm, err := cipher.NewGCM(derivedBlock(t, a))
	if err != nil {
		t.Fatal(err)
	}
	var seg [5][]byte
	for i, p := range parts {
		if seg[i], err = jose.DecodeSegment(p); err != nil {
			t.Fatal(err)
		}
	}
	if want := `{"alg":"dir","enc":"A256GCM","ctx":"` + base64.StdEncoding.EncodeToString(a.Ctx) + `"}`; string(seg[0]) != want || len(parts) != 5 {
		t.Errorf("header %s, %d segments", seg[0], len(parts))
	}
	plain, err := gcm.Open(nil, seg[2], append(bytes.Clone(seg[3]), seg[4]...), []byte(parts[0]))
	if err != nil || string(plain) != "hello" {
		t.Errorf("%q, %v", plain, err)
	}
	again, _ := sealNative(t, []byte("hello"))
	if strings.Split(again, ".")[0] == parts[0] || strings.Split(again, ".")[2] == parts[2] {
		t.Error("ctx or IV came twice")
	}
}

func TestNative_AnswerIntoItsShape(t *testing.T) {
	raw, err := somePRTAnswer().Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, a := sealNative(t, raw)
	var prt PRTAnswer
	if err := a.OpenInto(derivedBlock(t, a), &prt); err != nil || prt.RefreshToken.Reveal() != somePRTAnswer().RefreshToken.Reveal() {
		t.Errorf("%+v, %v", prt, err)
	}
	_, bare := sealNative(t, []byte(`{"token_type":"Bearer"}`))
	if err := bare.OpenInto(derivedBlock(t, bare), &prt); err != ErrAnswer || prt.RefreshToken.Empty() { //nolint:errorlint // the very same error
		t.Errorf("an answer without a PRT: %v, %+v", err, prt)
	}
}

// TestNative_AnswerHasOneForm: every bit of every part counts, and no other form is
// taken, that of Entra included.
func TestNative_AnswerHasOneForm(t *testing.T) {
	plain := []byte(`{"token_type":"Bearer"}`)
	s, a := sealNative(t, plain)
	parts := strings.Split(s, ".")
	entra, err := SealAnswer(fixedKey(), plain)
	if err != nil {
		t.Fatal(err)
	}
	head := func(h string) string {
		return jose.EncodeSegment([]byte(h)) + "." + strings.Join(parts[1:], ".")
	}
	ctx := base64.StdEncoding.EncodeToString(a.Ctx)
	for name, bad := range map[string]string{
		"Entra's form":   entra,
		"plain":          string(plain),
		"four segments":  strings.Join(parts[:4], "."),
		"encrypted key":  parts[0] + ".AAAA." + strings.Join(parts[2:], "."),
		"IV of 16":       strings.Join([]string{parts[0], "", jose.EncodeSegment(make([]byte, 16)), parts[3], parts[4]}, "."),
		"no ciphertext":  strings.Join([]string{parts[0], "", parts[2], "", parts[4]}, "."),
		"no tag":         strings.Join(parts[:4], ".") + ".",
		"tag of 15":      strings.Join(parts[:4], ".") + "." + jose.EncodeSegment(a.Tag[:15]),
		"padding":        s + "==",
		"no ctx":         head(`{"alg":"dir","enc":"A256GCM"}`),
		"ctx of 23":      head(`{"alg":"dir","enc":"A256GCM","ctx":"` + base64.StdEncoding.EncodeToString(a.Ctx[:23]) + `"}`),
		"ctx of 32":      head(`{"alg":"dir","enc":"A256GCM","ctx":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`),
		"ctx twice":      head(`{"alg":"dir","enc":"A256GCM","ctx":"` + ctx + `","ctx":"` + ctx + `"}`),
		"kid":            head(`{"alg":"dir","enc":"A256GCM","ctx":"` + ctx + `","kid":"session"}`),
		"another enc":    head(`{"alg":"dir","enc":"A128GCM","ctx":"` + ctx + `"}`),
		"another alg":    head(`{"alg":"A256KW","enc":"A256GCM","ctx":"` + ctx + `"}`),
		"header reorder": head(`{"enc":"A256GCM","alg":"dir","ctx":"` + ctx + `"}`), // is read, and then the tag is over another header
	} {
		if _, err := OpenNativeAnswer(bad, fixedKey()); err != ErrAnswer { //nolint:errorlint // the very same error
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range parts {
		raw, err := jose.DecodeSegment(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * len(raw) {
			raw[bit/8] ^= 1 << (bit % 8)
			bad := append(append(append([]string(nil), parts[:i]...), jose.EncodeSegment(raw)), parts[i+1:]...)
			if _, err := OpenNativeAnswer(strings.Join(bad, "."), fixedKey()); err != ErrAnswer { //nolint:errorlint // as above
				t.Fatalf("segment %d, bit %d: %v", i, bit, err)
			}
			raw[bit/8] ^= 1 << (bit % 8)
		}
	}
	if _, err := ParseAnswer(s); err != ErrAnswer { //nolint:errorlint // as above
		t.Errorf("a native answer where one of Entra's form is due: %v", err)
	}
	if _, err := OpenNativeAnswer(s, newSessionKey()); err != ErrAnswer { //nolint:errorlint // as above
		t.Errorf("another session key: %v", err)
	}
	if _, err := OpenNativeAnswer(s, fixedKey()); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestNative_AnswerKeyIsNoRequestKey: the context of a request has 32 bytes, so no
// header can make the key of an answer equal to the one that signs a request.
func TestNative_AnswerKeyIsNoRequestKey(t *testing.T) {
	claims := claimsWithNonce(t, "n0nce")
	h := sessionHeader(KDF3)
	context := SessionContext(h, claims)
	forged, err := sealNativeAnswer(fixedKey(), []byte("{}"), context, make([]byte, gcmIVSize))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseNativeAnswer(forged); err != ErrAnswer { //nolint:errorlint // the very same error
		t.Errorf("an answer under the key of a request: %v", err)
	}
}

// mapped is a cipher.Block out of a map, as simple as can be.
type mapped struct {
	blocks map[[16]byte][16]byte
	asked  [][16]byte
	failed bool
}

func (*mapped) BlockSize() int { return aes.BlockSize }
func (m *mapped) Encrypt(dst, src []byte) {
	m.asked = append(m.asked, [16]byte(src))
	out, ok := m.blocks[[16]byte(src)]
	m.failed = m.failed || !ok
	copy(dst, out[:])
}
func (*mapped) Decrypt(_, _ []byte) { panic("counter mode does not decrypt blocks") }
func (m *mapped) Err() error {
	if m.failed {
		return errors.New("a block is missing")
	}
	return nil
}

// prefetch computes what Counters says, as a TPM would.
func prefetch(t testing.TB, a *NativeAnswer) (m *mapped, zero, stream []byte) {
	t.Helper()
	block := derivedBlock(t, a)
	first, n := a.Counters()
	m = &mapped{blocks: map[[16]byte][16]byte{}}
	zero, stream = make([]byte, 16), make([]byte, 16*n)
	block.Encrypt(zero, zero)
	m.blocks[[16]byte{}] = [16]byte(zero)
	cipher.NewCTR(block, first[:]).XORKeyStream(stream, stream)
	for i := range n {
		m.blocks[first] = [16]byte(stream[16*i:])
		first[15]++
		if first[15] == 0 {
			first[14]++
		}
	}
	return m, zero, stream
}

// TestNative_BlocksComputedBefore: the blocks that Counters names are the blocks
// that Go's GCM asks for, all of them and no others, and each one is needed.
func TestNative_BlocksComputedBefore(t *testing.T) {
	for _, size := range []int{1, 15, 16, 17, 255, 256, 4096, 5000} {
		plain := bytes.Repeat([]byte{'p'}, size)
		_, a := sealNative(t, plain)
		m, zero, stream := prefetch(t, a)
		if got, err := a.Open(m); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: %v", size, err)
		}
		asked := map[[16]byte]bool{}
		for _, b := range m.asked {
			asked[b] = true
		}
		if len(asked) != len(m.blocks) {
			t.Errorf("%d bytes: %d blocks were asked for and %d computed", size, len(asked), len(m.blocks))
		}
		blocks, err := a.Blocks(bytes.Clone(zero), bytes.Clone(stream))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Open(blocks); err != nil || !bytes.Equal(got, plain) || blocks.Err() != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if size > 256 {
			continue
		}
		for missing, was := range m.blocks {
			delete(m.blocks, missing)
			m.failed = false
			if got, err := a.Open(m); err != ErrAnswer || got != nil { //nolint:errorlint // the very same error
				t.Fatalf("%d bytes without block %x: %q, %v", size, missing, got, err)
			}
			m.blocks[missing] = was
		}
	}
}

// TestNative_NoBlocksNoAnswer: a block that is not there comes out as zeros, and
// with nothing but zeros a tag of zeros would verify. Err is what stops that.
func TestNative_NoBlocksNoAnswer(t *testing.T) {
	_, a := sealNative(t, []byte("secret"))
	clear(a.Tag)
	nothing := &Blocks{first: [16]byte{0xff}} // has no block that is asked for
	gcm, err := cipher.NewGCM(nothing)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gcm.Open(nil, a.IV, append(bytes.Clone(a.Ciphertext), a.Tag...), []byte(a.header)); err != nil {
		t.Fatalf("the danger is not there any more, and this test proves nothing: %v", err)
	}
	if !errors.Is(nothing.Err(), ErrBlock) {
		t.Error("nobody noticed")
	}
	if got, err := a.Open(nothing); err != ErrAnswer || got != nil { //nolint:errorlint // the very same error
		t.Errorf("%q, %v", got, err)
	}

	_, good := sealNative(t, []byte("secret"))
	_, zero, stream := prefetch(t, good)
	for name, c := range map[string][2][]byte{
		"short zero": {zero[:15], stream}, "short stream": {zero, stream[:16]}, "long stream": {zero, append(bytes.Clone(stream), 0)}, "nothing": {nil, nil},
	} {
		if _, err := good.Blocks(c[0], c[1]); !errors.Is(err, ErrBlock) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := good.Blocks(zero, stream)
	if err != nil {
		t.Fatal(err)
	}
	_, other := sealNative(t, []byte("secret"))
	if _, err := other.Open(b); err != ErrAnswer { //nolint:errorlint // as above
		t.Errorf("blocks of another answer: %v", err)
	}
	if _, err := good.Open(b); err != ErrAnswer { //nolint:errorlint // as above
		t.Errorf("blocks that failed before: %v", err)
	}
	b, err = good.Blocks(zero, stream)
	if err != nil {
		t.Fatal(err)
	}
	dst := []byte{15: 1}
	b.Decrypt(dst, dst)
	if b.Err() == nil || !bytes.Equal(dst, make([]byte, 16)) {
		t.Error("Decrypt answers")
	}
	b.Wipe()
	if !bytes.Equal(zero, make([]byte, 16)) || !bytes.Equal(stream, make([]byte, len(stream))) || b.Err() == nil {
		t.Error("Wipe leaves something")
	}
	for name, block := range map[string]cipher.Block{"none": nil, "of 8 bytes": short{}} {
		if _, err := good.Open(block); err != ErrAnswer { //nolint:errorlint // as above
			t.Errorf("a block cipher %s: %v", name, err)
		}
	}
	if _, err := new(NativeAnswer).Open(derivedBlock(t, good)); err != ErrAnswer { //nolint:errorlint // as above
		t.Errorf("an answer with nothing in it: %v", err)
	}
}

type short struct{}

func (short) BlockSize() int      { return 8 }
func (short) Encrypt(_, _ []byte) {}
func (short) Decrypt(_, _ []byte) {}

func FuzzParseNativeAnswer(f *testing.F) {
	good, _ := sealNative(f, []byte("{}"))
	f.Add(good)
	f.Add(load(f, "vectors.json")["answer_jwe"])
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseNativeAnswer(s)
		if err != nil {
			if err != ErrAnswer { //nolint:errorlint // the very same error
				t.Fatalf("error %v", err)
			}
			return
		}
		if tail := ".." + jose.EncodeSegment(a.IV) + "." + jose.EncodeSegment(a.Ciphertext) + "." + jose.EncodeSegment(a.Tag); !strings.HasSuffix(s, tail) {
			t.Fatalf("%q does not end in %q", s, tail)
		}
		if _, n := a.Counters(); n < 2 || 16*(n-1) < len(a.Ciphertext) {
			t.Fatalf("%d blocks for %d bytes", n, len(a.Ciphertext))
		}
		_, _ = a.Open(derivedBlock(t, a)) // must not panic
	})
}

// TestNative_SealVector seals the answer of the committed session byte for byte.
func TestNative_SealVector(t *testing.T) {
	v := load(t, "native.json")
	got, err := sealNativeAnswer(secret.NewBytes(unhex(t, v["session_key_hex"])), []byte(v["answer_plaintext"]), unhex(t, v["answer_ctx_hex"]), unhex(t, v["answer_iv_hex"]))
	if err != nil || got != v["answer_jwe"] {
		t.Errorf("sealed as %s, %v", got, err)
	}
}
