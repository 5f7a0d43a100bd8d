package tpmio

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/device"
)

// tap keeps the commands that pass, and answers failure instead while deaf is set.
type tap struct {
	tpm  transport.TPM
	seen [][]byte
	deaf bool
}

func (p *tap) Send(command []byte) ([]byte, error) {
	p.seen = append(p.seen, bytes.Clone(command))
	if p.deaf {
		return answer(tpm2.TPMRCFailure), nil
	}
	return p.tpm.Send(command)
}

func (p *tap) last() []byte { return p.seen[len(p.seen)-1] }

// onTPMs runs a test on the TPM in Go and on swtpm.
func onTPMs(t *testing.T, f func(t *testing.T, o *Owner, p *tap)) {
	for _, addr := range []string{"mem:", "swtpm:"} {
		t.Run(strings.TrimSuffix(addr, ":"), func(t *testing.T) {
			p := openTap(t, addr)
			o := New(p)
			defer o.Close()
			f(t, o, p)
		})
	}
}

func openTap(t testing.TB, addr string) *tap {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); err != nil && addr == "swtpm:" {
		if os.Getenv("LOCKSTEP_NEED_SWTPM") != "" {
			t.Fatal("swtpm is not installed")
		}
		t.Skip("swtpm is not installed: install the package swtpm")
	}
	d, err := device.Open(t.Context(), device.Config{Addr: addr, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.TPM.Close() })
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(d.TPM.TPM); err != nil && !errors.Is(err, tpm2.TPMRCInitialize) {
		t.Fatal(err)
	}
	return &tap{tpm: d.TPM.TPM}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// root makes a storage root key and salts sessions with it.
func root(t testing.TB, c *Conn) tpm2.NamedHandle {
	t.Helper()
	r := must[*tpm2.CreatePrimaryResponse](t)(tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c))
	c.SetRoot(r.ObjectHandle, *must[*tpm2.TPMTPublic](t)(r.OutPublic.Contents()))
	return tpm2.NamedHandle{Handle: r.ObjectHandle, Name: r.Name}
}

var testAuth = []byte("0123456789abcdef0123456789abcdef")

func keyedHash(scheme tpm2.TPMTKeyedHashScheme, a tpm2.TPMAObject) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: a,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: scheme}),
	}
}

func hmacScheme() tpm2.TPMTKeyedHashScheme {
	return tpm2.TPMTKeyedHashScheme{
		Scheme: tpm2.TPMAlgHMAC, Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
	}
}

func hmacTemplate() tpm2.TPMTPublic {
	return keyedHash(hmacScheme(), tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true})
}

// derivation is a parent from which keys are derived by label and context.
func derivation() tpm2.TPMTPublic {
	return keyedHash(tpm2.TPMTKeyedHashScheme{
		Scheme:  tpm2.TPMAlgXOR,
		Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: tpm2.TPMAlgSHA256, KDF: tpm2.TPMAlgKDF1SP800108}),
	}, tpm2.TPMAObject{UserWithAuth: true, NoDA: true, Decrypt: true, Restricted: true})
}

func transportKey() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Scheme:  tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgOAEP, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA1})},
			KeyBits: 2048,
		}),
	}
}

func derivedTemplate(public tpm2.TPMTPublic, context []byte) []byte {
	return tpm2.Marshal(template(public, context))
}

func template(public tpm2.TPMTPublic, context []byte) tpm2.TPMTTemplate {
	return tpm2.TPMTTemplate{
		Type: public.Type, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: public.ObjectAttributes, Parameters: public.Parameters,
		Unique: tpm2.TPMSDerive{Label: tpm2.TPM2BLabel{Buffer: []byte("label")}, Context: tpm2.TPM2BLabel{Buffer: context}},
	}
}

func hmacChild() tpm2.TPMTPublic {
	return keyedHash(hmacScheme(), tpm2.TPMAObject{FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true})
}

func aesChild() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgSymCipher, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{
			Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCTR),
		}}),
	}
}

// pinned is the session with a nonce that was used before.
type pinned struct {
	*use
	with [nonceSize]byte
}

func (p pinned) NewNonceCaller() error {
	p.nonce = p.with
	return nil
}

