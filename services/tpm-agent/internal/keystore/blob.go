package keystore

import (
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// blob is a key as it rests outside the TPM: the public area, and the private one
// encrypted by the TPM for the key's parent.
type blob struct {
	Public  []byte `json:"public"`
	Private []byte `json:"private"`
}

func (b blob) empty() bool { return len(b.Public) == 0 }

// area reads the public area.
func (b blob) area() (*tpm2.TPMTPublic, error) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](b.Public)
	if err != nil {
		return nil, fmt.Errorf("public area: %w", err)
	}
	return p, nil
}

// name is the TPM's name of the key: hash algorithm and digest of the public area.
// All keys here are named with SHA-256.
func (b blob) name() ([]byte, error) {
	p, err := b.area()
	if err != nil {
		return nil, err
	}
	n, err := tpm2.ObjectName(p)
	if err != nil {
		return nil, fmt.Errorf("name of the key: %w", err)
	}
	return n.Buffer, nil
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
