package softtpm_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/wycheprooftest"
)

type (
	group  = wycheprooftest.Group
	vector = wycheprooftest.Vector
)

// external loads a vector's RSA key, with its private part, for one use. The test
// flushes it when the group is over, as a TPM has few slots.
type external struct {
	tpm  transport.TPM
	last *group
	key  tpm2.AuthHandle
}

func (e *external) load(t *testing.T, g *group, scheme tpm2.TPMTRSAScheme, use tpm2.TPMAObject) (tpm2.AuthHandle, error) {
	t.Helper()
	if g == e.last {
		return e.key, nil
	}
	if e.last != nil {
		flush(t, e.tpm, tpm2.TPMHandle(e.key.HandleValue()))
		e.last = nil
	}
	parsed := must[any](t)(x509.ParsePKCS8PrivateKey(g.PrivateKeyPKCS8))
	k := parsed.(*rsa.PrivateKey)
	use.UserWithAuth, use.NoDA = true, true
	exponent := uint32(0)
	if k.E != 65537 {
		exponent = uint32(k.E)
	}
	r, err := tpm2.LoadExternal{
		InPrivate: tpm2.New2B(tpm2.TPMTSensitive{
			SensitiveType: tpm2.TPMAlgRSA,
			Sensitive:     tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgRSA, &tpm2.TPM2BPrivateKeyRSA{Buffer: k.Primes[0].Bytes()}),
		}),
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: use,
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{Scheme: scheme, KeyBits: 2048, Exponent: exponent}),
			Unique:     tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: k.N.Bytes()}),
		}),
		Hierarchy: tpm2.TPMRHNull,
	}.Execute(e.tpm)
	if err != nil {
		return tpm2.AuthHandle{}, err
	}
	e.last, e.key = g, tpm2.AuthHandle{Handle: r.ObjectHandle, Name: r.Name, Auth: tpm2.PasswordAuth(nil)}
	return e.key, nil
}

func TestWycheproofRSADecrypt(t *testing.T) {
	keys := external{tpm: newTPM(t, softtpm.Config{})}
	wycheprooftest.Judge(t, "rsa_oaep_2048_sha1_mgf1sha1", func(t *testing.T, g *group, v *vector) error {
		oaep := tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgOAEP, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA1})}
		key, err := keys.load(t, g, oaep, tpm2.TPMAObject{Decrypt: true})
		if err != nil {
			return err
		}
		r, err := tpm2.RSADecrypt{
			KeyHandle: key, CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: v.CT},
			InScheme: tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull}, Label: tpm2.TPM2BData{Buffer: v.Label},
		}.Execute(keys.tpm)
		if err != nil {
			return err
		}
		wycheprooftest.Same(t, v, "message", r.Message.Buffer, v.Msg)
		return nil
	}, wycheprooftest.Deviation{
		If:   func(_ *group, v *vector) bool { return len(v.Label) > 0 },
		Does: "refuses labels that do not end in their one zero byte", Why: "TCG Part 3, 14.3 has the caller end the label so, and these are no text",
	})
}

func TestWycheproofSignRSA(t *testing.T) {
	keys := external{tpm: newTPM(t, softtpm.Config{})}
	hashes := map[string]tpm2.TPMAlgID{"SHA-1": tpm2.TPMAlgSHA1, "SHA-256": tpm2.TPMAlgSHA256, "SHA-384": tpm2.TPMAlgSHA384, "SHA-512": tpm2.TPMAlgSHA512}
	wycheprooftest.Judge(t, "rsa_pkcs1_2048_sig_gen", func(t *testing.T, g *group, v *vector) error {
		hash, known := hashes[g.SHA]
		if !known {
			return tpm2.TPMRCHash
		}
		scheme := tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: hash})}
		sum := must[crypto.Hash](t)(hash.Hash()).New()
		sum.Write(v.Msg)
		key, err := keys.load(t, g, scheme, tpm2.TPMAObject{SignEncrypt: true})
		if err != nil {
			return err
		}
		r, err := signDigest(keys.tpm, key, sum.Sum(nil))
		if err != nil {
			return err
		}
		sig := must[*tpm2.TPMSSignatureRSA](t)(r.Signature.Signature.RSASSA())
		wycheprooftest.Same(t, v, "signature", sig.Sig.Buffer, v.Sig)
		return nil
	}, wycheprooftest.Deviation{
		If:   func(g *group, _ *vector) bool { return hashes[g.SHA] == 0 },
		Does: "does not know SHA-224", Why: "the TCG Algorithm Registry has no identifier for it",
	})
}

func TestWycheproofHMAC(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	template := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
			Scheme: tpm2.TPMAlgHMAC, Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
		}}),
	}
	wycheprooftest.Judge(t, "hmac_sha256", func(t *testing.T, g *group, v *vector) error {
		b, err := create(tpm, root, template, "", v.Key)
		if err != nil {
			return err
		}
		k := must[key](t)(load(tpm, root, b))
		defer flush(t, tpm, k.Handle)
		mac, err := hmacOf(tpm, k.auth(), v.Msg)
		if err != nil {
			return err
		}
		// The TPM makes tags and does not check them: the invalid vectors have others.
		if string(mac[:g.TagSize/8]) != string(v.Tag) {
			return tpm2.TPMRCSignature
		}
		return nil
	}, wycheprooftest.Deviation{
		If:   func(g *group, _ *vector) bool { return g.KeySize > 8*sha256.BlockSize },
		Does: "refuses keys that are longer than a block of the hash", Why: "a TPM takes none that would be hashed first",
	})
}
