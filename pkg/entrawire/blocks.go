package entrawire

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"errors"
)

// ErrBlock says that a block of AES is not among those that were computed before.
var ErrBlock = errors.New("a block of AES was not computed before")

// Counters says which blocks of AES it takes to open the answer: beside the block of
// zeros, which gives the hash key, n blocks of which the first is first and each
// next one counts its last four bytes up by one (SP 800-38D 6.5, 7.2). A TPM gives
// them as what its counter mode makes of 16*n zero bytes with first as the IV.
func (a *NativeAnswer) Counters() (first [aes.BlockSize]byte, n int) {
	copy(first[:], a.IV)
	first[aes.BlockSize-1] = 1
	return first, 1 + (len(a.Ciphertext)+aes.BlockSize-1)/aes.BlockSize
}

// Blocks is AES for the one answer whose blocks were computed before, where the key
// is. It is a cipher.Block that encrypts those blocks and no others: another one
// comes out as zeros, and Err says so. Whoever uses a Blocks asks Err before
// believing anything; NativeAnswer.Open does. It is not safe for concurrent use.
type Blocks struct {
	first  [aes.BlockSize]byte
	zero   []byte // what the block of zeros becomes
	stream []byte // what the counter blocks become
	err    error
}

// Blocks takes what AES made of the block of zeros, 16 bytes, and of the counter
// blocks in their order, 16 bytes each; it keeps both until Wipe. Errors: ErrBlock
// for another number of bytes.
func (a *NativeAnswer) Blocks(zero, stream []byte) (*Blocks, error) {
	first, n := a.Counters()
	if len(zero) != aes.BlockSize || len(stream) != n*aes.BlockSize {
		return nil, ErrBlock
	}
	return &Blocks{first: first, zero: zero, stream: stream}, nil
}

// BlockSize is 16 bytes.
func (*Blocks) BlockSize() int { return aes.BlockSize }

// Encrypt looks src up.
func (b *Blocks) Encrypt(dst, src []byte) {
	out := b.find(src[:aes.BlockSize])
	if out == nil {
		b.err = ErrBlock
		clear(dst[:aes.BlockSize])
		return
	}
	copy(dst, out)
}

func (b *Blocks) find(src []byte) []byte {
	const prefix = aes.BlockSize - 4
	if bytes.Equal(src, make([]byte, aes.BlockSize)) {
		return b.zero
	}
	if !bytes.Equal(src[:prefix], b.first[:prefix]) {
		return nil
	}
	// Counters start at 1; 0 wraps around to the last and is out of range.
	i := uint64(binary.BigEndian.Uint32(src[prefix:]) - binary.BigEndian.Uint32(b.first[prefix:]))
	if (i+1)*aes.BlockSize > uint64(len(b.stream)) {
		return nil
	}
	return b.stream[i*aes.BlockSize : (i+1)*aes.BlockSize]
}

// Decrypt is what counter mode never does: it fails, as Encrypt of an unknown block.
func (b *Blocks) Decrypt(dst, _ []byte) {
	b.err = ErrBlock
	clear(dst[:aes.BlockSize])
}

// Err is ErrBlock as soon as a block was asked for that is not there.
func (b *Blocks) Err() error { return b.err }

// Wipe overwrites the blocks, with which the answer could be read.
func (b *Blocks) Wipe() { clear(b.zero); clear(b.stream); b.err = ErrBlock }
