package softtpm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// rsaCommand is RSA_Encrypt (0x174) or RSA_Decrypt (0x159), without a label.
func rsaCommand(tpm *softtpm.TPM, cc uint32, k key, in []byte, scheme ...uint16) ([]byte, error) {
	var auth []byte
	if cc == 0x159 {
		auth = []byte{}
	}
	r, err := raw(tpm, cc, []uint32{uint32(k.Handle)}, auth, cat(sized(in), u16(scheme...), sized(nil))...)
	if err != nil {
		return nil, err
	}
	if auth != nil {
		r = r[4:] // the size of the parameters
	}
	return r[2 : 2+be.Uint16(r)], nil
}

func modulus(t testing.TB, k key) *rsa.PublicKey {
	t.Helper()
	n := must[*tpm2.TPM2BPublicKeyRSA](t)(k.Pub.Unique.RSA())
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n.Buffer), E: 65537}
}

// A key without a scheme does what its caller asks for; Go's RSA is the judge.
func TestRSASchemes(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	k := made(t, tpm, srk(t, tpm), rsaTemplate(hidden(func(a *tpm2.TPMAObject) { a.Decrypt = true }), tpm2.TPMTRSAScheme{}), "", nil)
	pub, message := modulus(t, k), []byte("message")
	const rsaes, null = 0x15, 0x10

	//nolint:staticcheck // the judge of the old scheme
	c := must[[]byte](t)(rsa.EncryptPKCS1v15(rand.Reader, pub, message))
	for range 2 {
		if m := must[[]byte](t)(rsaCommand(tpm, 0x159, k, c, rsaes)); !bytes.Equal(m, message) {
			t.Errorf("RSAES gives %x", m)
		}
		c = must[[]byte](t)(rsaCommand(tpm, 0x174, k, message, rsaes)) // and what it encrypts itself
	}
	c[100] ^= 1
	_, err := rsaCommand(tpm, 0x159, k, c, rsaes)
	wantRC(t, "damaged", err, 0x084)
	_, err = rsaCommand(tpm, 0x174, k, make([]byte, 246), rsaes)
	wantRC(t, "no room for the padding", err, 0x084)

	block := append([]byte{0}, span(1, 256)...)
	want := new(big.Int).Exp(new(big.Int).SetBytes(block), big.NewInt(65537), pub.N).FillBytes(make([]byte, 256))
	if c = must[[]byte](t)(rsaCommand(tpm, 0x174, k, block, null)); !bytes.Equal(c, want) {
		t.Errorf("the bare function gives %x", c)
	}
	if m := must[[]byte](t)(rsaCommand(tpm, 0x159, k, c, null)); !bytes.Equal(m, block[1:]) {
		t.Errorf("and back %x", m)
	}
	// Short input is a number too.
	if c = must[[]byte](t)(rsaCommand(tpm, 0x174, k, []byte{0, 1}, null)); !bytes.Equal(c, append(make([]byte, 255), 1)) {
		t.Errorf("the bare function of one gives %x", c)
	}
	for _, cc := range []uint32{0x174, 0x159} {
		_, err = rsaCommand(tpm, cc, k, pub.N.Bytes(), null)
		wantRC(t, "not below the modulus", err, 0x095)
		_, err = rsaCommand(tpm, cc, k, c, 0x14, 0xb)
		wantRC(t, "a scheme of signatures", err, 0x2c4)
	}
}

// A key that has a scheme does nothing else: no padding oracle for one that
// fixes OAEP, and no bare function.
func TestRSASchemeIsFixed(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	rsaes := tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgRSAES, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAES, &tpm2.TPMSEncSchemeRSAES{})}
	for name, v := range map[string]struct {
		tmpl  tpm2.TPMTPublic
		own   []uint16
		other [][]uint16
	}{
		"OAEP":  {tkTemplate(tpm2.TPMAlgSHA256), []uint16{0x17, 0xb}, [][]uint16{{0x15}, {0x17, 4}}},
		"RSAES": {rsaTemplate(hidden(func(a *tpm2.TPMAObject) { a.Decrypt = true }), rsaes), []uint16{0x15}, [][]uint16{{0x17, 0xb}}},
	} {
		k := made(t, tpm, root, v.tmpl, "", nil)
		for _, scheme := range [][]uint16{v.own, {0x10}} {
			c := must[[]byte](t)(rsaCommand(tpm, 0x174, k, []byte("message"), scheme...))
			if m := must[[]byte](t)(rsaCommand(tpm, 0x159, k, c, v.own...)); string(m) != "message" {
				t.Errorf("%s by %x: %x", name, scheme, m)
			}
			for _, other := range v.other {
				for _, cc := range []uint32{0x174, 0x159} {
					_, err := rsaCommand(tpm, cc, k, c, other...)
					wantRC(t, name, err, 0x2d2)
				}
			}
		}
		flush(t, tpm, k.Handle)
	}
	k := made(t, tpm, root, storageRSA(), "", nil)
	_, err := rsaCommand(tpm, 0x159, k, make([]byte, 256), 0x15)
	wantRC(t, "a storage key", err, 0x182)
}
