package keystore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// A native session key comes wrapped for the storage key and is imported by the
// TPM itself; the keys for each message are derived, and used, in the TPM too. So
// neither is ever in the memory of the agent. The server decides the attributes of
// the key, because its name is in the integrity check of the import; what is
// checked here is that they are the ones that make a parent for derivation.

// blockSize is that of AES, in bytes.
const blockSize = 16

// importNative has the TPM import the key and gives it the owner's authorisation
// value in place of the empty one it came with.
func (s *Store) importNative(ctx context.Context, p *chip, set *keySet, u use, auth secret.Bytes, wrapped string) (key blob, err error) {
	k, err := entrawire.ParseNativeSessionKey(wrapped)
	if err != nil || !isDerivationParent(k.Public) {
		return blob{}, errSessionKey()
	}
	authStore := s.auth(set, purposeStore)
	defer authStore.Wipe()
	err = p.run(ctx, u, func(c *tpmio.Conn) error {
		if err := p.same(set); err != nil {
			return err
		}
		p.cool(c)
		parent, done, err := p.beside(c, set.Storage)
		if err != nil {
			return err
		}
		defer done()
		key = blob{Public: k.Public}
		if key.Private, err = c.Import(parent, authStore.Reveal(), k.Public, k.Duplicate, k.Seed); err != nil {
			return importErr(err)
		}
		key.Private, err = reauthorise(c, set, parent, authStore, key, auth)
		return err
	})
	return key, err
}

// importErr is one name for everything that a TPM finds wrong with what it shall
// import.
func importErr(err error) error {
	if badBlob(err) {
		return errSessionKey()
	}
	return err
}

// reauthorise loads an imported key and gives it an authorisation value; the
// result is its new private area.
func reauthorise(c *tpmio.Conn, set *keySet, parent tpm2.TPMHandle, authStore secret.Bytes, key blob, auth secret.Bytes) ([]byte, error) {
	handle, err := c.LoadUnder(parent, authStore.Reveal(), key.Public, key.Private)
	if err != nil {
		return nil, importErr(err)
	}
	defer func() { _ = c.Flush(handle) }()
	name, err := key.name()
	if err != nil {
		return nil, errSessionKey()
	}
	parentName, err := set.Storage.name()
	if err != nil {
		return nil, err
	}
	r, err := tpm2.ObjectChangeAuth{
		ObjectHandle: tpm2.AuthHandle{Handle: handle, Name: tpm2.TPM2BName{Buffer: name}, Auth: c.Session(nil, tpmio.ToTPM)},
		ParentHandle: tpm2.NamedHandle{Handle: parent, Name: tpm2.TPM2BName{Buffer: parentName}},
		NewAuth:      tpm2.TPM2BAuth{Buffer: auth.Reveal()},
	}.Execute(c)
	if err != nil {
		return nil, err
	}
	return r.OutPrivate.Buffer, nil
}

// isDerivationParent holds that a public area is what it must be: a key that does
// nothing but derive (tpm.md section 4). A server that sent another kind could have
// the agent use it for something else.
func isDerivationParent(public []byte) bool {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](public)
	if err != nil || p.Type != tpm2.TPMAlgKeyedHash {
		return false
	}
	want := derivationTemplate()
	got := *p
	got.Unique = want.Unique
	return bytes.Equal(tpm2.Marshal(got), tpm2.Marshal(want))
}

// child derives a key for one message and leaves it in a slot of its own. With the
// root and the session key all three slots of a TPM are taken.
func (k *Session) child(c *tpmio.Conn, template []byte) (tpm2.TPMHandle, error) {
	if err := k.chip.same(k.set); err != nil {
		return 0, err
	}
	handle, err := k.loadNative(c)
	if err != nil {
		return 0, err
	}
	auth := k.store.authSession(k.set, k.owner)
	defer auth.Wipe()
	child, err := c.CreateDerived(handle, auth.Reveal(), nil, template)
	return child, sealedErr(err)
}

// loadNative puts the session key into the slot of the hot key; its parent is in a
// slot only meanwhile.
func (k *Session) loadNative(c *tpmio.Conn) (tpm2.TPMHandle, error) {
	if h, ok := k.chip.warm(k.key); ok {
		return h, nil
	}
	k.chip.cool(c)
	parent, done, err := k.chip.beside(c, k.set.Storage)
	if err != nil {
		return 0, err
	}
	defer done()
	auth := k.store.auth(k.set, purposeStore)
	defer auth.Wipe()
	handle, err := c.LoadUnder(parent, auth.Reveal(), k.key.Public, k.key.Private)
	if err != nil {
		return 0, sealedErr(err)
	}
	k.chip.hot = hotKey{k.key.id(), handle}
	return handle, nil
}

