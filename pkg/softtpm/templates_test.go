package softtpm_test

import "github.com/google/go-tpm/tpm2"

// The key shapes of the tpm-agent.

func hidden(f func(*tpm2.TPMAObject)) tpm2.TPMAObject {
	a := tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true}
	f(&a)
	return a
}

func rsaTemplate(a tpm2.TPMAObject, scheme tpm2.TPMTRSAScheme) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{Scheme: scheme, KeyBits: 2048})}
}

// dkTemplate: the device key, RSASSA-SHA256, sign only.
func dkTemplate() tpm2.TPMTPublic {
	return rsaTemplate(hidden(func(a *tpm2.TPMAObject) { a.SignEncrypt = true }),
		tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgRSASSA,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256})})
}

func oaep(h tpm2.TPMAlgID) tpm2.TPMTRSAScheme {
	return tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgOAEP,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: h})}
}

// tkTemplate: the transport key, OAEP, decrypt only.
func tkTemplate(h tpm2.TPMAlgID) tpm2.TPMTPublic {
	return rsaTemplate(hidden(func(a *tpm2.TPMAObject) { a.Decrypt = true }), oaep(h))
}

func aes128CFB() tpm2.TPMTSymDefObject {
	return tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgAES,
		KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
		Mode:    tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB)}
}

// storageRSA and storageECC: parents that a server can wrap keys for.
func storageRSA() tpm2.TPMTPublic {
	p := rsaTemplate(hidden(func(a *tpm2.TPMAObject) { a.Decrypt, a.Restricted = true, true }), tpm2.TPMTRSAScheme{})
	p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{Symmetric: aes128CFB(), KeyBits: 2048})
	return p
}

func storageECC() tpm2.TPMTPublic {
	p := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	p.ObjectAttributes = hidden(func(a *tpm2.TPMAObject) { a.Decrypt, a.Restricted = true, true })
	p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{Symmetric: aes128CFB(), CurveID: tpm2.TPMECCNistP256})
	return p
}

// ecTemplate: an ECDSA signing key.
func ecTemplate(c tpm2.TPMECCCurve, h tpm2.TPMAlgID) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: hidden(func(a *tpm2.TPMAObject) { a.SignEncrypt = true }),
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: h})},
			CurveID: c})}
}

// akTemplate: the attestation key.
func akTemplate() tpm2.TPMTPublic {
	p := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	p.ObjectAttributes.Restricted = true
	return p
}

// skTemplate: a session key with given data.
func skTemplate(fixed bool) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: fixed, FixedParent: fixed, UserWithAuth: true, SignEncrypt: true, NoDA: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgHMAC,
				Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256})}})}
}

// sealTemplate: sealed data.
func sealTemplate() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgNull}})}
}

// deriverTemplate: a derivation parent with given data.
func deriverTemplate() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, Decrypt: true, Restricted: true, NoDA: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgXOR,
				Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: tpm2.TPMAlgSHA256, KDF: tpm2.TPMAlgKDF1SP800108})}})}
}
