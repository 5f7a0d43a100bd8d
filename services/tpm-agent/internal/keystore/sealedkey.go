package keystore

import (
	"encoding/json"

	"golang.org/x/crypto/cryptobyte"
)

// form is what kind of object a session key is in the TPM.
type form uint8

// Forms, as they lead a sealed session key.
const (
	// formHMAC is a key under the root that computes HMACs.
	formHMAC form = 1
	// formDerive is a key under the storage key that other keys are derived from.
	formDerive form = 2
)

// sealedKey is what a caller keeps of a session key. It is opened with each request,
// so it is a few lengths and bytes: form, set, public area, private area.
type sealedKey struct {
	form form
	set  string
	key  blob
}

func (k sealedKey) encode() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(uint8(k.form))
	b.AddUint8LengthPrefixed(func(c *cryptobyte.Builder) { c.AddBytes([]byte(k.set)) })
	b.AddUint16LengthPrefixed(func(c *cryptobyte.Builder) { c.AddBytes(k.key.Public) })
	b.AddUint16LengthPrefixed(func(c *cryptobyte.Builder) { c.AddBytes(k.key.Private) })
	return b.Bytes()
}

func decodeSealed(sealed []byte) (k sealedKey, ok bool) {
	if len(sealed) == 0 || len(sealed) > maxSealedKey {
		return k, false
	}
	if sealed[0] == '{' {
		return decodeFirst(sealed)
	}
	s := cryptobyte.String(sealed)
	var set, public, private cryptobyte.String
	if !s.ReadUint8((*uint8)(&k.form)) || !s.ReadUint8LengthPrefixed(&set) || !s.ReadUint16LengthPrefixed(&public) ||
		!s.ReadUint16LengthPrefixed(&private) || !s.Empty() || k.form != formHMAC && k.form != formDerive {
		return k, false
	}
	k.set, k.key = string(set), blob{public, private}
	return k, true
}

// decodeFirst reads the form that the first releases wrote, so that who is signed in
// stays so.
func decodeFirst(sealed []byte) (sealedKey, bool) {
	var first struct {
		Version int    `json:"v"`
		Set     string `json:"set"`
		Key     blob   `json:"key"`
	}
	if json.Unmarshal(sealed, &first) != nil || first.Version != 1 {
		return sealedKey{}, false
	}
	return sealedKey{formHMAC, first.Set, first.Key}, true
}
