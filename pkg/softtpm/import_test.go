package softtpm_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

func mac(k, data []byte) []byte {
	m := hmac.New(sha256.New, k)
	m.Write(data)
	return m.Sum(nil)
}

// bindTo fills the unique field for a given secret: what a server without a
// TPM does before it wraps a key.
func bindTo(t testing.TB, p tpm2.TPMTPublic, secret []byte) (tpm2.TPMTPublic, []byte) {
	t.Helper()
	seed := span(9, 32)
	h := sha256.Sum256(append(bytes.Clone(seed), secret...))
	unique := h[:]
	if p.ObjectAttributes.Restricted && p.ObjectAttributes.Decrypt {
		unique = mac(seed, secret)
	}
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: unique})
	return p, tpm2.Marshal(tpm2.TPMTSensitive{SensitiveType: tpm2.TPMAlgKeyedHash, SeedValue: tpm2.TPM2BDigest{Buffer: seed},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BSensitiveData{Buffer: secret})})
}

// serverWrap wraps a secret for a storage parent, without a TPM.
func serverWrap(t testing.TB, parent key, tmpl tpm2.TPMTPublic, secret []byte) tpm2.Import {
	t.Helper()
	p, sensitive := bindTo(t, tmpl, secret)
	name := must[*tpm2.TPM2BName](t)(tpm2.ObjectName(&p))
	k, err := tpm2.ImportEncapsulationKey(&parent.Pub)
	ok(t, err)
	dup, seed, err := tpm2.CreateDuplicate(rand.Reader, k, name.Buffer, sensitive)
	ok(t, err)
	return tpm2.Import{ParentHandle: parent.auth(), ObjectPublic: tpm2.New2B(p), Duplicate: tpm2.TPM2BPrivate{Buffer: dup},
		InSymSeed: tpm2.TPM2BEncryptedSecret{Buffer: seed}, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}}
}

func TestImport(t *testing.T) {
	for name, tmpl := range map[string]tpm2.TPMTPublic{"ECC": storageECC(), "RSA": storageRSA()} {
		t.Run(name, func(t *testing.T) {
			tpm := newTPM(t, softtpm.Config{})
			parent := made(t, tpm, srk(t, tpm), tmpl, "", nil)
			secret := span(0, 32)
			im := serverWrap(t, parent, skTemplate(false), secret)
			r, err := im.Execute(tpm)
			ok(t, err)
			k := must[key](t)(load(tpm, parent, blob{im.ObjectPublic, r.OutPrivate}))
			if got := must[[]byte](t)(hmacOf(tpm, k.auth(), []byte("x"))); !bytes.Equal(got, mac(secret, []byte("x"))) {
				t.Error("another key came in")
			}
			im.Duplicate.Buffer[len(im.Duplicate.Buffer)-1] ^= 1
			_, err = im.Execute(tpm)
			wantRC(t, "damaged duplicate", err, 0x3df)
			fixed := serverWrap(t, parent, skTemplate(true), secret)
			_, err = fixed.Execute(tpm)
			wantRC(t, "import of a key that says it never moved", err, 0x2c2)
		})
	}
}

func TestLoadExternal(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	p, sensitive := bindTo(t, skTemplate(false), span(0, 32))
	s := must[*tpm2.TPMTSensitive](t)(tpm2.Unmarshal[tpm2.TPMTSensitive](sensitive))
	le := tpm2.LoadExternal{InPrivate: tpm2.New2B(*s), InPublic: tpm2.New2B(p), Hierarchy: tpm2.TPMRHNull}
	r, err := le.Execute(tpm)
	ok(t, err)
	k := key{Handle: r.ObjectHandle, Name: r.Name}
	if got := must[[]byte](t)(hmacOf(tpm, k.auth(), []byte("x"))); !bytes.Equal(got, mac(span(0, 32), []byte("x"))) {
		t.Error("another key was loaded")
	}
	le.Hierarchy = tpm2.TPMRHOwner
	_, err = le.Execute(tpm)
	wantRC(t, "private part outside the null hierarchy", err, 0x3c5)
	le.Hierarchy = tpm2.TPMRHNull
	fixed := p
	fixed.ObjectAttributes.FixedTPM, fixed.ObjectAttributes.FixedParent = true, true
	le.InPublic = tpm2.New2B(fixed)
	_, err = le.Execute(tpm)
	wantRC(t, "a known key that says it is fixed", err, 0x2c2)
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: span(0, 32)})
	le.InPublic = tpm2.New2B(p)
	_, err = le.Execute(tpm)
	wantRC(t, "halves of two keys", err, 0x1e5)
}

