package softtpm

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"math/big"
)

const rsaExponent = 65537

// bindRSA rebuilds an RSA key of the modulus and one prime.
func (o *object) bindRSA(foreign bool) rcode {
	half := int(o.pub.keyBits) / 2
	n, p := new(big.Int).SetBytes(o.pub.n), new(big.Int).SetBytes(o.secret)
	if n.BitLen() != 2*half || p.BitLen() != half {
		return rcBinding
	}
	q, rest := new(big.Int).DivMod(n, p, new(big.Int))
	// Odd and of equal size is what the modular arithmetic below relies on.
	if rest.Sign() != 0 || q.BitLen() != half || p.Bit(0) == 0 || q.Bit(0) == 0 {
		return rcBinding
	}
	if foreign && (!p.ProbablyPrime(primeRounds) || !q.ProbablyPrime(primeRounds)) {
		return rcBinding
	}
	key, ok := newRSA(n, p, q)
	if !ok {
		return rcBinding
	}
	o.rsa = key
	return rcSuccess
}

func newRSA(n, p, q *big.Int) (*rsa.PrivateKey, bool) {
	one, e := big.NewInt(1), big.NewInt(rsaExponent)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	d := new(big.Int).ModInverse(e, phi)
	if d == nil {
		return nil, false
	}
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: rsaExponent}, D: d, Primes: []*big.Int{p, q}}
	k.Precompute()
	return k, k.Validate() == nil
}

// bindECC rebuilds an ECC key of its scalar.
func (o *object) bindECC() rcode {
	c, ok := curveOf(o.pub.curveID)
	if !ok || len(o.secret) > c.size {
		return rcBinding
	}
	scalar := make([]byte, c.size)
	copy(scalar[c.size-len(o.secret):], o.secret)
	x, y, ok := c.publicOf(scalar)
	if !ok || !sameNumber(x, o.pub.x) || !sameNumber(y, o.pub.y) {
		return rcBinding
	}
	if o.secret = scalar; c.ecdsa == nil {
		return rcSuccess
	}
	var err error
	if o.ec, err = ecdsa.ParseRawPrivateKey(c.ecdsa, scalar); err != nil {
		return rcBinding
	}
	return rcSuccess
}

// sameNumber compares coordinates, one of which may lack leading zeros.
func sameNumber(a, b []byte) bool {
	return bytes.Equal(bytes.TrimLeft(a, "\x00"), bytes.TrimLeft(b, "\x00"))
}

// ecdh gives the key for Diffie-Hellman.
func (o *object) ecdh() (*ecdh.PrivateKey, rcode) {
	if o.ec == nil {
		return nil, rcKey
	}
	k, err := o.ec.ECDH()
	if err != nil {
		return nil, rcFailure
	}
	return k, rcSuccess
}

// checkPublicKey makes sure that a public key without a private part is one:
// a modulus of full size, a point on the curve.
func (p *publicArea) checkPublicKey() rcode {
	switch p.typ {
	case algRSA:
		if n := new(big.Int).SetBytes(p.n); n.BitLen() != int(p.keyBits) || n.Bit(0) == 0 {
			return rcValue
		}
	case algECC:
		c, _ := curveOf(p.curveID)
		if !c.has(p.x, p.y) {
			return rcECCPoint
		}
	default:
		if len(p.digest) != p.hash().Size() {
			return rcKey
		}
	}
	return rcSuccess
}

// uncompressed splits an encoded point into its coordinates.
func uncompressed(k *ecdh.PublicKey) (x, y []byte) {
	b := bytes.Clone(k.Bytes()[1:])
	return b[:len(b)/2], b[len(b)/2:]
}
