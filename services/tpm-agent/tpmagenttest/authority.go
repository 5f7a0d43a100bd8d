package tpmagenttest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Attested are the public areas of a key set, proven to be in one TPM; Storage is
// nil when it is not offered.
type Attested struct{ Device, Transport, Storage *tpm2.TPMTPublic }

// Attest plays the registration authority: it makes a credential for the TPM of a
// pending set and checks what comes back, by the structures of the TPM alone.
func Attest(ctx context.Context, devices tpmv1.DeviceKeyServiceClient, set string) (*Attested, error) {
	keys, err := devices.DescribeAttestationKeys(ctx, &tpmv1.DescribeAttestationKeysRequest{KeySetId: set})
	if err != nil {
		return nil, err
	}
	credential, encrypted, bound, err := challenge(keys.GetEndorsementKey(), keys.GetAttestationKey())
	if err != nil {
		return nil, err
	}
	resp, err := devices.CertifyDeviceKeys(ctx, &tpmv1.CertifyDeviceKeysRequest{KeySetId: set, CredentialBlob: credential, EncryptedSecret: encrypted})
	if err != nil {
		return nil, err
	}
	ak, err := tpm2.Unmarshal[tpm2.TPMTPublic](keys.GetAttestationKey())
	if err != nil {
		return nil, err
	}
	var out Attested
	for _, s := range []struct {
		statement *tpmv1.KeyStatement
		into      **tpm2.TPMTPublic
	}{{resp.GetDeviceKey(), &out.Device}, {resp.GetTransportKey(), &out.Transport}, {resp.GetStorageKey(), &out.Storage}} {
		if s.statement == nil {
			continue // not offered
		}
		if *s.into, err = checkStatement(ak, s.statement, bound); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// challenge makes a credential and what the statements will be bound to.
func challenge(endorsement, attestation []byte) (credential, encrypted, bound []byte, err error) {
	ek, err := tpm2.Unmarshal[tpm2.TPMTPublic](endorsement)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("endorsement key: %w", err)
	}
	ak, err := tpm2.Unmarshal[tpm2.TPMTPublic](attestation)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("attestation key: %w", err)
	}
	name, err := tpm2.ObjectName(ak)
	if err != nil {
		return nil, nil, nil, err
	}
	pub, err := tpm2.ImportEncapsulationKey(ek)
	if err != nil {
		return nil, nil, nil, err
	}
	value := make([]byte, sha256.Size)
	_, _ = rand.Read(value)
	credential, encrypted, err = tpm2.CreateCredential(rand.Reader, pub, name.Buffer, value)
	digest := sha256.Sum256(append([]byte("Lockstep attestation\x00"), value...))
	return credential, encrypted, digest[:], err
}

func checkStatement(ak *tpm2.TPMTPublic, s *tpmv1.KeyStatement, bound []byte) (*tpm2.TPMTPublic, error) {
	parms, err1 := ak.Parameters.ECCDetail()
	point, err2 := ak.Unique.ECC()
	signature, err3 := tpm2.Unmarshal[tpm2.TPMTSignature](s.GetSignature())
	attest, err4 := tpm2.Unmarshal[tpm2.TPMSAttest](s.GetAttestation())
	public, err5 := tpm2.Unmarshal[tpm2.TPMTPublic](s.GetPublicArea())
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	key, err1 := tpm2.ECDSAPub(parms, point)
	sig, err2 := signature.Signature.ECDSA()
	info, err3 := attest.Attested.Certify()
	name, err4 := tpm2.ObjectName(public)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(s.GetAttestation())
	switch {
	case !ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(sig.SignatureR.Buffer), new(big.Int).SetBytes(sig.SignatureS.Buffer)):
		return nil, errors.New("the statement is not signed by the attestation key")
	case attest.Type != tpm2.TPMSTAttestCertify || !bytes.Equal(attest.ExtraData.Buffer, bound):
		return nil, errors.New("the statement is of another type or not bound to the credential")
	case !bytes.Equal(info.Name.Buffer, name.Buffer):
		return nil, errors.New("the statement is about another key")
	}
	return public, nil
}

// WrapNative wraps a session key for a storage key, as an identity provider does
// that has agreed on native session keys.
func WrapNative(storage *tpm2.TPMTPublic, key secret.Bytes) (string, error) {
	seed := make([]byte, sha256.Size)
	_, _ = rand.Read(seed)
	m := hmac.New(crypto.SHA256.New, seed)
	m.Write(key.Reveal())
	public := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, NoDA: true, Restricted: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
			Scheme:  tpm2.TPMAlgXOR,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: tpm2.TPMAlgSHA256, KDF: tpm2.TPMAlgKDF1SP800108}),
		}}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: m.Sum(nil)}),
	}
	return Wrap(storage, public, seed, key)
}

// Wrap wraps a key with any public area.
func Wrap(storage *tpm2.TPMTPublic, public tpm2.TPMTPublic, seed []byte, key secret.Bytes) (string, error) {
	name, err := tpm2.ObjectName(&public)
	if err != nil {
		return "", err
	}
	to, err := tpm2.ImportEncapsulationKey(storage)
	if err != nil {
		return "", err
	}
	duplicate, encrypted, err := tpm2.CreateDuplicate(rand.Reader, to, name.Buffer, tpm2.Marshal(tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgKeyedHash, SeedValue: tpm2.TPM2BDigest{Buffer: seed},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BSensitiveData{Buffer: key.Reveal()}),
	}))
	if err != nil {
		return "", err
	}
	return entrawire.NativeSessionKey{Public: tpm2.Marshal(public), Seed: encrypted, Duplicate: duplicate}.Encode()
}
