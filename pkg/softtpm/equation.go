package softtpm

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"math/big"
)

// equation is a curve y² = x³ + ax + b over the integers modulo p, for what
// crypto/ecdh does not do: BN_P256, and multiples of any point with both
// coordinates. The arithmetic here is math/big and not constant time. It is used
// for BN_P256, whose keys sign by ECDAA and do nothing else; multiples on the
// NIST curves are the standard library's, which are constant time.
type equation struct {
	p, a, b, n, gx, gy *big.Int
	size               int // bytes of a coordinate
	nist               elliptic.Curve
}

// equation gives the parameters of a curve. Those of BN_P256 are from Part 4's
// list of curves (ISO/IEC 15946-5).
func (c curve) equation() *equation {
	if c.ecdsa != nil {
		k := c.ecdsa.Params()
		return &equation{p: k.P, a: new(big.Int).Sub(k.P, big.NewInt(3)), b: k.B, n: k.N, gx: k.Gx, gy: k.Gy, size: c.size, nist: c.ecdsa}
	}
	hex := func(s string) *big.Int { n, _ := new(big.Int).SetString(s, 16); return n }
	return &equation{
		p: hex("fffffffffffcf0cd46e5f25eee71a49f0cdc65fb12980a82d3292ddbaed33013"),
		n: hex("fffffffffffcf0cd46e5f25eee71a49e0cdc65fb1299921af62d536cd10b500d"),
		a: new(big.Int), b: big.NewInt(3), gx: big.NewInt(1), gy: big.NewInt(2), size: c.size,
	}
}

// point is a point in affine coordinates; x nil is infinity.
type point struct{ x, y *big.Int }

func readPoint(x, y []byte) point {
	return point{new(big.Int).SetBytes(x), new(big.Int).SetBytes(y)}
}

func (e *equation) base() point { return point{e.gx, e.gy} }

// bytes gives the coordinates at full length.
func (e *equation) bytes(q point) (x, y []byte) {
	if q.x == nil {
		return nil, nil
	}
	return q.x.FillBytes(make([]byte, e.size)), q.y.FillBytes(make([]byte, e.size))
}

func (e *equation) mod(n *big.Int) *big.Int { return n.Mod(n, e.p) }

func (e *equation) has(q point) bool {
	if q.x == nil || q.x.Cmp(e.p) >= 0 || q.y.Cmp(e.p) >= 0 {
		return false
	}
	right := new(big.Int).Mul(q.x, q.x)
	right.Add(right, e.a).Mul(right, q.x).Add(right, e.b)
	left := new(big.Int).Mul(q.y, q.y)
	return e.mod(left).Cmp(e.mod(right)) == 0
}

// add adds two points by the chord or the tangent.
func (e *equation) add(q, r point) point {
	if q.x == nil {
		return r
	}
	if r.x == nil {
		return q
	}
	top, bottom := new(big.Int), new(big.Int)
	if q.x.Cmp(r.x) == 0 {
		if e.mod(top.Add(q.y, r.y)).Sign() == 0 {
			return point{}
		}
		top.Mul(q.x, q.x)
		top.Mul(top, big.NewInt(3)).Add(top, e.a)
		bottom.Lsh(q.y, 1)
	} else {
		top.Sub(r.y, q.y)
		bottom.Sub(r.x, q.x)
	}
	slope := e.mod(top.Mul(top, bottom.ModInverse(e.mod(bottom), e.p)))
	x := new(big.Int).Mul(slope, slope)
	e.mod(x.Sub(x, q.x).Sub(x, r.x))
	y := new(big.Int).Sub(q.x, x)
	e.mod(y.Mul(y, slope).Sub(y, q.y))
	return point{x, y}
}

// multiply gives k times q, a point on the curve; k is below the order.
func (e *equation) multiply(q point, k *big.Int) (out point) {
	if e.nist != nil {
		//nolint:staticcheck // crypto/ecdh gives no y
		x, y := e.nist.ScalarMult(q.x, q.y, k.FillBytes(make([]byte, e.size)))
		if x.Sign() == 0 && y.Sign() == 0 {
			return point{}
		}
		return point{x, y}
	}
	for i := k.BitLen() - 1; i >= 0; i-- {
		if out = e.add(out, out); k.Bit(i) == 1 {
			out = e.add(out, q)
		}
	}
	return out
}

// shared gives both coordinates of the point that a scalar shares with a peer.
func (e *equation) shared(scalar []byte, peer *ecdh.PublicKey) (x, y []byte) {
	px, py := uncompressed(peer)
	return e.bytes(e.multiply(readPoint(px, py), new(big.Int).SetBytes(scalar)))
}
