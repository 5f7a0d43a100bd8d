// Package tpmwrap wraps a session key for a storage key, so that exactly one TPM can
// import it and nobody can use it outside (TPM 2.0 Part 1, 23.3).
//
// What lives here: the public area that a session key has in a TPM, the check of
// the storage key, and the wrapping. There is no TPM here: it takes structures and
// public-key cryptography. What never may: where the storage key comes from and
// whether it was attested; that is the registration's business, and issuance gives
// what the directory holds.
//
// What the key may do is decided here and nowhere else: the Name of the public area
// is in the MAC of the duplicate, so a device that changes it imports nothing. The
// key is a derivation parent. It derives keys that are fixed to it, it signs and
// decrypts nothing by itself, and with its empty policy no command duplicates it.
package tpmwrap

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// ErrStorageKey says that a public area is not that of a storage key of a device.
var ErrStorageKey = errors.New("not a storage key on P-256 that is fixed to its TPM")

// Wrap wraps a session key of 32 bytes for a storage key, a TPMT_PUBLIC, and answers
// the text form of entrawire.NativeSessionKey. Errors: ErrStorageKey,
// entrawire.ErrSessionKey.
func Wrap(storageKey []byte, key secret.Bytes) (string, error) {
	storage, err := parseStorage(storageKey)
	if err != nil {
		return "", err
	}
	if key.Len() != kdf.KeySize {
		return "", entrawire.ErrSessionKey
	}
	obfuscation := make([]byte, sha256.Size)
	defer clear(obfuscation)
	_, _ = rand.Read(obfuscation) // never fails: crypto/rand ends the process instead
	public := publicArea(obfuscation, key)
	name, err := tpm2.ObjectName(&public)
	if err != nil {
		return "", fmt.Errorf("name of the session key: %w", err)
	}
	sensitive := tpm2.Marshal(tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgKeyedHash,
		SeedValue:     tpm2.TPM2BDigest{Buffer: obfuscation},
		Sensitive:     tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BSensitiveData{Buffer: key.Reveal()}),
	})
	defer clear(sensitive)
	duplicate, seed, err := tpm2.CreateDuplicate(rand.Reader, storage, name.Buffer, sensitive)
	if err != nil {
		return "", fmt.Errorf("wrap session key: %w", err)
	}
	return entrawire.NativeSessionKey{Public: tpm2.Marshal(public), Seed: seed, Duplicate: duplicate}.Encode()
}

// Check reports whether session keys can be wrapped for a storage key: ErrStorageKey
// or nil.
func Check(storageKey []byte) error {
	_, err := parseStorage(storageKey)
	return err
}

// publicArea is what the session key is in the TPM. Attributes that are not named
// are clear: not fixedTPM and not fixedParent, which an import demands (Part 3,
// 13.3), and not encryptedDuplication. Restricted and decrypt with the scheme XOR
// are what makes a keyed hash a derivation parent (Part 1, 28.2; Part 2, 8.3.3).
func publicArea(obfuscation []byte, key secret.Bytes) tpm2.TPMTPublic {
	// A storage or derivation parent binds its halves by HMAC (Part 1, 27.5.3.2),
	// where another keyed hash would by a digest.
	unique := hmac.New(sha256.New, obfuscation)
	unique.Write(key.Reveal())
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, NoDA: true, Restricted: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
			Scheme:  tpm2.TPMAlgXOR,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: tpm2.TPMAlgSHA256, KDF: tpm2.TPMAlgKDF1SP800108}),
		}}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: unique.Sum(nil)}),
	}
}

// parseStorage takes the one kind of storage key that devices have. It was checked
// when it was attested; here it guards against a directory that was filled in
// another way, because a key in its place that is not restricted would give the
// session key to who asks for it.
func parseStorage(b []byte) (tpm2.LabeledEncapsulationKey, error) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](b)
	if err != nil || !bytes.Equal(tpm2.Marshal(*p), b) {
		return nil, ErrStorageKey
	}
	a := p.ObjectAttributes
	if p.Type != tpm2.TPMAlgECC || p.NameAlg != tpm2.TPMAlgSHA256 ||
		!a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || !a.Restricted || !a.Decrypt || a.SignEncrypt {
		return nil, ErrStorageKey
	}
	parms, err := p.Parameters.ECCDetail()
	if err != nil || parms.CurveID != tpm2.TPMECCNistP256 || !isAES128CFB(parms.Symmetric) {
		return nil, ErrStorageKey
	}
	k, err := tpm2.ImportEncapsulationKey(p)
	if err != nil {
		return nil, ErrStorageKey
	}
	return k, nil
}

func isAES128CFB(s tpm2.TPMTSymDefObject) bool {
	if s.Algorithm != tpm2.TPMAlgAES {
		return false
	}
	bits, err := s.KeyBits.AES()
	if err != nil || *bits != 128 {
		return false
	}
	mode, err := s.Mode.AES()
	return err == nil && *mode == tpm2.TPMAlgCFB
}
