package softtpm_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

var be = binary.BigEndian

// must ends the test on an error.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantRC checks that err is exactly the response code.
func wantRC(t testing.TB, what string, err error, want uint32) {
	t.Helper()
	var rc tpm2.TPMRC
	if !errors.As(err, &rc) || uint32(rc) != want {
		t.Errorf("%s: got %v (%#x), want code %#x", what, err, uint32(rc), want)
	}
}

func start(t testing.TB, tpm transport.TPM) {
	t.Helper()
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	ok(t, err)
}

// newTPM makes a started TPM.
func newTPM(t testing.TB, cfg softtpm.Config) *softtpm.TPM {
	t.Helper()
	tpm, err := softtpm.New(cfg)
	ok(t, err)
	t.Cleanup(func() { _ = tpm.Close() })
	start(t, tpm)
	return tpm
}

// raw sends a command that go-tpm has no type for. auth nil: no sessions.
func raw(tpm transport.TPM, cc uint32, handles []uint32, auth []byte, params ...byte) ([]byte, error) {
	return rawBy(tpm, cc, handles, 0x40000009, auth, params...)
}

// rawBy is raw with another session than that of passwords.
func rawBy(tpm transport.TPM, cc uint32, handles []uint32, session uint32, auth []byte, params ...byte) ([]byte, error) {
	tag := uint16(0x8001)
	if auth != nil {
		tag = 0x8002
	}
	b := be.AppendUint16(nil, tag)
	b = append(b, 0, 0, 0, 0)
	b = be.AppendUint32(b, cc)
	for _, h := range handles {
		b = be.AppendUint32(b, h)
	}
	if auth != nil {
		b = be.AppendUint32(b, uint32(9+len(auth)))
		b = be.AppendUint32(b, session)
		b = append(b, 0, 0, 1)
		b = append(be.AppendUint16(b, uint16(len(auth))), auth...)
	}
	b = append(b, params...)
	be.PutUint32(b[2:], uint32(len(b)))
	rsp, err := tpm.Send(b)
	if err != nil {
		return nil, err
	}
	if rc := be.Uint32(rsp[6:]); rc != 0 {
		return nil, tpm2.TPMRC(rc)
	}
	return rsp[10:], nil
}

// key is a loaded object.
type key struct {
	Handle tpm2.TPMHandle
	Name   tpm2.TPM2BName
	Pub    tpm2.TPMTPublic
}

func (k key) with(s tpm2.Session) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: k.Handle, Name: k.Name, Auth: s}
}
func (k key) auth() tpm2.AuthHandle { return k.with(tpm2.PasswordAuth(nil)) }
func (k key) pw(p string) tpm2.AuthHandle {
	return k.with(tpm2.PasswordAuth([]byte(p)))
}

func flush(t testing.TB, tpm transport.TPM, h ...tpm2.TPMHandle) {
	t.Helper()
	for _, x := range h {
		_, err := tpm2.FlushContext{FlushHandle: x}.Execute(tpm)
		ok(t, err)
	}
}

func primary(tpm transport.TPM, h tpm2.TPMHandle, tmpl tpm2.TPMTPublic) (key, error) {
	r, err := tpm2.CreatePrimary{PrimaryHandle: h, InPublic: tpm2.New2B(tmpl)}.Execute(tpm)
	if err != nil {
		return key{}, err
	}
	p, err := r.OutPublic.Contents()
	if err != nil {
		return key{}, err
	}
	return key{r.ObjectHandle, r.Name, *p}, nil
}

// srk makes the storage root key that everything lies under.
func srk(t testing.TB, tpm transport.TPM) key {
	t.Helper()
	return must[key](t)(primary(tpm, tpm2.TPMRHOwner, tpm2.ECCSRKTemplate))
}

type blob struct {
	Pub  tpm2.TPM2BPublic
	Priv tpm2.TPM2BPrivate
}

func create(tpm transport.TPM, parent key, tmpl tpm2.TPMTPublic, auth string, data []byte, s ...tpm2.Session) (blob, error) {
	c := tpm2.Create{ParentHandle: parent.auth(), InPublic: tpm2.New2B(tmpl)}
	c.InSensitive.Sensitive = &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte(auth)}}
	if data != nil {
		c.InSensitive.Sensitive.Data = tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: data})
	}
	r, err := c.Execute(tpm, s...)
	if err != nil {
		return blob{}, err
	}
	return blob{r.OutPublic, r.OutPrivate}, nil
}

func load(tpm transport.TPM, parent key, b blob) (key, error) {
	r, err := tpm2.Load{ParentHandle: parent.auth(), InPrivate: b.Priv, InPublic: b.Pub}.Execute(tpm)
	if err != nil {
		return key{}, err
	}
	p, err := b.Pub.Contents()
	if err != nil {
		return key{}, err
	}
	return key{r.ObjectHandle, r.Name, *p}, nil
}

// made creates and loads.
func made(t testing.TB, tpm transport.TPM, parent key, tmpl tpm2.TPMTPublic, auth string, data []byte) key {
	t.Helper()
	b := must[blob](t)(create(tpm, parent, tmpl, auth, data))
	return must[key](t)(load(tpm, parent, b))
}

func signDigest(tpm transport.TPM, a tpm2.AuthHandle, digest []byte, s ...tpm2.Session) (*tpm2.SignResponse, error) {
	return tpm2.Sign{KeyHandle: a, Digest: tpm2.TPM2BDigest{Buffer: digest},
		Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull}}.Execute(tpm, s...)
}

func hmacOf(tpm transport.TPM, a tpm2.AuthHandle, data []byte, s ...tpm2.Session) ([]byte, error) {
	r, err := tpm2.Hmac{Handle: a, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data}, HashAlg: tpm2.TPMAlgSHA256}.Execute(tpm, s...)
	if err != nil {
		return nil, err
	}
	return r.OutHMAC.Buffer, nil
}
