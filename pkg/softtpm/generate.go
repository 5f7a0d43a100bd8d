package softtpm

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"hash"
	"io"
	"math/big"
)

const primeRounds = 20 // Miller-Rabin rounds on top of the Lucas test

// source says where the randomness of a new key comes from.
type source struct {
	io.Reader
	// fixed marks a deterministic stream: the same template gives the same
	// key, for primary and derived objects.
	fixed bool
}

func fresh() source { return source{Reader: rand.Reader} }

// read fills n bytes. No source here ever fails.
func (s source) read(n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(s, b)
	return b
}

// generate makes the private part and the unique field of a new object. data
// is the caller's secret, empty if it is made here.
func (o *object) generate(src source, data []byte) rcode {
	var unique [][]byte
	switch o.pub.typ {
	case algRSA:
		n, rc := o.generateRSA(src)
		if rc != rcSuccess {
			return rc
		}
		unique = [][]byte{n}
	case algECC:
		x, y, rc := o.generateECC(src)
		if rc != rcSuccess {
			return rc
		}
		unique = [][]byte{x, y}
	default:
		o.secret = data
		if len(data) == 0 {
			o.secret = src.read(o.secretSize())
		}
		if rc := o.checkSecretSize(); rc != rcSuccess {
			return rc
		}
	}
	if o.pub.isParent() || o.pub.symmetric() {
		o.seed = src.read(o.pub.hash().Size())
	}
	if o.pub.symmetric() {
		unique = [][]byte{o.bindSecret()}
	}
	p, rc := o.pub.withUnique(unique...)
	if rc != rcSuccess {
		return rc
	}
	o.pub, o.name = p, p.name()
	return o.bindKey(false)
}

// secretSize is the size in bytes of a secret made here.
func (o *object) secretSize() int {
	if o.pub.typ == algSymCipher {
		return int(o.pub.symBits) / 8
	}
	if h, ok := hashOf(o.pub.schemeHash); ok {
		return h.Size()
	}
	return o.pub.hash().Size()
}

func (o *object) generateRSA(src source) (modulus []byte, rc rcode) {
	bits := int(o.pub.keyBits)
	var p, q *big.Int
	if src.fixed {
		// crypto/rsa takes no randomness from a caller, so the primes of a
		// deterministic key are searched here.
		p, q = findPrime(src, bits/2), findPrime(src, bits/2)
	} else {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			return nil, rcFailure
		}
		p, q = k.Primes[0], k.Primes[1]
	}
	o.secret = p.FillBytes(make([]byte, bits/16))
	return new(big.Int).Mul(p, q).FillBytes(make([]byte, bits/8)), rcSuccess
}

// findPrime searches a prime with the two top bits set, so that the product of
// two has full length, and p-1 coprime to the exponent.
func findPrime(src source, bits int) *big.Int {
	one, e := big.NewInt(1), big.NewInt(rsaExponent)
	for {
		b := src.read(bits / 8)
		b[0] |= 0xc0
		b[len(b)-1] |= 1
		p := new(big.Int).SetBytes(b)
		if new(big.Int).Mod(new(big.Int).Sub(p, one), e).Sign() != 0 && p.ProbablyPrime(primeRounds) {
			return p
		}
	}
}

// generateECC takes 64 bits more than the order has, so that the scalar is
// uniform (FIPS 186-5, A.2.1).
func (o *object) generateECC(src source) (x, y []byte, rc rcode) {
	c, _ := curveOf(o.pub.curveID)
	one := big.NewInt(1)
	order := new(big.Int).Sub(c.equation().n, one)
	k := new(big.Int).SetBytes(src.read(c.size + 8))
	k.Add(k.Mod(k, order), one)
	o.secret = k.FillBytes(make([]byte, c.size))
	x, y, ok := c.publicOf(o.secret)
	if !ok {
		return nil, nil, rcFailure
	}
	return x, y, rcSuccess
}

// counterStream is SHA-256(counter || key): the stream behind primary keys.
// A KDF with a fixed output length cannot feed a search for primes.
type counterStream struct {
	key [sha256.Size]byte
	n   uint32
	buf []byte
}

func (s *counterStream) Read(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if len(s.buf) == 0 {
			s.n++
			h := sha256.Sum256(append(be.AppendUint32(nil, s.n), s.key[:]...))
			s.buf = h[:]
		}
		k := copy(p[i:], s.buf)
		s.buf, i = s.buf[k:], i+k
	}
	return len(p), nil
}

// derivedBits is the L of the KDF behind derived objects: a TPM writes its
// maximum, not the length that the object needs (Part 1, 28.4).
const derivedBits = 8192

// derivedStream is SP 800-108 in counter mode with HMAC: the stream behind
// objects of a derivation parent.
type derivedStream struct {
	mac   hash.Hash
	fixed []byte
	n     uint32
	buf   []byte
}

func newDerivedStream(parent *object, d derivation) *derivedStream {
	h, ok := hashOf(parent.pub.schemeHash)
	if !ok {
		h = parent.pub.hash()
	}
	fixed := append([]byte{}, d.label...)
	fixed = append(append(fixed, 0), d.context...)
	return &derivedStream{mac: hmac.New(h.New, parent.secret), fixed: be.AppendUint32(fixed, derivedBits)}
}

func (s *derivedStream) Read(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if len(s.buf) == 0 {
			s.n++
			s.mac.Reset()
			s.mac.Write(be.AppendUint32(nil, s.n))
			s.mac.Write(s.fixed)
			s.buf = s.mac.Sum(nil)
		}
		k := copy(p[i:], s.buf)
		s.buf, i = s.buf[k:], i+k
	}
	return len(p), nil
}
