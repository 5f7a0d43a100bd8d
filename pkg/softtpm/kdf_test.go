package softtpm_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// kdfInput is the one block of the session-key KDF: SP 800-108 in counter
// mode, label "AzureAD-SecureConversation", bits of output as L.
func kdfInput(context []byte, bits uint32) []byte {
	b := append([]byte{0, 0, 0, 1}, "AzureAD-SecureConversation\x00"...)
	return be.AppendUint32(append(b, context...), bits)
}

func span(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(from + i)
	}
	return b
}

func unhex(t testing.TB, s string) []byte { return must[[]byte](t)(hex.DecodeString(s)) }

// Known answers of the session-key derivation, versions 1 and 2, computed by
// TPM2_HMAC on a key that Create bound to this TPM.
func TestKDFVectors(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	k := made(t, tpm, srk(t, tpm), skTemplate(true), "", span(0, 32))
	ctx := span(0x40, 24)
	payload := `{"refresh_token":"0.prt.test","is_primary":"true","request_nonce":"n0nce"}`
	ctx2 := sha256.Sum256(append(bytes.Clone(ctx), payload...))
	if want := unhex(t, "e7973edc9814292fa34f78cd83d5ecbe9ef14898a7f3bcbb60809195d175b1ef"); !bytes.Equal(ctx2[:], want) {
		t.Fatalf("version 2 context %x, want %x", ctx2, want)
	}
	for _, v := range []struct {
		name    string
		context []byte
		want    string
	}{
		{"v1", ctx, "261704508fac96248f7d3be91a017495fc867b984effbbd36059d69719da6375"},
		{"v2", ctx2[:], "26102327d8f1516bcd58b8fdf0ae34f017d7634a1d563f9ab0f5a1c9cdc68faf"},
	} {
		for range 2 { // the second run uses the keyed hash of the first
			got := must[[]byte](t)(hmacOf(tpm, k.auth(), kdfInput(v.context, 256)))
			if !bytes.Equal(got, unhex(t, v.want)) {
				t.Errorf("%s: got %x, want %s", v.name, got, v.want)
			}
		}
	}
}

// hmacSequence computes a MAC of data of any length.
func hmacSequence(tpm transport.TPM, k key, data []byte) ([]byte, error) {
	r, err := tpm2.HmacStart{Handle: k.auth(), HashAlg: tpm2.TPMAlgNull, Auth: tpm2.TPM2BAuth{Buffer: []byte("seq")}}.Execute(tpm)
	if err != nil {
		return nil, err
	}
	s := tpm2.AuthHandle{Handle: r.SequenceHandle, Auth: tpm2.PasswordAuth([]byte("seq"))}
	for len(data) > 1024 {
		if _, err := (tpm2.SequenceUpdate{SequenceHandle: s, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data[:1024]}}).Execute(tpm); err != nil {
			return nil, err
		}
		data = data[1024:]
	}
	// The last step in an HMAC session: its response key outlives the slot.
	s.Auth = tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("seq")))
	f, err := tpm2.SequenceComplete{SequenceHandle: s, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data}, Hierarchy: tpm2.TPMRHNull}.Execute(tpm)
	if err != nil {
		return nil, err
	}
	return f.Result.Buffer, nil
}

func TestHMACSequence(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	k := made(t, tpm, srk(t, tpm), skTemplate(true), "", span(0, 32))
	data := bytes.Repeat([]byte("x"), 5000)
	for range 2 { // the slot is free again after each
		got := must[[]byte](t)(hmacSequence(tpm, k, data))
		m := hmac.New(sha256.New, span(0, 32))
		m.Write(data)
		if !bytes.Equal(got, m.Sum(nil)) {
			t.Error("sequence MAC differs")
		}
	}
	_, err := hmacOf(tpm, k.auth(), data[:1100])
	wantRC(t, "1100 bytes in one command", err, 0x1d5)
	_, err = tpm2.SequenceUpdate{SequenceHandle: k.auth()}.Execute(tpm)
	wantRC(t, "update of a key", err, 0x1c9)
}

func TestHash(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	ak := made(t, tpm, srk(t, tpm), akTemplate(), "", nil)
	sign := func(data string, tamper bool) error {
		r, err := tpm2.Hash{Data: tpm2.TPM2BMaxBuffer{Buffer: []byte(data)}, HashAlg: tpm2.TPMAlgSHA256, Hierarchy: tpm2.TPMRHOwner}.Execute(tpm)
		ok(t, err)
		if want := sha256.Sum256([]byte(data)); !bytes.Equal(r.OutHash.Buffer, want[:]) {
			t.Errorf("hash of %q differs", data)
		}
		if tamper {
			r.OutHash.Buffer[0] ^= 1
		}
		_, err = tpm2.Sign{KeyHandle: ak.auth(), Digest: r.OutHash, Validation: r.Validation}.Execute(tpm)
		return err
	}
	ok(t, sign("a plain message", false))
	wantRC(t, "restricted key, forged attestation", sign("\xffTCG\x80\x17 forged", false), 0x3e0)
	wantRC(t, "restricted key, digest of other data", sign("a plain message", true), 0x3e0)

	// The same through a hash sequence, in two parts that hide the magic.
	r, err := tpm2.HashSequenceStart{HashAlg: tpm2.TPMAlgSHA256}.Execute(tpm)
	ok(t, err)
	s := tpm2.AuthHandle{Handle: r.SequenceHandle, Auth: tpm2.PasswordAuth(nil)}
	_, err = tpm2.SequenceUpdate{SequenceHandle: s, Buffer: tpm2.TPM2BMaxBuffer{Buffer: []byte("\xffT")}}.Execute(tpm)
	ok(t, err)
	f, err := tpm2.SequenceComplete{SequenceHandle: s, Buffer: tpm2.TPM2BMaxBuffer{Buffer: []byte("CG rest")}, Hierarchy: tpm2.TPMRHOwner}.Execute(tpm)
	ok(t, err)
	_, err = tpm2.Sign{KeyHandle: ak.auth(), Digest: tpm2.TPM2BDigest{Buffer: f.Result.Buffer}, Validation: f.Validation}.Execute(tpm)
	wantRC(t, "restricted key, forged attestation in parts", err, 0x3e0)
}
