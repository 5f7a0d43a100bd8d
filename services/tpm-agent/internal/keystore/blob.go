package keystore

import (
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// blob is a key as it rests outside the TPM: the public area, and the private one
// encrypted by the TPM for the storage root key.
type blob struct {
	Public  []byte `json:"public"`
	Private []byte `json:"private"`
}

// area reads the public area.
func (b blob) area() (*tpm2.TPMTPublic, error) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](b.Public)
	if err != nil {
		return nil, fmt.Errorf("public area: %w", err)
	}
	return p, nil
}

// id tells blobs apart: both areas count, or a blob with a changed public area
// would pass for the one that is in the TPM already.
func (b blob) id() [sha256.Size]byte {
	public, private := sha256.Sum256(b.Public), sha256.Sum256(b.Private)
	return sha256.Sum256(append(public[:], private[:]...))
}

// rsaKey is the public key of an RSA blob.
func (b blob) rsaKey() (*rsa.PublicKey, error) {
	p, err := b.area()
	if err != nil {
		return nil, err
	}
	key, err := tpm2.Pub(*p)
	if err != nil {
		return nil, fmt.Errorf("public area: %w", err)
	}
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("public area: not an RSA key")
	}
	return k, nil
}

// hotKey is the one key besides the root that stays in a slot: requests come in
// runs for the same key, and a TPM has three slots.
type hotKey struct {
	id     [sha256.Size]byte
	handle tpm2.TPMHandle
}

// load puts a key into the slot of the hot key, unless it is there.
func (s *Store) load(c *tpmio.Conn, b blob) (tpm2.TPMHandle, error) {
	id := b.id()
	if s.hot.handle != 0 && s.hot.id == id {
		return s.hot.handle, nil
	}
	if s.hot.handle != 0 {
		if err := c.Flush(s.hot.handle); err != nil {
			return 0, err
		}
		s.hot = hotKey{}
	}
	handle, err := c.Load(s.root.handle, b.Public, b.Private)
	if err != nil {
		return 0, err
	}
	s.hot = hotKey{id, handle}
	return handle, nil
}

// evict frees the slot if the key is in it.
func (s *Store) evict(c *tpmio.Conn, b blob) error {
	if s.hot.handle == 0 || s.hot.id != b.id() {
		return nil
	}
	handle := s.hot.handle
	s.hot = hotKey{}
	return c.Flush(handle)
}

// bus is a session in which one parameter is encrypted and that only the TPM with
// this root key can share: what passes is not readable on the bus between the
// agent and a TPM chip.
func (s *Store) bus(encryption tpm2.AuthOption, auth secret.Bytes) tpm2.Session {
	opts := []tpm2.AuthOption{tpm2.Salted(s.root.handle, s.root.public), encryption}
	if !auth.Empty() {
		opts = append(opts, tpm2.Auth(auth.Reveal()))
	}
	return tpm2.HMAC(tpm2.TPMAlgSHA256, sessionNonce, opts...)
}

// toTPM encrypts the command's first parameter, fromTPM the answer's.
func toTPM() tpm2.AuthOption   { return tpm2.AESEncryption(busKeyBits, tpm2.EncryptIn) }
func fromTPM() tpm2.AuthOption { return tpm2.AESEncryption(busKeyBits, tpm2.EncryptOut) }

const (
	sessionNonce = 16  // bytes
	busKeyBits   = 128 // AES
)

// create makes a key under the root. data is nil for a key that the TPM makes.
func (s *Store) create(c *tpmio.Conn, template tpm2.TPMTPublic, auth, data secret.Bytes) (blob, error) {
	sensitive := &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: auth.Reveal()}}
	if !data.Empty() {
		sensitive.Data = tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: data.Reveal()})
	}
	r, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: s.root.handle, Name: s.root.name, Auth: tpm2.PasswordAuth(nil)},
		InSensitive:  tpm2.TPM2BSensitiveCreate{Sensitive: sensitive},
		InPublic:     tpm2.New2B(template),
	}.Execute(c, s.bus(toTPM(), secret.Bytes{}))
	if err != nil {
		return blob{}, err
	}
	public, err := r.OutPublic.Contents()
	if err != nil {
		return blob{}, fmt.Errorf("created key: %w", err)
	}
	return blob{Public: tpm2.Marshal(*public), Private: r.OutPrivate.Buffer}, nil
}

// authorised names a loaded key for a command of go-tpm, with its authorisation
// value in an encrypted session, so that the value is not on the bus either.
func (s *Store) authorised(handle tpm2.TPMHandle, b blob, auth secret.Bytes) (tpm2.AuthHandle, error) {
	public, err := b.area()
	if err != nil {
		return tpm2.AuthHandle{}, err
	}
	name, err := tpm2.ObjectName(public)
	if err != nil {
		return tpm2.AuthHandle{}, fmt.Errorf("name of the key: %w", err)
	}
	return tpm2.AuthHandle{Handle: handle, Name: *name, Auth: s.bus(fromTPM(), auth)}, nil
}
