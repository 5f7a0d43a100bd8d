package keystore

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

const (
	// maxSealedPRT bounds a sealed PRT in bytes; a PRT has at most 16 KiB.
	maxSealedPRT  = 20 << 10
	prtVersion    = 1
	purposeSealed = "sealed PRT"
)

// SealPRT seals a PRT for one owner, under the data key of the registration in force:
// a PRT is good for nothing without a session key of the same registration, so the two
// end together. The data key is unsealed by the TPM once; after that a PRT costs no
// command. The form is: version, name of the key set, nonce, ciphertext.
func (s *Store) SealPRT(ctx context.Context, o Owner, prt secret.Text) ([]byte, error) {
	set, aead, err := s.dataAEAD(ctx, o)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(prt.Reveal())+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	var b cryptobyte.Builder
	b.AddUint8(prtVersion)
	b.AddUint8LengthPrefixed(func(c *cryptobyte.Builder) { c.AddBytes([]byte(set.ID)) })
	b.AddBytes(aead.Seal(nonce, nonce, []byte(prt.Reveal()), prtLabel(set, o)))
	sealed, err := b.Bytes()
	if err == nil && len(sealed) > maxSealedPRT {
		err = prterr.New(prterr.Invalid, "prt: it is too large")
	}
	return sealed, err
}

// OpenPRT opens what SealPRT sealed for the same owner. One of a former registration is
// lost, as its session key is.
func (s *Store) OpenPRT(ctx context.Context, o Owner, sealed []byte) (secret.Text, error) {
	set, aead, err := s.dataAEAD(ctx, o)
	if err != nil {
		return secret.Text{}, err
	}
	rest := cryptobyte.String(sealed)
	var version uint8
	var id cryptobyte.String
	var nonce []byte
	if len(sealed) > maxSealedPRT || !rest.ReadUint8(&version) || version != prtVersion || !rest.ReadUint8LengthPrefixed(&id) ||
		!rest.ReadBytes(&nonce, aead.NonceSize()) {
		return secret.Text{}, errSealedPRT()
	}
	if string(id) != set.ID {
		return secret.Text{}, tpmio.KeysLost("the PRT was sealed by a former registration of this device")
	}
	prt, err := aead.Open(nil, nonce, rest, prtLabel(set, o))
	if err != nil {
		return secret.Text{}, errSealedPRT()
	}
	defer clear(prt)
	return secret.NewText(string(prt)), nil
}

// errSealedPRT is the one answer to a sealed PRT that is not this owner's.
func errSealedPRT() error { return prterr.New(prterr.Denied, "sealed_prt: it is not usable here") }

// prtLabel is what a sealed PRT is bound to, each part led by its length.
func prtLabel(set *keySet, o Owner) []byte {
	var b []byte
	for _, p := range []string{purposeSealed, set.ID, o.Caller, string(o.Tenant), string(o.User), o.Kind} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}
