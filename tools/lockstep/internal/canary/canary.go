// Package canary looks for keys where no key may be: in the memory of running
// processes, in their core dumps, in logs, in traces and on disk.
//
// What lives here: the forms in which a key of the protocol can lie in memory, and
// the search for them. What never may: a way to learn the keys; who calls gives
// them. Only the tests of this folder call it.
package canary

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// part is the length of the shortest piece of a key that is searched for, in bytes:
// a register or a copy under way can hold one half of a key without the other.
const part = 16

// Key is a secret of 32 bytes that is searched for.
type Key struct {
	// Name says which, such as "session key 7".
	Name  string
	Bytes []byte
}

// form is a spelling of a key. Whoever has one has the key, or can sign with it.
type form struct {
	name string
	// pieces are searched for one by one.
	pieces [][]byte
}

// forms are the spellings of a key: its bytes (an AES key schedule begins with
// them), what HMAC-SHA256 makes of it, and text.
func forms(key []byte) ([]form, error) {
	if len(key) != 2*part {
		return nil, fmt.Errorf("a key of %d bytes, not %d", len(key), 2*part)
	}
	halves := func(b []byte) [][]byte { return [][]byte{b[:part], b[part:]} }
	all := []form{{"bytes", halves(key)}}
	var pads [][]byte
	var states [][]byte
	for _, pad := range []byte{0x36, 0x5c} { // RFC 2104
		block := make([]byte, sha256.BlockSize)
		for i := range block {
			block[i] = pad
			if i < len(key) {
				block[i] ^= key[i]
			}
		}
		pads = append(pads, halves(block[:len(key)])...)
		state, err := after(block)
		if err != nil {
			return nil, err
		}
		words := make([]byte, len(state))
		for i := 0; i < len(state); i += 4 {
			binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(state[i:]))
		}
		states = append(states, state[:part], words[:part])
	}
	all = append(all, form{"HMAC pad", pads}, form{"HMAC state", states})
	text := hex.EncodeToString(key)
	spelled := [][]byte{[]byte(text[:2*part]), []byte(strings.ToUpper(text)[:2*part])}
	for shift := range 3 { // where the key begins in a group of three bytes
		padded := append(make([]byte, shift), key...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			s := enc.EncodeToString(padded)
			spelled = append(spelled, []byte(s[4:len(s)-4]))
		}
	}
	return append(all, form{"text", spelled}), nil
}

// after is the state of SHA-256 after one block, as 8 big-endian words.
func after(block []byte) ([]byte, error) {
	h := sha256.New()
	h.Write(block)
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, errors.New("the state of SHA-256 is not to be had")
	}
	raw, err := m.MarshalBinary()
	const magic = 4
	if err != nil || len(raw) < magic+sha256.Size {
		return nil, fmt.Errorf("state of SHA-256: %d bytes, %w", len(raw), err)
	}
	return raw[magic : magic+sha256.Size], nil
}
