package keystore

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/kdf"
)

type templateFunc func() tpm2.TPMTPublic

// born are the attributes of keys that the TPM makes itself and that never leave
// it. noDA: they are not in the dictionary-attack count, so a user's wrong PINs
// cannot lock the device's own keys.
func born() tpm2.TPMAObject {
	return tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true}
}

func rsa2048(a tpm2.TPMAObject, policy []byte, scheme tpm2.TPMTRSAScheme) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a, AuthPolicy: tpm2.TPM2BDigest{Buffer: policy},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{Scheme: scheme, KeyBits: 2048}),
	}
}

// rs256 is PKCS#1 v1.5 with SHA-256, fixed in the key.
func rs256() tpm2.TPMTRSAScheme {
	return tpm2.TPMTRSAScheme{
		Scheme:  tpm2.TPMAlgRSASSA,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256}),
	}
}

// deviceTemplate is dk: RSA-2048, signs PKCS#1 v1.5 with SHA-256 and does nothing
// else; the scheme is fixed in the key.
func deviceTemplate() tpm2.TPMTPublic {
	a := born()
	a.SignEncrypt = true
	return rsa2048(a, nil, rs256())
}

// transportTemplate is tk: RSA-2048, decrypts OAEP with SHA-1 (what the wire
// demands) and does nothing else.
func transportTemplate() tpm2.TPMTPublic {
	a := born()
	a.Decrypt = true
	return rsa2048(a, nil, tpm2.TPMTRSAScheme{
		Scheme:  tpm2.TPMAlgOAEP,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA1}),
	})
}

// helloTemplate is a Hello key: RSA-2048, signs as dk does. It is in the
// dictionary-attack count: its authorisation value comes from a PIN. The policy
// is for a new PIN, see helloPolicy.
func helloTemplate(policy []byte) tpm2.TPMTPublic {
	a := born()
	a.SignEncrypt, a.NoDA = true, false
	return rsa2048(a, policy, rs256())
}

// storageTemplate is tkS: P-256, the parent that session keys are wrapped for.
func storageTemplate() tpm2.TPMTPublic {
	a := born()
	a.Restricted, a.Decrypt = true, true
	t := tpm2.ECCSRKTemplate
	t.ObjectAttributes = a
	return t
}

// attestationTemplate is ak: P-256, signs only what the TPM itself states.
func attestationTemplate() tpm2.TPMTPublic {
	a := born()
	a.Restricted, a.SignEncrypt = true, true
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			CurveID: tpm2.TPMECCNistP256,
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
		}),
	}
}

func keyedHash(a tpm2.TPMAObject, scheme tpm2.TPMTKeyedHashScheme) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: scheme}),
	}
}

func hs256() tpm2.TPMTKeyedHashScheme {
	return tpm2.TPMTKeyedHashScheme{
		Scheme:  tpm2.TPMAlgHMAC,
		Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
	}
}

// sessionTemplate is a session key: HMAC-SHA256. Its bytes come from the identity
// provider, so the TPM is not their origin; from here on they stay in this TPM.
func sessionTemplate() tpm2.TPMTPublic {
	a := born()
	a.SensitiveDataOrigin, a.SignEncrypt = false, true
	return keyedHash(a, hs256())
}

// dataTemplate is sealed data: the key that refresh tokens rest under, and the
// object whose authorisation value is the secret of a PIN reset.
func dataTemplate() tpm2.TPMTPublic {
	a := born()
	a.SensitiveDataOrigin = false
	return keyedHash(a, tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgNull})
}

// derivationTemplate is a native session key: it does nothing but derive. It cannot
// be fixed to the TPM, because its bytes come from outside; what keeps it there is
// the policy for duplication, which is empty, so nothing fulfils it.
func derivationTemplate() tpm2.TPMTPublic {
	return keyedHash(tpm2.TPMAObject{UserWithAuth: true, NoDA: true, Restricted: true, Decrypt: true}, tpm2.TPMTKeyedHashScheme{
		Scheme:  tpm2.TPMAlgXOR,
		Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: tpm2.TPMAlgSHA256, KDF: tpm2.TPMAlgKDF1SP800108}),
	})
}

// derived are the attributes of a key that the TPM derives from a native session
// key for one message: it stays under its parent and lives in a slot only.
func derived() tpm2.TPMAObject {
	return tpm2.TPMAObject{FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true}
}

// derivedTemplates are the templates of derived keys as they are on the wire, but for
// label and context at their end. They are in each native command, and go-tpm's codec
// costs more than the command (tpm.md section 7), so it runs once.
type derivedTemplates struct{ mac, cipher []byte }

func newDerivedTemplates() derivedTemplates {
	// Two empty sized buffers are at the end, of two bytes each.
	cut := func(t tpm2.TPMTTemplate) []byte {
		b := tpm2.Marshal(t)
		return b[:len(b)-4]
	}
	return derivedTemplates{mac: cut(derivedMAC()), cipher: cut(derivedCipher())}
}

// derive completes a template.
func derive(template, context []byte) []byte {
	b := make([]byte, 0, len(template)+4+len(kdf.Label)+len(context))
	b = append(b, template...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(kdf.Label))), kdf.Label...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(context))), context...)
}

// derivedMAC is HMAC-SHA256 with a derived key.
func derivedMAC() tpm2.TPMTTemplate {
	h := keyedHash(derived(), hs256())
	return tpm2.TPMTTemplate{
		Type: h.Type, NameAlg: h.NameAlg, ObjectAttributes: h.ObjectAttributes, Parameters: h.Parameters, Unique: tpm2.TPMSDerive{},
	}
}

// derivedCipher is AES-256 in counter mode with a derived key.
func derivedCipher() tpm2.TPMTTemplate {
	a := derived()
	a.Decrypt = true
	return tpm2.TPMTTemplate{
		Type: tpm2.TPMAlgSymCipher, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{
			Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)),
			Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCTR),
		}}),
		Unique: tpm2.TPMSDerive{},
	}
}
