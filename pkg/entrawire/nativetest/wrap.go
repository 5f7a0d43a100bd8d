package nativetest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
)

// Parent is the public area of a session key as a derivation parent: it derives and
// does nothing else. It may be wrapped with other attributes to see what happens.
func Parent() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, NoDA: true, Restricted: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgXOR,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: tpm2.TPMAlgSHA256, KDF: tpm2.TPMAlgKDF1SP800108})}})}
}

// Wrap wraps a session key for a storage key, with the public area as given but for
// its unique. It is what an identity provider does, written for tests once more.
func Wrap(t testing.TB, storageKey []byte, public tpm2.TPMTPublic, key []byte) *entrawire.NativeSessionKey {
	t.Helper()
	storage, err := tpm2.Unmarshal[tpm2.TPMTPublic](storageKey)
	if err != nil {
		t.Fatal(err)
	}
	obfuscation := make([]byte, sha256.Size)
	_, _ = rand.Read(obfuscation)
	mac := hmac.New(sha256.New, obfuscation)
	mac.Write(key)
	public.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: mac.Sum(nil)})
	name, err := tpm2.ObjectName(&public)
	if err != nil {
		t.Fatal(err)
	}
	wrapFor, err := tpm2.ImportEncapsulationKey(storage)
	if err != nil {
		t.Fatal(err)
	}
	duplicate, seed, err := tpm2.CreateDuplicate(rand.Reader, wrapFor, name.Buffer, tpm2.Marshal(tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgKeyedHash, SeedValue: tpm2.TPM2BDigest{Buffer: obfuscation},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BSensitiveData{Buffer: key})}))
	if err != nil {
		t.Fatal(err)
	}
	return &entrawire.NativeSessionKey{Public: tpm2.Marshal(public), Seed: seed, Duplicate: duplicate}
}