// TestHotCommandsAreThoseOfTheLibrary holds each command that is encoded by hand
// against what go-tpm makes of the same call, byte by byte.
func TestHotCommandsAreThoseOfTheLibrary(t *testing.T) {
	p := openTap(t, "mem:")
	o := New(p)
	defer o.Close()
	key := tpm2.NamedHandle{Handle: 0x80000001, Name: tpm2.TPM2BName{Buffer: bytes.Repeat([]byte{9}, 34)}}
	with := func(s tpm2.Session) tpm2.AuthHandle {
		return tpm2.AuthHandle{Handle: key.Handle, Name: key.Name, Auth: s}
	}
	password := with(tpm2.PasswordAuth(testAuth))
	hashcheck := tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull}
	digest, data, iv := make([]byte, 32), []byte("some data"), make([]byte, 16)
	public, private := tpm2.Marshal(hmacTemplate()), []byte("private")
	child := template(hmacChild(), data)
	hot := Key{Handle: key.Handle, Name: key.Name.Buffer, Auth: testAuth}
	for _, cmd := range []struct {
		name  string
		hot   func(c *Conn) error
		plain func(c *Conn, session tpm2.Session) error
		dir   Direction
	}{
		{name: "Load", hot: func(c *Conn) error { _, err := c.Load(key.Handle, public, private); return err }, plain: func(c *Conn, _ tpm2.Session) error {
			_, err := tpm2.Load{ParentHandle: with(tpm2.PasswordAuth(nil)), InPrivate: tpm2.TPM2BPrivate{Buffer: private}, InPublic: tpm2.New2B(hmacTemplate())}.Execute(c)
			return err
		}},
		{name: "FlushContext", hot: func(c *Conn) error { return c.Flush(key.Handle) }, plain: func(c *Conn, _ tpm2.Session) error {
			_, err := tpm2.FlushContext{FlushHandle: key.Handle}.Execute(c)
			return err
		}},
		{name: "HMAC", hot: func(c *Conn) error { _, err := c.HMAC(key.Handle, testAuth, data); return err }, plain: func(c *Conn, _ tpm2.Session) error {
			_, err := tpm2.Hmac{Handle: password, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data}, HashAlg: tpm2.TPMAlgSHA256}.Execute(c)
			return err
		}},
		{name: "Sign", hot: func(c *Conn) error { _, err := c.SignRSA(key.Handle, testAuth, digest); return err }, plain: func(c *Conn, _ tpm2.Session) error {
			_, err := tpm2.Sign{KeyHandle: password, Digest: tpm2.TPM2BDigest{Buffer: digest}, Validation: hashcheck, InScheme: tpm2.TPMTSigScheme{
				Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256}),
			}}.Execute(c)
			return err
		}},
		{name: "Import", hot: func(c *Conn) error { _, err := c.Import(key.Handle, testAuth, public, private, data); return err }, plain: func(c *Conn, _ tpm2.Session) error {
			_, err := tpm2.Import{
				ParentHandle: password, ObjectPublic: tpm2.New2B(hmacTemplate()), Duplicate: tpm2.TPM2BPrivate{Buffer: private},
				InSymSeed: tpm2.TPM2BEncryptedSecret{Buffer: data}, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
			}.Execute(c)
			return err
		}},
		{name: "CreateLoaded", hot: func(c *Conn) error {
			_, err := c.CreateDerived(key.Handle, testAuth, []byte("child"), derivedTemplate(hmacChild(), data))
			return err
		}, plain: func(c *Conn, _ tpm2.Session) error {
			_, err := tpm2.CreateLoaded{
				ParentHandle: password,
				InSensitive:  tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte("child")}}},
				InPublic:     tpm2.New2BTemplate(&child),
			}.Execute(c)
			return err
		}},
		{name: "EncryptDecrypt2", hot: func(c *Conn) error { _, _, err := c.EncryptDecrypt(key.Handle, testAuth, iv, data, true); return err }, plain: func(c *Conn, _ tpm2.Session) error {
			_, err := tpm2.EncryptDecrypt2{KeyHandle: password, Message: tpm2.TPM2BMaxBuffer{Buffer: data}, Decrypt: true, Mode: tpm2.TPMAlgNull, IV: tpm2.TPM2BIV{Buffer: iv}}.Execute(c)
			return err
		}},
		{name: "RSA_Decrypt", dir: FromTPM, hot: func(c *Conn) error { _, err := c.RSADecrypt(hot, data); return err }, plain: func(c *Conn, s tpm2.Session) error {
			_, err := tpm2.RSADecrypt{KeyHandle: with(s), CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: data}, InScheme: tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull}}.Execute(c)
			return err
		}},
		{name: "Create", dir: ToTPM, hot: func(c *Conn) error { _, _, err := c.Create(hot, testAuth, data, public); return err }, plain: func(c *Conn, s tpm2.Session) error {
			_, err := tpm2.Create{
				ParentHandle: with(s), InPublic: tpm2.New2B(hmacTemplate()),
				InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
					UserAuth: tpm2.TPM2BAuth{Buffer: testAuth}, Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: data}),
				}},
			}.Execute(c)
			return err
		}},
	} {
		err := do(t, o, func(c *Conn) error {
			r := root(t, c)
			if err := c.Session(nil, Neither).Init(c); err != nil {
				return err
			}
			p.deaf = true
			defer func() { p.deaf = false; _ = c.Flush(r.Handle) }()
			if err := cmd.hot(c); !errors.Is(err, tpm2.TPMRCFailure) {
				t.Errorf("%s: %v", cmd.name, err)
			}
			mine := p.last()
			var nonce [nonceSize]byte
			copy(nonce[:], mine[min(24, len(mine)):])
			if err := cmd.plain(c, pinned{c.use(testAuth, cmd.dir), nonce}); !errors.Is(err, tpm2.TPMRCFailure) {
				t.Errorf("%s: %v", cmd.name, err)
			}
			if library := p.last(); !bytes.Equal(mine, library) {
				t.Errorf("%s:\n  by hand %x\n  go-tpm  %x", cmd.name, mine, library)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheSessionWorksAndHides makes, imports, derives and decrypts with the session
// and the hand-encoded commands, and looks for the secrets on the bus.
func TestTheSessionWorksAndHides(t *testing.T) {
	onTPMs(t, func(t *testing.T, o *Owner, p *tap) {
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		err := do(t, o, func(c *Conn) error {
			srk := root(t, c)
			parent := Key{Handle: srk.Handle, Name: srk.Name.Buffer}
			seal(t, c, parent, key)
			decrypt(t, c, parent, key)
			derive(t, c, parent, key)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{key, testAuth} {
			for _, command := range p.seen {
				cc := tpm2.TPMCC(binary.BigEndian.Uint32(command[6:]))
				if cc != tpm2.TPMCCHMAC && cc != tpm2.TPMCCCreateLoaded && bytes.Contains(command, secret) { // these two authorise with a password
					t.Errorf("a secret is on the bus in %v", cc)
				}
			}
		}
		if n := o.Counts()[tpm2.TPMCCStartAuthSession]; n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

// seal creates an HMAC key of given data and uses it.
func seal(t *testing.T, c *Conn, parent Key, key []byte) {
	public, private, err := c.Create(parent, testAuth, key, tpm2.Marshal(hmacTemplate()))
	if err != nil {
		t.Fatal(err)
	}
	h := must[tpm2.TPMHandle](t)(c.Load(parent.Handle, public, private))
	mac := must[[]byte](t)(c.HMAC(h, testAuth, []byte("message")))
	if !hmac.Equal(mac, macOf(key, []byte("message"))) {
		t.Error("another key was sealed")
	}
	if err := c.Flush(h); err != nil {
		t.Fatal(err)
	}
}

func macOf(key, message []byte) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write(message)
	return m.Sum(nil)
}

// decrypt unwraps a key by hand and through go-tpm, with one session.
func decrypt(t *testing.T, c *Conn, parent Key, key []byte) {
	public, private, err := c.Create(parent, testAuth, nil, tpm2.Marshal(transportKey()))
	if err != nil {
		t.Fatal(err)
	}
	area := must[*tpm2.TPMTPublic](t)(tpm2.Unmarshal[tpm2.TPMTPublic](public))
	name := must[*tpm2.TPM2BName](t)(tpm2.ObjectName(area))
	h := must[tpm2.TPMHandle](t)(c.Load(parent.Handle, public, private))
	pub := must[any](t)(tpm2.Pub(*area)).(*rsa.PublicKey)
	wrapped := must[[]byte](t)(rsa.EncryptOAEP(sha1.New(), rand.Reader, pub, key, nil))
	for range 3 {
		got, err := c.RSADecrypt(Key{h, name.Buffer, testAuth}, wrapped)
		if err != nil || !bytes.Equal(got, key) {
			t.Errorf("by hand: %v", err)
		}
		r, err := tpm2.RSADecrypt{
			KeyHandle:  tpm2.AuthHandle{Handle: h, Name: *name, Auth: c.Session(testAuth, FromTPM)},
			CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: wrapped}, InScheme: tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull},
		}.Execute(c)
		if err != nil || !bytes.Equal(r.Message.Buffer, key) {
			t.Errorf("through go-tpm: %v", err)
		}
		// A wrong value is refused, and the session goes on.
		if _, err := c.RSADecrypt(Key{h, name.Buffer, []byte("wrong")}, wrapped); classOf(c.failed) != User || err == nil {
			t.Errorf("a wrong value: %v", err)
		}
		c.owner.bus.suspect = false // the count of sessions is part of the test
	}
	if err := c.Flush(h); err != nil {
		t.Fatal(err)
	}
}

// derive imports a derivation parent that was wrapped outside, and derives a MAC
// and a cipher key from it.
func derive(t *testing.T, c *Conn, parent Key, key []byte) {
	public, private, err := c.Create(parent, nil, nil, tpm2.Marshal(tpm2.ECCSRKTemplate))
	if err != nil {
		t.Fatal(err)
	}
	storage := must[*tpm2.TPMTPublic](t)(tpm2.Unmarshal[tpm2.TPMTPublic](public))
	h := must[tpm2.TPMHandle](t)(c.Load(parent.Handle, public, private))
	object, duplicate, seed := wrap(t, storage, key)
	blob := must[[]byte](t)(c.Import(h, nil, object, duplicate, seed))
	dp := must[tpm2.TPMHandle](t)(c.Load(h, object, blob))
	if err := c.Flush(h); err != nil { // three slots: make room
		t.Fatal(err)
	}
	context := []byte("context of 24 bytes .....")[:24]
	child := must[tpm2.TPMHandle](t)(c.CreateDerived(dp, nil, testAuth, derivedTemplate(hmacChild(), context)))
	// The TPM's own KDF writes 8,192 bits where others write the length of the key.
	input := append(append(append([]byte{0, 0, 0, 1}, "label"...), 0), context...)
	derived := macOf(key, binary.BigEndian.AppendUint32(input, 8192))
	if mac := must[[]byte](t)(c.HMAC(child, testAuth, []byte("payload"))); !hmac.Equal(mac, macOf(derived, []byte("payload"))) {
		t.Error("another key was derived")
	}
	if err := c.Flush(child); err != nil {
		t.Fatal(err)
	}
	cipher := must[tpm2.TPMHandle](t)(c.CreateDerived(dp, nil, nil, derivedTemplate(aesChild(), context)))
	text := []byte("twenty bytes of text")
	sealed, next, err := c.EncryptDecrypt(cipher, nil, make([]byte, 16), text, false)
	if err != nil || len(next) != 16 {
		t.Fatal(err)
	}
	if back, _, err := c.EncryptDecrypt(cipher, nil, make([]byte, 16), bytes.Clone(sealed), true); err != nil || !bytes.Equal(back, text) {
		t.Errorf("%q, %v", back, err)
	}
	_, _ = c.Flush(cipher), c.Flush(dp)
}

// wrap seals a derivation parent for a storage key, as an identity provider does.
func wrap(t *testing.T, storage *tpm2.TPMTPublic, key []byte) (object, duplicate, seed []byte) {
	t.Helper()
	obfuscate := make([]byte, 32)
	_, _ = rand.Read(obfuscate)
	public := derivation()
	public.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: macOf(obfuscate, key)})
	name := must[*tpm2.TPM2BName](t)(tpm2.ObjectName(&public))
	sensitive := tpm2.Marshal(tpm2.TPMTSensitive{
		SensitiveType: tpm2.TPMAlgKeyedHash, SeedValue: tpm2.TPM2BDigest{Buffer: obfuscate},
		Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BSensitiveData{Buffer: key}),
	})
	to := must[tpm2.LabeledEncapsulationKey](t)(tpm2.ImportEncapsulationKey(storage))
	duplicate, seed, err := tpm2.CreateDuplicate(rand.Reader, to, name.Buffer, sensitive)
	if err != nil {
		t.Fatal(err)
	}
	return tpm2.Marshal(public), duplicate, seed
}
