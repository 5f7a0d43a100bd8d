package softtpm_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// tap records what passes on the bus.
type tap struct {
	transport.TPM
	seen bytes.Buffer
}

func (b *tap) Send(cmd []byte) ([]byte, error) {
	b.seen.Write(cmd)
	r, err := b.TPM.Send(cmd)
	b.seen.Write(r)
	return r, err
}

// A salted and encrypted session hides the session key on the way out of
// RSADecrypt and into Create, with every kind of salt key.
func TestEncryptedSessions(t *testing.T) {
	for _, v := range []struct {
		name string
		salt tpm2.TPMTPublic
		bits tpm2.TPMKeyBits
	}{{"ECC", tpm2.ECCSRKTemplate, 128}, {"RSA", tpm2.RSASRKTemplate, 256}} {
		t.Run(v.name, func(t *testing.T) {
			bus := &tap{TPM: newTPM(t, softtpm.Config{})}
			root := must[key](t)(primary(bus, tpm2.TPMRHOwner, v.salt))
			tk := made(t, bus, root, tkTemplate(tpm2.TPMAlgSHA1), "", nil)
			secret := span(0x80, 32)
			ct := must[[]byte](t)(rsa.EncryptOAEP(sha1.New(), rand.Reader, publicKey(t, tk.Pub), secret, nil))
			s, end, err := tpm2.HMACSession(bus, tpm2.TPMAlgSHA256, 16, tpm2.Salted(root.Handle, root.Pub), tpm2.AESEncryption(v.bits, tpm2.EncryptInOut))
			ok(t, err)
			for range 2 { // the session rolls its nonces
				r, err := tpm2.RSADecrypt{KeyHandle: tk.auth(), CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: ct}}.Execute(bus, s)
				ok(t, err)
				if !bytes.Equal(r.Message.Buffer, secret) {
					t.Error("the decrypted secret differs")
				}
			}
			b := must[blob](t)(create(bus, root, skTemplate(true), "", secret, s))
			ok(t, end())
			if bytes.Contains(bus.seen.Bytes(), secret) {
				t.Error("the secret was on the bus")
			}
			sk := must[key](t)(load(bus, root, b))
			got := must[[]byte](t)(hmacOf(bus, sk.auth(), []byte("x")))
			if !bytes.Equal(got, mac(secret, []byte("x"))) {
				t.Error("the created key is another")
			}
			// The counter-check: without a session it is visible.
			_, err = tpm2.RSADecrypt{KeyHandle: tk.auth(), CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: ct}}.Execute(bus)
			ok(t, err)
			if !bytes.Contains(bus.seen.Bytes(), secret) {
				t.Error("the tap sees nothing")
			}
		})
	}
}

func TestSessionAuthorization(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	k := made(t, tpm, root, skTemplate(true), "secret", span(0, 32))
	want := mac(span(0, 32), []byte("x"))
	auth := func(pw string) tpm2.AuthOption { return tpm2.Auth([]byte(pw)) }
	use := func(s tpm2.Session, extra ...tpm2.Session) error {
		got, err := hmacOf(tpm, k.with(s), []byte("x"), extra...)
		if err == nil && !bytes.Equal(got, want) {
			t.Error("wrong MAC")
		}
		return err
	}
	ok(t, use(tpm2.PasswordAuth([]byte("secret"))))
	wantRC(t, "wrong password", use(tpm2.PasswordAuth([]byte("x"))), 0x9a2)
	for name, opts := range map[string][]tpm2.AuthOption{
		"plain":     nil,
		"salted":    {tpm2.Salted(root.Handle, root.Pub)},
		"bound":     {tpm2.Bound(k.Handle, k.Name, []byte("secret"))},
		"encrypted": {tpm2.AESEncryption(128, tpm2.EncryptInOut), tpm2.Salted(root.Handle, root.Pub)},
	} {
		ok(t, use(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, append(opts, auth("secret"))...)))
		if name != "bound" {
			wantRC(t, name+" with a wrong value", use(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, append(opts, auth("x"))...)), 0x9a2)
		}
	}
	wantRC(t, "bound with a wrong value", use(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Bound(k.Handle, k.Name, []byte("x")), auth("x"))), 0x9a2)
	// Salted with a key that is not the one at the handle.
	fake := must[key](t)(primary(newTPM(t, softtpm.Config{}), tpm2.TPMRHOwner, tpm2.ECCSRKTemplate))
	wantRC(t, "salt for another key", use(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Salted(root.Handle, fake.Pub), auth("secret"))), 0x9a2)
	// Separate sessions for authorization, decryption and encryption.
	ok(t, use(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, auth("secret")),
		tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.AESEncryption(128, tpm2.EncryptIn)),
		tpm2.HMAC(tpm2.TPMAlgSHA1, 16, tpm2.AESEncryption(128, tpm2.EncryptOut))))
	digest := sha256.Sum256(nil)
	dk := made(t, tpm, root, ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256), "", nil)
	_, err := signDigest(tpm, dk.auth(), digest[:], tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.AESEncryption(128, tpm2.EncryptOut)))
	wantRC(t, "encrypted answer of Sign", err, 0xa82)
	_, err = signDigest(tpm, dk.auth(), digest[:], tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Audit()))
	ok(t, err)
}

func TestSessionLimitsAndContexts(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	k := made(t, tpm, srk(t, tpm), skTemplate(true), "", span(0, 32))
	s, end, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	for range 2 {
		_, _, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16)
		ok(t, err)
	}
	_, _, err = tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16)
	wantRC(t, "fourth loaded session", err, 0x903)

	saved, err := tpm2.ContextSave{SaveHandle: s.Handle()}.Execute(tpm)
	ok(t, err)
	_, err = hmacOf(tpm, k.with(s), nil)
	wantRC(t, "use of a saved session", err, 0x918)
	third, _, err := tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	_, err = tpm2.ContextLoad{Context: saved.Context}.Execute(tpm)
	wantRC(t, "no room to load", err, 0x903)
	flush(t, tpm, third.Handle())
	_, err = tpm2.ContextLoad{Context: saved.Context}.Execute(tpm)
	ok(t, err)
	_, err = hmacOf(tpm, k.with(s), nil)
	ok(t, err)
	_, err = tpm2.ContextLoad{Context: saved.Context}.Execute(tpm)
	wantRC(t, "context loaded twice", err, 0x1cb)
	ok(t, end())

	n := 2 // two are left loaded; save new ones until none is left
	for ; ; n++ {
		s, _, err = tpm2.HMACSession(tpm, tpm2.TPMAlgSHA256, 16)
		if err != nil {
			break
		}
		_, err = tpm2.ContextSave{SaveHandle: s.Handle()}.Execute(tpm)
		ok(t, err)
	}
	wantRC(t, "too many active sessions", err, 0x905)
	if n != 64 {
		t.Errorf("%d active sessions, want 64", n)
	}
}

// Many goroutines may share one TPM.
func TestConcurrentUse(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	k := made(t, tpm, srk(t, tpm), skTemplate(true), "", span(0, 32))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			data := []byte{byte(i)}
			for range 50 {
				got, err := hmacOf(tpm, k.auth(), data)
				if err == nil && !bytes.Equal(got, mac(span(0, 32), data)) {
					err = errors.New("answer of another command")
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	ok(t, errors.Join(errs...))
}
