package keystore

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
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
// command.
func (s *Store) SealPRT(ctx context.Context, o Owner, prt secret.Text) ([]byte, error) {
	set, aead, err := s.dataAEAD(ctx, o)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(prt.Reveal())+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	sealed := append([]byte{prtVersion}, aead.Seal(nonce, nonce, []byte(prt.Reveal()), prtLabel(set, o))...)
	if len(sealed) > maxSealedPRT {
		return nil, prterr.New(prterr.Invalid, "prt: it is too large")
	}
	return sealed, nil
}

// OpenPRT opens what SealPRT sealed for the same owner.
func (s *Store) OpenPRT(ctx context.Context, o Owner, sealed []byte) (secret.Text, error) {
	set, aead, err := s.dataAEAD(ctx, o)
	if err != nil {
		return secret.Text{}, err
	}
	n := 1 + aead.NonceSize()
	if len(sealed) < n || len(sealed) > maxSealedPRT || sealed[0] != prtVersion {
		return secret.Text{}, errSealedPRT()
	}
	prt, err := aead.Open(nil, sealed[1:n], sealed[n:], prtLabel(set, o))
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