// MAC is HMAC-SHA256 of a message under the key derived for a context, all of it in
// the TPM.
func (k *Session) MAC(ctx context.Context, kdfContext []byte, message string) (mac []byte, err error) {
	if !k.Native() {
		return nil, errors.New("this session key is not a native one")
	}
	err = k.chip.run(ctx, k.use("use the session key"), func(c *tpmio.Conn) error {
		child, err := k.child(c, derive(k.store.templates.mac, kdfContext))
		if err != nil {
			return err
		}
		defer func() { _ = c.Flush(child) }()
		if len(message) > tpmio.MaxBuffer {
			k.chip.cool(c) // the sequence needs a slot
		}
		mac, err = c.HMACLong(child, nil, []byte(message))
		return err
	})
	return mac, err
}

// Blocks has the TPM encrypt the counter blocks that an answer needs; with them the
// answer can be opened, and nothing else (tpm.md section 4, D8).
func (k *Session) Blocks(ctx context.Context, a *entrawire.NativeAnswer) (blocks *entrawire.Blocks, err error) {
	if !k.Native() {
		return nil, errors.New("this session key is not a native one")
	}
	err = k.chip.run(ctx, k.use("open an answer"), func(c *tpmio.Conn) error {
		child, err := k.child(c, derive(k.store.templates.cipher, a.Ctx))
		if err != nil {
			return err
		}
		defer func() { _ = c.Flush(child) }()
		zero, _, err := c.EncryptDecrypt(child, nil, make([]byte, blockSize), make([]byte, blockSize), false)
		if err != nil {
			return err
		}
		first, n := a.Counters()
		iv, stream := first[:], make([]byte, 0, n*blockSize)
		for left := n * blockSize; left > 0; {
			size := min(left, tpmio.MaxBuffer)
			var part []byte
			if part, iv, err = c.EncryptDecrypt(child, nil, iv, make([]byte, size), false); err != nil {
				return err
			}
			stream = append(stream, part...)
			left -= size
		}
		blocks, err = a.Blocks(zero, stream)
		return err
	})
	return blocks, err
}

// takesNative tells whether a set can hold session keys that come wrapped for it.
func (s *Store) takesNative(ctx context.Context, id string) error {
	set, p, err := s.pending(id)
	if err != nil {
		return err
	}
	if !set.Storage.empty() {
		if native, err := p.takesNative(ctx); err != nil {
			return err
		} else if native {
			return nil
		}
	}
	return prterr.New(prterr.Conflict, "native_session_keys: this TPM cannot hold session keys that are wrapped for it")
}

// takesNative asks the TPM for the commands that native session keys need, and
// tries them once: a TPM may list a command and not do it with such keys.
func (p *chip) takesNative(ctx context.Context) (bool, error) {
	if !p.offersNative {
		return false, nil
	}
	err := p.run(ctx, use{what: "ask the TPM what it can do"}, func(c *tpmio.Conn) error {
		if p.probed {
			return nil
		}
		native, err := hasCommands(c, tpm2.TPMCCImport, tpm2.TPMCCCreateLoaded, tpm2.TPMCCEncryptDecrypt2)
		if native {
			err = p.tryNative(c)
			var rc tpm2.TPMRC
			if errors.As(err, &rc) && badBlob(err) {
				native, err = false, nil
			}
		}
		if err == nil {
			p.native, p.probed = native, true
		}
		return err
	})
	return p.native, err
}

// tryNative derives a cipher key from a parent that is made for it and encrypts a
// block with it.
func (p *chip) tryNative(c *tpmio.Conn) error {
	key := secret.NewBytes(make([]byte, kdf.KeySize))
	_, _ = rand.Read(key.Reveal())
	defer key.Wipe()
	b, err := p.create(c, derivationTemplate(), secret.Bytes{}, key)
	if err != nil {
		return err
	}
	p.cool(c)
	parent, done, err := p.beside(c, b)
	if err != nil {
		return err
	}
	defer done()
	child, err := c.CreateDerived(parent, nil, nil, derive(newDerivedTemplates().cipher, make([]byte, kdf.KeySize)))
	if err != nil {
		return err
	}
	defer func() { _ = c.Flush(child) }()
	_, _, err = c.EncryptDecrypt(child, nil, make([]byte, blockSize), make([]byte, blockSize), false)
	return err
}

func hasCommands(c *tpmio.Conn, codes ...tpm2.TPMCC) (bool, error) {
	for _, code := range codes {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapCommands, Property: uint32(code), PropertyCount: 1}.Execute(c)
		if err != nil {
			return false, err
		}
		list, err := r.CapabilityData.Data.Command()
		if err != nil {
			return false, err
		}
		if len(list.CommandAttributes) == 0 || uint32(list.CommandAttributes[0].CommandIndex) != uint32(code)&0xffff {
			return false, nil
		}
	}
	return true, nil
}
