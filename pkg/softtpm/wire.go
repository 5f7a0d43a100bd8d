package softtpm

import "encoding/binary"

var be = binary.BigEndian

// reader walks over bytes from outside. A read past the end sets bad and gives
// zero values, so that a parser can read straight on and check once.
type reader struct {
	b   []byte
	bad bool
}

// take gives the next n bytes without copying, or nil.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return be.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return be.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return be.Uint64(b)
	}
	return 0
}

// sized reads a TPM2B: a 16-bit length and that many bytes.
func (r *reader) sized() []byte { return r.take(int(r.u16())) }

// limited reads a TPM2B of at most limit bytes.
func (r *reader) limited(limit int) ([]byte, rcode) {
	n := int(r.u16())
	if !r.bad && n > limit {
		return nil, rcSize
	}
	b := r.take(n)
	if r.bad {
		return nil, rcInsufficient
	}
	return b, rcSuccess
}

// end checks that everything was read and nothing is left.
func (r *reader) end() rcode {
	switch {
	case r.bad:
		return rcInsufficient
	case len(r.b) > 0:
		return rcSize
	}
	return rcSuccess
}

// append2B appends a TPM2B. Every caller's data is bounded by maxCommand, so
// the length fits.
func append2B(b, data []byte) []byte {
	return append(be.AppendUint16(b, uint16(len(data))), data...)
}

// trim drops trailing zeros of an authValue (Part 1, 19.6.4.3).
func trim(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}
