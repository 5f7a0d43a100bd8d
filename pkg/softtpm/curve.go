package softtpm

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"

	"github.com/google/go-tpm/tpm2"
)

// curve is one elliptic curve. BN_P256 is there for ECDAA alone; the standard
// library does not have it, so ecdh and ecdsa are nil.
type curve struct {
	id    uint16
	ecdh  ecdh.Curve
	ecdsa elliptic.Curve
	size  int    // bytes of a coordinate
	hash  uint16 // of the KDF that goes with the curve, 0: none
}

const curveCount = 4

// curveIDs lists the curves in the order of their ids.
func curveIDs() [curveCount]tpm2.TPMECCCurve {
	return [...]tpm2.TPMECCCurve{tpm2.TPMECCNistP256, tpm2.TPMECCNistP384, tpm2.TPMECCNistP521, tpm2.TPMECCBNP256}
}

// curveOf gives the curve of an id; false if this TPM does not have it.
func curveOf(id uint16) (curve, bool) {
	switch tpm2.TPMECCCurve(id) {
	case tpm2.TPMECCNistP256:
		return curve{id, ecdh.P256(), elliptic.P256(), 32, algSHA256}, true
	case tpm2.TPMECCNistP384:
		return curve{id, ecdh.P384(), elliptic.P384(), 48, algSHA384}, true
	case tpm2.TPMECCNistP521:
		return curve{id, ecdh.P521(), elliptic.P521(), 66, algSHA512}, true
	case tpm2.TPMECCBNP256:
		return curve{id: id, size: 32}, true
	}
	return curve{}, false
}

// point makes a public key of two coordinates; leading zeros may be missing.
// It fails for a point that is not on the curve, and for BN_P256.
func (c curve) point(x, y []byte) (*ecdh.PublicKey, bool) {
	if len(x) > c.size || len(y) > c.size || c.ecdh == nil {
		return nil, false
	}
	b := make([]byte, 1+2*c.size)
	b[0] = 4
	copy(b[1+c.size-len(x):], x)
	copy(b[1+2*c.size-len(y):], y)
	p, err := c.ecdh.NewPublicKey(b)
	return p, err == nil
}

// has tells whether a point is on the curve.
func (c curve) has(x, y []byte) bool {
	if c.ecdh != nil {
		_, ok := c.point(x, y)
		return ok
	}
	return len(x) <= c.size && len(y) <= c.size && c.equation().has(readPoint(x, y))
}

// publicOf gives the coordinates of the public key of a scalar of full length;
// false for a scalar out of range.
func (c curve) publicOf(scalar []byte) (x, y []byte, ok bool) {
	if c.ecdh != nil {
		key, err := c.ecdh.NewPrivateKey(scalar)
		if err != nil {
			return nil, nil, false
		}
		x, y = uncompressed(key.PublicKey())
		return x, y, true
	}
	e := c.equation()
	k := new(big.Int).SetBytes(scalar)
	if k.Sign() == 0 || k.Cmp(e.n) >= 0 {
		return nil, nil, false
	}
	x, y = e.bytes(e.multiply(e.base(), k))
	return x, y, true
}

// putPoint appends a TPM2B_ECC_POINT.
func (c *call) putPoint(x, y []byte) { c.put2B(append2B(append2B(nil, x), y)) }

// ecdhKeyGen is TPM2_ECDH_KeyGen (Part 3, 14.4): a one-time key and the point
// that it shares with the key at handle 1.
func ecdhKeyGen(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if o.pub.typ != algECC {
		return rcKey.handle(1)
	}
	cv, _ := curveOf(o.pub.curveID)
	peer, ok := cv.point(o.pub.x, o.pub.y)
	if !ok {
		return rcCurve.handle(1)
	}
	once, err := cv.ecdh.GenerateKey(rand.Reader)
	if err != nil {
		return rcFailure
	}
	zx, zy := cv.equation().shared(once.Bytes(), peer)
	c.putPoint(zx, zy)
	x, y := uncompressed(once.PublicKey())
	c.putPoint(x, y)
	return rcSuccess
}

// ecdhZGen is TPM2_ECDH_ZGen (Part 3, 14.5): the point that the key at handle 1
// shares with a point of the caller.
func ecdhZGen(c *call) rcode {
	x, y := c.in.point()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	switch p := o.pub; {
	case p.typ != algECC:
		return rcKey.handle(1)
	case p.has(attrRestricted), !p.has(attrDecryptKey):
		return rcAttributes.handle(1)
	case p.scheme != algECDH && p.scheme != algNull:
		return rcScheme.handle(1)
	}
	cv, _ := curveOf(o.pub.curveID)
	peer, ok := cv.point(x, y)
	if !ok {
		return rcECCPoint.param(1)
	}
	zx, zy := cv.equation().shared(o.secret, peer)
	c.putPoint(zx, zy)
	return rcSuccess
}

// eccParameters is TPM2_ECC_Parameters (Part 3, 14.6).
func eccParameters(c *call) rcode {
	id := c.in.u16()
	cv, ok := curveOf(id)
	if !ok {
		c.in.fail(rcCurve)
	}
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	e := cv.equation()
	c.out = be.AppendUint16(c.out, id)
	c.out = be.AppendUint16(c.out, uint16(e.p.BitLen()))
	if cv.hash != 0 {
		c.out = be.AppendUint16(be.AppendUint16(c.out, algKDF56A), cv.hash)
	} else {
		c.out = be.AppendUint16(c.out, algNull)
	}
	c.out = be.AppendUint16(c.out, algNull) // no signing scheme of its own
	for _, n := range []*big.Int{e.p, e.a, e.b, e.gx, e.gy, e.n} {
		c.put2B(n.FillBytes(make([]byte, e.size)))
	}
	c.put2B([]byte{1}) // cofactor
	return rcSuccess
}
