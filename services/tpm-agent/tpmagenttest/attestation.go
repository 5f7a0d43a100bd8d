package tpmagenttest

import (
	"crypto/rand"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// attestation has the keys of a set attested, and tries credentials that are for
// another key set, another TPM, or nothing.
func (a *Agent) attestation(t *testing.T) {
	id := a.Create()
	got, err := Attest(t.Context(), a.Devices(), id.KeySetID)
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*tpm2.TPMTPublic{"device": got.Device, "transport": got.Transport, "storage": got.Storage} {
		if o := k.ObjectAttributes; !o.FixedTPM || !o.FixedParent || !o.SensitiveDataOrigin {
			t.Errorf("%s key: attributes %+v", name, o)
		}
	}
	if o := got.Storage.ObjectAttributes; !o.Restricted || !o.Decrypt || o.SignEncrypt {
		t.Errorf("the storage key is no storage key: %+v", o)
	}
	keys, err := a.Devices().DescribeAttestationKeys(t.Context(), &tpmv1.DescribeAttestationKeysRequest{KeySetId: id.KeySetID})
	if err != nil {
		t.Fatal(err)
	}
	// A credential for the device key in place of the attestation key: the TPM names
	// what it activates, so it does not open.
	credential, encrypted, _, err := challenge(keys.GetEndorsementKey(), tpm2.Marshal(*got.Device))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2][]byte{
		"for another key": {credential, encrypted},
		"random":          {random(50), random(68)},
	} {
		_, err := a.Devices().CertifyDeviceKeys(t.Context(), &tpmv1.CertifyDeviceKeysRequest{KeySetId: id.KeySetID, CredentialBlob: c[0], EncryptedSecret: c[1]})
		if prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string][2][]byte{"empty": {}, "too long": {random(600), random(68)}} {
		_, err := a.Devices().CertifyDeviceKeys(t.Context(), &tpmv1.CertifyDeviceKeysRequest{KeySetId: id.KeySetID, CredentialBlob: c[0], EncryptedSecret: c[1]})
		if prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// otherForm offers a session key in the form that was not agreed on, and, in the
// native form, one that would do more than derive.
func (a *Agent) otherForm(t *testing.T, id Identity) {
	key := secret.NewBytes(random(32))
	offers := map[string]string{}
	if a.Native {
		offers["wrapped to tkpub"] = must(t, func() (string, error) { return entrawire.SealSessionKey(id.Transport, key) })
		loose := tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, NoDA: true, SignEncrypt: true},
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
				Scheme:  tpm2.TPMAlgHMAC,
				Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
			}}),
			Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: random(32)}),
		}
		offers["a key that signs"] = must(t, func() (string, error) { return Wrap(id.Keys.Storage, loose, random(32), key) })
	} else {
		other, err := Attest(t.Context(), a.Devices(), id.KeySetID)
		if err != nil {
			t.Fatal(err)
		}
		offers["native"] = must(t, func() (string, error) { return WrapNative(other.Storage, key) })
	}
	for name, jwe := range offers {
		_, err := a.PRT().ImportSessionKey(t.Context(), &tpmv1.ImportSessionKeyRequest{Partition: Partition(UserA), SessionKeyJwe: jwe})
		if prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// selfTest finds all keys well.
func (a *Agent) selfTest(t *testing.T) {
	resp, err := a.Devices().TestDeviceKeys(t.Context(), &tpmv1.TestDeviceKeysRequest{})
	if err != nil || len(resp.GetResults()) != 4 {
		t.Fatalf("%v, %v", resp, err)
	}
	for _, r := range resp.GetResults() {
		if r.GetOutcome() != tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_PASSED {
			t.Errorf("%v", r)
		}
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func must[T any](t *testing.T, f func() (T, error)) T {
	t.Helper()
	v, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
