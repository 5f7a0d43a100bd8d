package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// ShortOverhead is how many bytes SealShort adds: key id, iv, tag.
const ShortOverhead = keyIDSize + ivSize + 16

// SealShort seals what has no form of its own, such as a nonce, under a key that is
// derived from the newest: there are many of those, and what one key may seal with
// random vectors is bounded (NIST SP 800-38D section 8.3).
func (r *Ring) SealShort(plain []byte) []byte {
	k := r.now.Load()
	out := make([]byte, keyIDSize+ivSize, len(plain)+ShortOverhead)
	binary.BigEndian.PutUint32(out, k.newest)
	_, _ = rand.Read(out[keyIDSize:]) // never fails: crypto/rand ends the process instead
	return k.shorts[k.newest].Seal(out, out[keyIDSize:], plain, out[:keyIDSize:keyIDSize])
}

// OpenShort reads what SealShort sealed. Every failure is ErrArtefact.
func (r *Ring) OpenShort(text []byte) ([]byte, error) {
	if len(text) < ShortOverhead {
		return nil, ErrArtefact
	}
	id := binary.BigEndian.Uint32(text)
	k := r.under(id)
	if k == nil {
		return nil, ErrArtefact
	}
	plain, err := k.shorts[id].Open(nil, text[keyIDSize:keyIDSize+ivSize], text[keyIDSize+ivSize:], text[:keyIDSize])
	if err != nil {
		return nil, ErrArtefact
	}
	return plain, nil
}

// shortKey is HMAC-SHA-256 under a sealing key, of a label that nothing else has.
func shortKey(k secret.Bytes) []byte {
	mac := hmac.New(sha256.New, k.Reveal())
	_, _ = mac.Write([]byte("lockstep short seal 1"))
	return mac.Sum(nil)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
