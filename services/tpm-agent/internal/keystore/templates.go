package keystore

import "github.com/google/go-tpm/tpm2"

// born are the attributes of keys that the TPM makes itself and that never leave
// it. noDA: they are not in the dictionary-attack count, so a user's wrong PINs
// cannot lock the device's own keys.
func born() tpm2.TPMAObject {
	return tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true}
}

// deviceTemplate is dk: RSA-2048, signs PKCS#1 v1.5 with SHA-256 and does nothing
// else; the scheme is fixed in the key.
func deviceTemplate() tpm2.TPMTPublic {
	a := born()
	a.SignEncrypt = true
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Scheme: tpm2.TPMTRSAScheme{
				Scheme:  tpm2.TPMAlgRSASSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			KeyBits: 2048,
		}),
	}
}

// transportTemplate is tk: RSA-2048, decrypts OAEP with SHA-1 (what the wire
// demands) and does nothing else.
func transportTemplate() tpm2.TPMTPublic {
	a := born()
	a.Decrypt = true
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Scheme: tpm2.TPMTRSAScheme{
				Scheme:  tpm2.TPMAlgOAEP,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA1}),
			},
			KeyBits: 2048,
		}),
	}
}

// sessionTemplate is a session key: HMAC-SHA256. Its bytes come from the identity
// provider, so the TPM is not their origin; from here on they stay in this TPM.
func sessionTemplate() tpm2.TPMTPublic {
	a := born()
	a.SensitiveDataOrigin, a.SignEncrypt = false, true
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{
				Scheme:  tpm2.TPMAlgHMAC,
				Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
			},
		}),
	}
}

// dataTemplate is sealed data: the key that refresh tokens rest under.
func dataTemplate() tpm2.TPMTPublic {
	a := born()
	a.SensitiveDataOrigin = false
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgNull},
		}),
	}
}
