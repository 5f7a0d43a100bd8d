package nativetest

import (
	"crypto/ecdh"
	"crypto/rand"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// Holder is a TPM with a storage key, for which session keys can be wrapped.
type Holder struct {
	tpm    transport.TPM
	public tpm2.TPM2BPublic
	blob   tpm2.TPM2BPrivate
}

// NewHolder makes a storage key as a device does: on P-256, restricted, fixed to
// its TPM, under the storage root key.
func NewHolder(t testing.TB, tpm transport.TPM) *Holder {
	t.Helper()
	h := &Holder{tpm: tpm}
	root, err := h.root()
	if err != nil {
		t.Fatal(err)
	}
	r, err := tpm2.Create{ParentHandle: auth(root.ObjectHandle, root.Name), InPublic: tpm2.New2B(storageTemplate(true)),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{}}}.Execute(tpm)
	h.flush(root.ObjectHandle)
	if err != nil {
		t.Fatal(err)
	}
	h.public, h.blob = r.OutPublic, r.OutPrivate
	return h
}

// Known puts a storage key of which everybody has the private half into a TPM, for
// vectors. Such a key can be nothing but a copy, and its attributes say so.
func Known(t testing.TB, tpm transport.TPM, private []byte) *Holder {
	t.Helper()
	h := &Holder{tpm: tpm}
	root, err := h.root()
	if err != nil {
		t.Fatal(err)
	}
	defer h.flush(root.ObjectHandle)
	pub := KnownPublic(t, private)
	name, err := tpm2.ObjectName(&pub)
	if err != nil {
		t.Fatal(err)
	}
	rootPublic, err := root.OutPublic.Contents()
	if err != nil {
		t.Fatal(err)
	}
	wrapFor, err := tpm2.ImportEncapsulationKey(rootPublic)
	if err != nil {
		t.Fatal(err)
	}
	sensitive := tpm2.Marshal(tpm2.TPMTSensitive{SensitiveType: tpm2.TPMAlgECC, SeedValue: tpm2.TPM2BDigest{Buffer: make([]byte, 32)},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgECC, &tpm2.TPM2BECCParameter{Buffer: private})})
	duplicate, seed, err := tpm2.CreateDuplicate(rand.Reader, wrapFor, name.Buffer, sensitive)
	if err != nil {
		t.Fatal(err)
	}
	h.public = tpm2.New2B(pub)
	r, err := tpm2.Import{ParentHandle: auth(root.ObjectHandle, root.Name), ObjectPublic: h.public, Duplicate: tpm2.TPM2BPrivate{Buffer: duplicate},
		InSymSeed: tpm2.TPM2BEncryptedSecret{Buffer: seed}, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	h.blob = r.OutPrivate
	return h
}

// KnownPublic is the public area that goes with it.
func KnownPublic(t testing.TB, private []byte) tpm2.TPMTPublic {
	t.Helper()
	key, err := ecdh.P256().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	point := key.PublicKey().Bytes() // 04, x, y
	pub := storageTemplate(false)
	pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: point[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: point[33:]}})
	return pub
}

func storageTemplate(fixed bool) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: fixed, FixedParent: fixed, SensitiveDataOrigin: fixed, UserWithAuth: true, NoDA: true, Restricted: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256,
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
				Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB)}})}
}

// StorageKey is the public area of the storage key, a TPMT_PUBLIC.
func (h *Holder) StorageKey() []byte { return h.public.Bytes() }

// TPM is the TPM, to ask it for what a device would not.
func (h *Holder) TPM() transport.TPM { return h.tpm }

func (h *Holder) root() (*tpm2.CreatePrimaryResponse, error) {
	return tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(h.tpm)
}

// loaded is an object in a slot.
type loaded struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
}

func (h *Holder) load(parent loaded, public tpm2.TPM2BPublic, blob tpm2.TPM2BPrivate) (loaded, error) {
	r, err := tpm2.Load{ParentHandle: auth(parent.handle, parent.name), InPublic: public, InPrivate: blob}.Execute(h.tpm)
	if err != nil {
		return loaded{}, err
	}
	return loaded{r.ObjectHandle, r.Name}, nil
}

// withStorage runs f with the storage key loaded. The root key leaves its slot
// before, because there are three.
func (h *Holder) withStorage(f func(loaded) error) error {
	root, err := h.root()
	if err != nil {
		return err
	}
	k, err := h.load(loaded{root.ObjectHandle, root.Name}, h.public, h.blob)
	h.flush(root.ObjectHandle)
	if err != nil {
		return err
	}
	defer h.flush(k.handle)
	return f(k)
}

func (h *Holder) flush(handle tpm2.TPMHandle) {
	_, _ = tpm2.FlushContext{FlushHandle: handle}.Execute(h.tpm) // a slot that is not freed shows in the next command
}

func auth(handle tpm2.TPMHandle, name tpm2.TPM2BName) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: handle, Name: name, Auth: tpm2.PasswordAuth(nil)}
}
