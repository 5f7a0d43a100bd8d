package softtpm_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// ekAuth is the policy of the endorsement key templates.
func ekAuth(ek key) tpm2.AuthHandle {
	return ek.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(t transport.TPM, h tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicySecret{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Name: tpm2.HandleName(tpm2.TPMRHEndorsement),
			Auth: tpm2.PasswordAuth(nil)}, PolicySession: h, NonceTPM: nonce}.Execute(t)
		return err
	}))
}

// REG26: a credential made by a server without a TPM opens only for the named
// key in the TPM of the endorsement key; that key then certifies the others.
func TestREG26_Attestation(t *testing.T) {
	for name, tmpl := range map[string]tpm2.TPMTPublic{"ECC": tpm2.ECCEKTemplate, "RSA": tpm2.RSAEKTemplate} {
		t.Run(name, func(t *testing.T) {
			tpm := newTPM(t, softtpm.Config{})
			root := srk(t, tpm)
			ek := must[key](t)(primary(tpm, tpm2.TPMRHEndorsement, tmpl))
			ak := made(t, tpm, root, akTemplate(), "", nil)
			enc, err := tpm2.ImportEncapsulationKey(&ek.Pub)
			ok(t, err)
			secret := span(7, 32)
			id, seed, err := tpm2.CreateCredential(rand.Reader, enc, ak.Name.Buffer, secret)
			ok(t, err)
			open := func(k key, id []byte) ([]byte, error) {
				r, err := tpm2.ActivateCredential{ActivateHandle: k.auth(), KeyHandle: ekAuth(ek),
					CredentialBlob: tpm2.TPM2BIDObject{Buffer: id}, Secret: tpm2.TPM2BEncryptedSecret{Buffer: seed}}.Execute(tpm)
				if err != nil {
					return nil, err
				}
				return r.CertInfo.Buffer, nil
			}
			if got := must[[]byte](t)(open(ak, id)); !bytes.Equal(got, secret) {
				t.Error("another secret came out")
			}
			_, err = open(root, id)
			wantRC(t, "another key named", err, 0x1df)
			id[len(id)-1] ^= 1
			_, err = open(ak, id)
			wantRC(t, "damaged credential", err, 0x1df)

			// The TPM's own MakeCredential makes the same thing.
			mc, err := tpm2.MakeCredential{Handle: ek.Handle, Credential: tpm2.TPM2BDigest{Buffer: secret}, ObjectName: ak.Name}.Execute(tpm)
			ok(t, err)
			seed = mc.Secret.Buffer
			if got := must[[]byte](t)(open(ak, mc.CredentialBlob.Buffer)); !bytes.Equal(got, secret) {
				t.Error("MakeCredential: another secret came out")
			}
			flush(t, tpm, ek.Handle)
			certifyDK(t, tpm, root, ak)
		})
	}
}

func certifyDK(t *testing.T, tpm transport.TPM, root, ak key) {
	t.Helper()
	dk := made(t, tpm, root, dkTemplate(), "", nil)
	nonce := span(3, 32)
	r, err := tpm2.Certify{ObjectHandle: dk.auth(), SignHandle: ak.auth(), QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}}.Execute(tpm)
	ok(t, err)
	sig := must[*tpm2.TPMSSignatureECC](t)(r.Signature.Signature.ECDSA())
	pub := must[*ecdsa.PublicKey](t)(tpm2.ECDSAPub(
		must[*tpm2.TPMSECCParms](t)(ak.Pub.Parameters.ECCDetail()), must[*tpm2.TPMSECCPoint](t)(ak.Pub.Unique.ECC())))
	d := sha256.Sum256(r.CertifyInfo.Bytes())
	if !ecdsa.Verify(pub, d[:], new(big.Int).SetBytes(sig.SignatureR.Buffer), new(big.Int).SetBytes(sig.SignatureS.Buffer)) {
		t.Error("the certification does not verify")
	}
	a := must[*tpm2.TPMSAttest](t)(tpm2.Unmarshal[tpm2.TPMSAttest](r.CertifyInfo.Bytes()))
	info := must[*tpm2.TPMSCertifyInfo](t)(a.Attested.Certify())
	if a.Type != tpm2.TPMSTAttestCertify || !bytes.Equal(a.ExtraData.Buffer, nonce) || !bytes.Equal(info.Name.Buffer, dk.Name.Buffer) {
		t.Errorf("wrong statement %+v", a)
	}
	forged := sha256.Sum256([]byte("\xffTCG forged"))
	wantRC(t, "attestation key signs a foreign digest", try2(tpm, ak, forged[:]), 0x3e0)
	_, err = tpm2.Certify{ObjectHandle: dk.auth(), SignHandle: root.auth(), InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}}.Execute(tpm)
	wantRC(t, "certify with a key that does not sign", err, 0x29c)
}

func try2(tpm transport.TPM, k key, digest []byte) error {
	_, err := signDigest(tpm, k.auth(), digest)
	return err
}