// An RSA key pair in the clear: both primes are checked, so that nothing
// computes with a composite.
func TestLoadExternalRSA(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	le := externalRSA(t)
	r, err := le.Execute(tpm)
	ok(t, err)
	flush(t, tpm, r.ObjectHandle)
	prime := must[*tpm2.TPMTSensitive](t)(le.InPrivate.Contents())
	for name, change := range map[string]func([]byte){
		"even":    func(b []byte) { b[len(b)-1] &^= 1 },
		"another": func(b []byte) { b[100] ^= 4 },
		"short":   func(b []byte) { b[0] = 0 },
	} {
		p := bytes.Clone(must[*tpm2.TPM2BPrivateKeyRSA](t)(prime.Sensitive.RSA()).Buffer)
		change(p)
		bad := le
		bad.InPrivate = tpm2.New2B(tpm2.TPMTSensitive{SensitiveType: tpm2.TPMAlgRSA,
			Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgRSA, &tpm2.TPM2BPrivateKeyRSA{Buffer: p})})
		_, err := bad.Execute(tpm)
		wantRC(t, name+" prime", err, 0x1e5)
	}
	// A modulus with an even factor must not reach the arithmetic.
	n := make([]byte, 256)
	n[0] = 0x90
	pub := must[*tpm2.TPMTPublic](t)(le.InPublic.Contents())
	even := *pub
	even.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: n})
	le.InPublic = tpm2.New2B(even)
	_, err = le.Execute(tpm)
	wantRC(t, "even modulus", err, 0x2c4)
}

func deriveKey(t testing.TB, tpm transport.TPM, parent key, p tpm2.TPMTTemplate, context []byte) key {
	t.Helper()
	p.Unique = tpm2.TPMSDerive{Label: tpm2.TPM2BLabel{Buffer: []byte("AzureAD-SecureConversation")}, Context: tpm2.TPM2BLabel{Buffer: context}}
	r, err := tpm2.CreateLoaded{ParentHandle: parent.auth(), InPublic: tpm2.New2BTemplate(&p)}.Execute(tpm)
	ok(t, err)
	return key{Handle: r.ObjectHandle, Name: r.Name}
}

// A derivation parent derives HMAC and AES keys that never leave the TPM:
// SP 800-108 with the L of a TPM, 8192 bits.
func TestDerivation(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	secret, ctx := span(0, 32), span(0x40, 24)
	parent := made(t, tpm, root, deriverTemplate(), "", secret)
	want := mac(secret, kdfInput(ctx, 8192))
	child := func(typ tpm2.TPMAlgID, a tpm2.TPMAObject, parms tpm2.TPMUPublicParms) tpm2.TPMTTemplate {
		a.FixedParent, a.UserWithAuth, a.NoDA = true, true, true
		return tpm2.TPMTTemplate{Type: typ, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a, Parameters: parms}
	}
	h := deriveKey(t, tpm, parent, child(tpm2.TPMAlgKeyedHash, tpm2.TPMAObject{SignEncrypt: true}, skTemplate(true).Parameters), ctx)
	if got := must[[]byte](t)(hmacOf(tpm, h.auth(), []byte("x"))); !bytes.Equal(got, mac(want, []byte("x"))) {
		t.Error("the derived HMAC key differs")
	}
	flush(t, tpm, h.Handle)

	for _, mode := range []tpm2.TPMAlgID{tpm2.TPMAlgCTR, tpm2.TPMAlgCFB} {
		k := deriveKey(t, tpm, parent, child(tpm2.TPMAlgSymCipher, tpm2.TPMAObject{SignEncrypt: true, Decrypt: true},
			tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgAES,
				KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, mode)}})), ctx)
		plain := span(0, 100)
		iv := bytes.Repeat([]byte{0xff}, 16) // the counter wraps
		got := crypt(t, tpm, k, iv, false, plain[:48], plain[48:])
		if mode == tpm2.TPMAlgCTR {
			block, err := aes.NewCipher(want)
			ok(t, err)
			ref := make([]byte, len(plain))
			cipher.NewCTR(block, iv).XORKeyStream(ref, plain)
			if !bytes.Equal(got, ref) {
				t.Error("CTR differs from the standard library")
			}
		}
		if back := crypt(t, tpm, k, iv, true, got[:16], got[16:]); !bytes.Equal(back, plain) {
			t.Errorf("mode %v does not come back", mode)
		}
		flush(t, tpm, k.Handle)
	}
}

// crypt runs EncryptDecrypt2 over parts, continuing with the returned IV.
func crypt(t testing.TB, tpm transport.TPM, k key, iv []byte, decrypt bool, parts ...[]byte) []byte {
	t.Helper()
	var out []byte
	for _, p := range parts {
		r, err := tpm2.EncryptDecrypt2{KeyHandle: k.auth(), Message: tpm2.TPM2BMaxBuffer{Buffer: p}, Decrypt: decrypt,
			Mode: tpm2.TPMAlgNull, IV: tpm2.TPM2BIV{Buffer: iv}}.Execute(tpm)
		ok(t, err)
		out, iv = append(out, r.OutData.Buffer...), r.IV.Buffer
	}
	return out
}
