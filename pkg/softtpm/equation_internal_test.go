package softtpm

import (
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
)

// The arithmetic for BN_P256 agrees with the standard library's where both
// know the curve, and BN_P256's generator has the order of the standard.
func TestEquation(t *testing.T) {
	c, _ := curveOf(uint16(tpm2.TPMECCNistP256))
	std := c.equation()
	own := *std
	own.nist = nil
	for _, k := range []*big.Int{big.NewInt(1), big.NewInt(2), big.NewInt(12345), new(big.Int).Sub(std.n, big.NewInt(1)), new(big.Int).SetBytes(random(31))} {
		a, b := std.multiply(std.base(), k), own.multiply(own.base(), k)
		if a.x.Cmp(b.x) != 0 || a.y.Cmp(b.y) != 0 || !own.has(b) {
			t.Errorf("%v times the base differs", k)
		}
	}
	bn, _ := curveOf(uint16(tpm2.TPMECCBNP256))
	for _, e := range []*equation{&own, bn.equation()} {
		if !e.has(e.base()) {
			t.Error("the base is not on the curve")
		}
		if q := e.multiply(e.base(), e.n); q.x != nil {
			t.Error("the order times the base is not infinity")
		}
	}
}

// An ECDAA signature is what Part 1, C.4.2 says: s·G = r·G + T·Q, for the r·G
// that Commit gave out, and a commit is good for one signature.
func TestECDAA(t *testing.T) {
	for _, id := range []tpm2.TPMECCCurve{tpm2.TPMECCBNP256, tpm2.TPMECCNistP256} {
		tpm, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
			t.Fatal(err)
		}
		scheme := tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDAA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDAA, &tpm2.TPMSSchemeECDAA{HashAlg: tpm2.TPMAlgSHA256})}
		p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, SignEncrypt: true},
			Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: id, Scheme: scheme})})}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
		key := tpm2.AuthHandle{Handle: p.ObjectHandle, Name: p.Name, Auth: tpm2.PasswordAuth(nil)}
		c, err := tpm2.Commit{SignHandle: key, P1: tpm2.New2B(tpm2.TPMSECCPoint{})}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256([]byte("message"))
		sign := tpm2.Sign{KeyHandle: key, Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
			InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDAA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDAA, &tpm2.TPMSSchemeECDAA{HashAlg: tpm2.TPMAlgSHA256, Count: c.Counter})}}
		r, err := sign.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := r.Signature.Signature.ECDAA()
		if err != nil {
			t.Fatal(err)
		}
		public, err := p.OutPublic.Contents()
		if err != nil {
			t.Fatal(err)
		}
		q, err := public.Unique.ECC()
		if err != nil {
			t.Fatal(err)
		}
		commit, err := c.E.Contents()
		if err != nil {
			t.Fatal(err)
		}
		cv, _ := curveOf(uint16(id))
		e := cv.equation()
		h := sha256.Sum256(append(append([]byte{}, sig.SignatureR.Buffer...), digest[:]...))
		challenge := new(big.Int).Mod(new(big.Int).SetBytes(h[:]), e.n)
		left := e.multiply(e.base(), new(big.Int).SetBytes(sig.SignatureS.Buffer))
		right := e.add(readPoint(commit.X.Buffer, commit.Y.Buffer), e.multiply(readPoint(q.X.Buffer, q.Y.Buffer), challenge))
		if left.x.Cmp(right.x) != 0 || left.y.Cmp(right.y) != 0 {
			t.Errorf("%v: the signature is not one", id)
		}
		if _, err := sign.Execute(tpm); err == nil {
			t.Errorf("%v: one commit, two signatures: the key is lost", id)
		}
	}
}
