package softtpm_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

func publicKey(t testing.TB, p tpm2.TPMTPublic) *rsa.PublicKey {
	t.Helper()
	k, isRSA := must[crypto.PublicKey](t)(tpm2.Pub(p)).(*rsa.PublicKey)
	if !isRSA {
		t.Fatal("not an RSA key")
	}
	return k
}

// REG01: the device key signs and nothing else, the transport key decrypts and
// nothing else.
func TestREG01_DeviceAndTransportKey(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	digest := sha256.Sum256([]byte("jwt"))

	dk := made(t, tpm, root, dkTemplate(), "", nil)
	r, err := signDigest(tpm, dk.auth(), digest[:])
	ok(t, err)
	sig := must[*tpm2.TPMSSignatureRSA](t)(r.Signature.Signature.RSASSA()).Sig.Buffer
	ok(t, rsa.VerifyPKCS1v15(publicKey(t, dk.Pub), crypto.SHA256, digest[:], sig))
	_, err = tpm2.RSADecrypt{KeyHandle: dk.auth(), CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: sig}}.Execute(tpm)
	wantRC(t, "decrypt with dk", err, 0x182)
	_, err = signDigest(tpm, dk.auth(), digest[:20])
	wantRC(t, "short digest", err, 0x1d5)
	pss := tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSAPSS, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256})}
	_, err = tpm2.Sign{KeyHandle: dk.auth(), Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, InScheme: pss,
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull}}.Execute(tpm)
	wantRC(t, "PSS asked of an RSASSA key", err, 0x2d2)
	flush(t, tpm, dk.Handle)

	secret := span(1, 32)
	for _, v := range []struct {
		alg, other tpm2.TPMAlgID
		new        func() hash.Hash
	}{{tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA256, sha1.New}, {tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA1, sha256.New}} {
		tk := made(t, tpm, root, tkTemplate(v.alg), "", nil)
		ct := must[[]byte](t)(rsa.EncryptOAEP(v.new(), rand.Reader, publicKey(t, tk.Pub), secret, nil))
		d := tpm2.RSADecrypt{KeyHandle: tk.auth(), CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: ct}}
		out, err := d.Execute(tpm)
		ok(t, err)
		if !bytes.Equal(out.Message.Buffer, secret) {
			t.Errorf("OAEP with %v gives another secret", v.alg)
		}
		d.InScheme = tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgOAEP, Details: oaep(v.other).Details}
		_, err = d.Execute(tpm)
		wantRC(t, "OAEP with another hash", err, 0x2d2)
		ct[100] ^= 1
		d.InScheme = tpm2.TPMTRSADecrypt{}
		_, err = d.Execute(tpm)
		wantRC(t, "damaged ciphertext", err, 0x084)
		_, err = signDigest(tpm, tk.auth(), digest[:])
		wantRC(t, "sign with tk", err, 0x19c)
		flush(t, tpm, tk.Handle)
	}
}

func TestSignECC(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	d256, d384 := sha256.Sum256([]byte("m")), sha512.Sum384([]byte("m"))
	for _, v := range []struct {
		curve  tpm2.TPMECCCurve
		hash   tpm2.TPMAlgID
		digest []byte
	}{{tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256, d256[:]}, {tpm2.TPMECCNistP384, tpm2.TPMAlgSHA384, d384[:]}} {
		k := made(t, tpm, root, ecTemplate(v.curve, v.hash), "", nil)
		r, err := signDigest(tpm, k.auth(), v.digest)
		ok(t, err)
		sig := must[*tpm2.TPMSSignatureECC](t)(r.Signature.Signature.ECDSA())
		pub := must[*ecdsa.PublicKey](t)(tpm2.ECDSAPub(
			must[*tpm2.TPMSECCParms](t)(k.Pub.Parameters.ECCDetail()), must[*tpm2.TPMSECCPoint](t)(k.Pub.Unique.ECC())))
		if !ecdsa.Verify(pub, v.digest, new(big.Int).SetBytes(sig.SignatureR.Buffer), new(big.Int).SetBytes(sig.SignatureS.Buffer)) {
			t.Errorf("signature on curve %v does not verify", v.curve)
		}
		flush(t, tpm, k.Handle)
	}
}

func TestSignPSS(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	tmpl := rsaTemplate(hidden(func(a *tpm2.TPMAObject) { a.SignEncrypt = true }), tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgRSAPSS,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSigSchemeRSAPSS{HashAlg: tpm2.TPMAlgSHA256})})
	k := made(t, tpm, srk(t, tpm), tmpl, "", nil)
	digest := sha256.Sum256([]byte("m"))
	r, err := signDigest(tpm, k.auth(), digest[:])
	ok(t, err)
	sig := must[*tpm2.TPMSSignatureRSA](t)(r.Signature.Signature.RSAPSS()).Sig.Buffer
	ok(t, rsa.VerifyPSS(publicKey(t, k.Pub), crypto.SHA256, digest[:], sig, nil))
}

func TestUnseal(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	k := made(t, tpm, root, sealTemplate(), "open", []byte("sealed data"))
	r, err := tpm2.Unseal{ItemHandle: k.pw("open")}.Execute(tpm)
	ok(t, err)
	if string(r.OutData.Buffer) != "sealed data" {
		t.Errorf("unsealed %q", r.OutData.Buffer)
	}
	_, err = tpm2.Unseal{ItemHandle: k.pw("shut")}.Execute(tpm)
	wantRC(t, "wrong auth", err, 0x9a2)
	sk := made(t, tpm, root, skTemplate(true), "", span(0, 32))
	_, err = tpm2.Unseal{ItemHandle: sk.auth()}.Execute(tpm)
	wantRC(t, "unseal of an HMAC key", err, 0x182)
}

// A primary key is a function of seed and template, also for RSA.
func TestPrimaryIsDeterministic(t *testing.T) {
	a := newTPM(t, softtpm.Config{})
	state := must[[]byte](t)(a.Marshal())
	b := newTPM(t, softtpm.Config{State: state})
	for _, tmpl := range []tpm2.TPMTPublic{tpm2.ECCEKTemplate, tpm2.RSAEKTemplate} {
		x := must[key](t)(primary(a, tpm2.TPMRHEndorsement, tmpl))
		y := must[key](t)(primary(b, tpm2.TPMRHEndorsement, tmpl))
		if !bytes.Equal(x.Name.Buffer, y.Name.Buffer) {
			t.Error("the same seed gives another key")
		}
		z := must[key](t)(primary(a, tpm2.TPMRHOwner, tmpl))
		if bytes.Equal(x.Name.Buffer, z.Name.Buffer) {
			t.Error("two hierarchies give the same key")
		}
		flush(t, a, x.Handle, z.Handle)
		flush(t, b, y.Handle)
	}
}
