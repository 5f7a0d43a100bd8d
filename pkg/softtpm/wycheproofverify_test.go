package softtpm_test

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/wycheprooftest"
)

// verifying loads a public key for one verification.
func verifying(t *testing.T, tpm *softtpm.TPM, public tpm2.TPMTPublic, msg []byte, signature tpm2.TPMTSignature) error {
	t.Helper()
	public.NameAlg, public.ObjectAttributes = tpm2.TPMAlgSHA256, tpm2.TPMAObject{UserWithAuth: true, SignEncrypt: true}
	key, err := tpm2.LoadExternal{InPublic: tpm2.New2B(public), Hierarchy: tpm2.TPMRHNull}.Execute(tpm)
	if err != nil {
		return err
	}
	defer flush(t, tpm, key.ObjectHandle)
	digest := sha256.Sum256(msg)
	_, err = tpm2.VerifySignature{
		KeyHandle: tpm2.NamedHandle{Handle: key.ObjectHandle, Name: key.Name}, Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, Signature: signature,
	}.Execute(tpm)
	return err
}

func TestWycheproofVerifyRSA(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	wycheprooftest.Judge(t, "rsa_signature_2048_sha256", func(t *testing.T, g *group, v *vector) error {
		k := must[*rsa.PublicKey](t)(x509.ParsePKCS1PublicKey(g.PublicKeyASN))
		return verifying(t, tpm, tpm2.TPMTPublic{
			Type: tpm2.TPMAlgRSA,
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
				KeyBits: 2048, Exponent: uint32(k.E), Scheme: tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgNull},
			}),
			Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: k.N.Bytes()}),
		}, v.Msg, tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgRSASSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgRSASSA, &tpm2.TPMSSignatureRSA{
			Hash: tpm2.TPMAlgSHA256, Sig: tpm2.TPM2BPublicKeyRSA{Buffer: v.Sig},
		})})
	}, wycheprooftest.Deviation{
		IDs:  []int{258, 259},
		Does: "refuses keys with the exponent 3", Why: "a TPM need not know another exponent than 65537 (TCG Part 2, 12.2.3.5), and these keys are for the latter",
	})
}

func TestWycheproofVerifyECDSA(t *testing.T) {
	const size = 32 // bytes of a coordinate and of r and s
	tpm := newTPM(t, softtpm.Config{})
	wycheprooftest.Judge(t, "ecdsa_secp256r1_sha256_p1363", func(t *testing.T, g *group, v *vector) error {
		point := g.PublicKey.Uncompressed[1:]
		if len(v.Sig)%2 != 0 || len(v.Sig) > 2*2*size {
			return tpm2.TPMRCSize // r and s do not show where one ends
		}
		r, s := v.Sig[:len(v.Sig)/2], v.Sig[len(v.Sig)/2:]
		return verifying(t, tpm, tpm2.TPMTPublic{
			Type:       tpm2.TPMAlgECC,
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256, Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgNull}}),
			Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
				X: tpm2.TPM2BECCParameter{Buffer: point[:size]}, Y: tpm2.TPM2BECCParameter{Buffer: point[size:]},
			}),
		}, v.Msg, tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgECDSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, &tpm2.TPMSSignatureECC{
			Hash: tpm2.TPMAlgSHA256, SignatureR: tpm2.TPM2BECCParameter{Buffer: r}, SignatureS: tpm2.TPM2BECCParameter{Buffer: s},
		})})
	}, wycheprooftest.Deviation{
		If:   func(_ *group, v *vector) bool { return slices.Contains(v.Flags, "SignatureSize") },
		Does: "takes r and s without their leading zero bytes", Why: "each has a length of its own in a TPM's signature (TCG Part 2, 11.3.2), so nothing is ambiguous",
	})
}
