package attestationtest

import (
	"crypto"
	"crypto/rsa"
	"io"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// Chip is a device with a TPM: the keys of one registration in it, and what the
// device does with them. It works on any TPM that answers commands.
type Chip struct {
	t   testing.TB
	tpm transport.TPM
	srk handle
	ek  handle

	ak, dk, tk, storage blob
	// Certificate of the endorsement key, or nil.
	Certificate []byte
}

type handle struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	area   tpm2.TPMTPublic
}

func (h handle) auth(s tpm2.Session) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: h.handle, Name: h.name, Auth: s}
}

type blob struct {
	public  tpm2.TPM2BPublic
	private tpm2.TPM2BPrivate
	area    tpm2.TPMTPublic
}

// NewChip makes the keys of a registration in a started TPM, with the endorsement
// key of a template. A failure ends the test.
func NewChip(t testing.TB, tpm transport.TPM, ek tpm2.TPMTPublic) *Chip {
	t.Helper()
	c := &Chip{t: t, tpm: tpm}
	c.ek = c.primary(tpm2.TPMRHEndorsement, ek)
	c.flush(c.ek) // a TPM has room for three: it is made again when it is needed
	c.makeKeys()
	return c
}

// NewChipAt is NewChip with an endorsement key that the maker left in the TPM, and
// its certificate in NV memory.
func NewChipAt(t testing.TB, tpm transport.TPM, ek, nv tpm2.TPMHandle) *Chip {
	t.Helper()
	c := &Chip{t: t, tpm: tpm}
	read, err := tpm2.ReadPublic{ObjectHandle: ek}.Execute(tpm)
	c.must(err)
	area, err := read.OutPublic.Contents()
	c.must(err)
	c.ek = handle{ek, read.Name, *area}
	c.Certificate = c.readNV(nv)
	c.makeKeys()
	return c
}

func (c *Chip) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *Chip) makeKeys() {
	c.srk = c.primary(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	c.t.Cleanup(func() { c.flush(c.srk) })
	c.ak = c.create(ECC(nil, Restricted(true, false)))
	c.dk = c.create(RSA(nil, Unrestricted(true, false)))
	c.tk = c.create(RSA(nil, Unrestricted(false, true)))
	c.storage = c.create(ECC(nil, Restricted(false, true)))
}

func (c *Chip) primary(h tpm2.TPMHandle, template tpm2.TPMTPublic) handle {
	c.t.Helper()
	r, err := tpm2.CreatePrimary{PrimaryHandle: h, InPublic: tpm2.New2B(template)}.Execute(c.tpm)
	c.must(err)
	area, err := r.OutPublic.Contents()
	c.must(err)
	return handle{r.ObjectHandle, r.Name, *area}
}

func (c *Chip) create(template tpm2.TPMTPublic) blob {
	c.t.Helper()
	r, err := tpm2.Create{ParentHandle: c.srk.auth(tpm2.PasswordAuth(nil)), InPublic: tpm2.New2B(template)}.Execute(c.tpm)
	c.must(err)
	area, err := r.OutPublic.Contents()
	c.must(err)
	return blob{r.OutPublic, r.OutPrivate, *area}
}

// with loads a key for as long as use takes.
func (c *Chip) with(b blob, use func(handle)) {
	c.t.Helper()
	r, err := tpm2.Load{ParentHandle: c.srk.auth(tpm2.PasswordAuth(nil)), InPrivate: b.private, InPublic: b.public}.Execute(c.tpm)
	c.must(err)
	h := handle{r.ObjectHandle, r.Name, b.area}
	use(h)
	c.flush(h)
}

func (c *Chip) flush(h handle) {
	_, err := tpm2.FlushContext{FlushHandle: h.handle}.Execute(c.tpm)
	c.must(err)
}

func (c *Chip) readNV(index tpm2.TPMHandle) []byte {
	c.t.Helper()
	p, err := tpm2.NVReadPublic{NVIndex: index}.Execute(c.tpm)
	c.must(err)
	area, err := p.NVPublic.Contents()
	c.must(err)
	var out []byte
	for len(out) < int(area.DataSize) {
		r, err := tpm2.NVRead{
			AuthHandle: tpm2.AuthHandle{Handle: index, Name: p.NVName, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: p.NVName}, Size: uint16(min(512, int(area.DataSize)-len(out))), Offset: uint16(len(out)),
		}.Execute(c.tpm)
		c.must(err)
		out = append(out, r.Data.Buffer...)
	}
	return out
}

// EK is the public half of the endorsement key.
func (c *Chip) EK() crypto.PublicKey {
	k, err := tpm2.Pub(c.ek.area)
	c.must(err)
	return k
}

// Request asks for a challenge.
func (c *Chip) Request(tenant string) *idpv1.RequestAttestationChallengeRequest {
	return &idpv1.RequestAttestationChallengeRequest{
		EndorsementKey: tpm2.Marshal(c.ek.area), EndorsementCertificate: c.Certificate, AttestationKey: tpm2.Marshal(c.ak.area), Tenant: tenant,
	}
}

// Signer signs with the device key, RSA PKCS#1 with SHA-256.
func (c *Chip) Signer() crypto.Signer { return signer{c} }

type signer struct{ c *Chip }

// Public implements crypto.Signer.
func (s signer) Public() crypto.PublicKey { return s.c.public(s.c.dk) }

// Sign implements crypto.Signer.
func (s signer) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) (out []byte, _ error) {
	s.c.with(s.c.dk, func(h handle) {
		r, err := tpm2.Sign{
			KeyHandle: h.auth(tpm2.PasswordAuth(nil)), Digest: tpm2.TPM2BDigest{Buffer: digest},
			InScheme:   tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256})},
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
		}.Execute(s.c.tpm)
		s.c.must(err)
		sig, err := r.Signature.Signature.RSASSA()
		s.c.must(err)
		out = sig.Sig.Buffer
	})
	return out, nil
}

func (c *Chip) public(b blob) *rsa.PublicKey {
	k, err := tpm2.Pub(b.area)
	c.must(err)
	pub, ok := k.(*rsa.PublicKey)
	if !ok {
		c.t.Fatalf("a %T", k)
	}
	return pub
}

// TransportKey is the public half of the transport key.
func (c *Chip) TransportKey() *rsa.PublicKey { return c.public(c.tk) }

// Unwrap opens what was encrypted for the transport key, RSA-OAEP with SHA-1.
func (c *Chip) Unwrap(ciphertext []byte) (out []byte) {
	c.with(c.tk, func(h handle) {
		r, err := tpm2.RSADecrypt{
			KeyHandle: h.auth(tpm2.PasswordAuth(nil)), CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: ciphertext},
			InScheme: tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgOAEP, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA1})},
		}.Execute(c.tpm)
		c.must(err)
		out = r.Message.Buffer
	})
	return out
}
