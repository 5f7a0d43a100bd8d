package tpmio

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/wycheprooftest"
)

type (
	group  = wycheprooftest.Group
	vector = wycheprooftest.Vector
)

// judged is an owner whose soft TPM has room for a key of each vector's group.
func judged(t *testing.T) *Owner {
	t.Helper()
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		t.Fatal(err)
	}
	o := New(tpm)
	t.Cleanup(o.Close)
	return o
}

// external loads a key of a vector with an authorisation value.
func external(c *Conn, auth string, public tpm2.TPMTPublic, secret tpm2.TPMUSensitiveComposite) (tpm2.TPMHandle, error) {
	public.NameAlg = tpm2.TPMAlgSHA256
	public.ObjectAttributes = tpm2.TPMAObject{UserWithAuth: true, NoDA: true, SignEncrypt: true}
	r, err := tpm2.LoadExternal{
		InPrivate: tpm2.New2B(tpm2.TPMTSensitive{SensitiveType: public.Type, AuthValue: tpm2.TPM2BAuth{Buffer: []byte(auth)}, Sensitive: secret}),
		InPublic:  tpm2.New2B(public), Hierarchy: tpm2.TPMRHNull,
	}.Execute(c)
	if err != nil {
		return 0, err
	}
	return r.ObjectHandle, nil
}

// errOther says that the TPM's tag is not the vector's: it makes tags and checks
// none.
var errOther = errors.New("another tag")

// TestWycheproofHMAC makes each tag with the command that is encoded by hand. Its
// key comes into the TPM as session keys do, as data given to TPM2_Create.
func TestWycheproofHMAC(t *testing.T) {
	o := judged(t)
	wycheprooftest.Judge(t, "hmac_sha256", func(t *testing.T, g *group, v *vector) error {
		return do(t, o, func(c *Conn) error {
			root, h, err := given(c, v.Key)
			if root != 0 {
				defer func() { _ = c.Flush(root) }()
			}
			if err != nil {
				return err
			}
			defer func() { _ = c.Flush(h) }()
			mac, err := c.HMAC(h, []byte("auth"), v.Msg)
			if err == nil && string(mac[:g.TagSize/8]) != string(v.Tag) {
				return errOther
			}
			return err
		})
	}, wycheprooftest.Deviation{
		If:   func(g *group, _ *vector) bool { return g.KeySize > 8*sha256.BlockSize },
		Does: "refuses keys that are longer than a block of the hash", Why: "a TPM takes none that would be hashed first",
	})
}

// given makes an HMAC key of given bytes under the storage root, and loads it.
func given(c *Conn, key []byte) (root, handle tpm2.TPMHandle, err error) {
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c)
	if err != nil {
		return 0, 0, err
	}
	made, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: r.ObjectHandle, Name: r.Name, Auth: tpm2.PasswordAuth(nil)},
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: []byte("auth")}, Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: key}),
		}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
				Scheme: tpm2.TPMAlgHMAC, Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
			}}),
		}),
	}.Execute(c)
	if err != nil {
		return r.ObjectHandle, 0, err
	}
	handle, err = c.Load(r.ObjectHandle, tpm2.Marshal(made.OutPublic)[2:], made.OutPrivate.Buffer)
	return r.ObjectHandle, handle, err
}

// TestWycheproofSignRSA signs with the command that is encoded by hand.
func TestWycheproofSignRSA(t *testing.T) {
	o := judged(t)
	wycheprooftest.Judge(t, "rsa_pkcs1_2048_sig_gen", func(t *testing.T, g *group, v *vector) error {
		parsed, err := x509.ParsePKCS8PrivateKey(g.PrivateKeyPKCS8)
		if err != nil {
			t.Fatal(err)
		}
		k := parsed.(*rsa.PrivateKey)
		if g.SHA != "SHA-256" {
			return errOther // the command names SHA-256 and nothing else
		}
		return do(t, o, func(c *Conn) error {
			h, err := external(c, "auth", tpm2.TPMTPublic{
				Type:       tpm2.TPMAlgRSA,
				Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: 2048, Exponent: uint32(k.E), Scheme: tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgNull}}),
				Unique:     tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: k.N.Bytes()}),
			}, tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgRSA, &tpm2.TPM2BPrivateKeyRSA{Buffer: k.Primes[0].Bytes()}))
			if err != nil {
				return err
			}
			defer func() { _ = c.Flush(h) }()
			digest := sha256.Sum256(v.Msg)
			sig, err := c.SignRSA(h, []byte("auth"), digest[:])
			if err == nil {
				wycheprooftest.Same(t, v, "signature", sig, v.Sig)
			}
			return err
		})
	}, wycheprooftest.Deviation{
		If:   func(g *group, _ *vector) bool { return g.SHA != "SHA-256" },
		Does: "signs SHA-256 only", Why: "RS256 is the one RSA signature of the protocol",
	})
}
