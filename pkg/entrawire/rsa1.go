package entrawire

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"math/big"
)

const (
	rsaBits        = 2048
	rsaExponent    = 65537
	rsaModulusSize = rsaBits / 8
	// RSA1Size is the size of an RSA1 blob of an RSA-2048 key, in bytes.
	RSA1Size = len(rsa1Prefix) + rsaModulusSize
)

// rsa1Prefix is everything before the modulus (BCRYPT_RSAKEY_BLOB): the magic,
// then as four bytes little-endian each 2048 bits, an exponent of 3 bytes, a
// modulus of 256 bytes and no primes, then the exponent 65537.
const rsa1Prefix = "RSA1" + "\x00\x08\x00\x00" + "\x03\x00\x00\x00" + "\x00\x01\x00\x00" +
	"\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x01\x00\x01"

// ErrRSAKey says that a public key is not of the one kind the protocol has.
var ErrRSAKey = errors.New("key is not RSA with 2048 bits and exponent 65537")

// ErrRSA1 says that a blob is not an RSA1 public key of that kind.
var ErrRSA1 = errors.New("not an RSA1 public key blob of 283 bytes for RSA-2048 with exponent 65537")

// MarshalRSA1 writes a public key as device registration takes a transport key.
func MarshalRSA1(pub *rsa.PublicKey) ([]byte, error) {
	if err := checkRSA2048(pub); err != nil {
		return nil, err
	}
	return append([]byte(rsa1Prefix), pub.N.FillBytes(make([]byte, rsaModulusSize))...), nil
}

// ParseRSA1 reads such a blob: one form, one size, no private parts.
func ParseRSA1(b []byte) (*rsa.PublicKey, error) {
	if len(b) != RSA1Size || !bytes.HasPrefix(b, []byte(rsa1Prefix)) {
		return nil, ErrRSA1
	}
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(b[len(rsa1Prefix):]), E: rsaExponent}
	if checkRSA2048(pub) != nil {
		return nil, ErrRSA1
	}
	return pub, nil
}

// checkRSA2048 also refuses an even modulus, which is no product of two primes.
func checkRSA2048(pub *rsa.PublicKey) error {
	if pub == nil || pub.N == nil || pub.N.BitLen() != rsaBits || pub.N.Bit(0) == 0 || pub.E != rsaExponent {
		return ErrRSAKey
	}
	return nil
}
