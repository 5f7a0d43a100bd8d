package softtpm

import "crypto/sha256"

const (
	pcrCount      = 24
	pcrSelectSize = pcrCount / 8
)

// pcrBank holds the SHA-256 PCRs, the only bank.
type pcrBank struct {
	values  [pcrCount][sha256.Size]byte
	updates uint32
}

// newPCRBank gives the values after a start: 17 to 22 belong to a dynamic
// launch that never happened and are all ones (PC Client profile, 3.5.2).
func newPCRBank() pcrBank {
	var b pcrBank
	for i := 17; i <= 22; i++ {
		for j := range b.values[i] {
			b.values[i][j] = 0xff
		}
	}
	return b
}

// pcrSelection is one TPMS_PCR_SELECTION.
type pcrSelection struct {
	alg  uint16
	bits [pcrSelectSize]byte
}

// readSelections reads a TPML_PCR_SELECTION. PCRs of banks that this TPM does
// not have are dropped from the selection, as Part 3, 22.4 wants.
func readSelections(r *reader) ([]pcrSelection, rcode) {
	n := r.u32()
	if n > 4 {
		return nil, rcSize
	}
	out := make([]pcrSelection, 0, n)
	for range n {
		s := pcrSelection{alg: r.u16()}
		size := r.u8()
		if r.bad {
			return nil, rcInsufficient
		}
		if _, ok := hashOf(s.alg); !ok {
			return nil, rcHash
		}
		if size < pcrSelectSize || size > 4 {
			return nil, rcSize
		}
		bits := r.take(int(size))
		if s.alg == algSHA256 {
			copy(s.bits[:], bits)
		}
		out = append(out, s)
	}
	if r.bad {
		return nil, rcInsufficient
	}
	return out, rcSuccess
}

func appendSelections(b []byte, sel []pcrSelection) []byte {
	b = be.AppendUint32(b, uint32(len(sel)))
	for _, s := range sel {
		b = append(be.AppendUint16(b, s.alg), pcrSelectSize)
		b = append(b, s.bits[:]...)
	}
	return b
}

// digest hashes the selected PCRs in order.
func (p *pcrBank) digest(sel []pcrSelection) []byte {
	h := sha256.New()
	for _, s := range sel {
		for i := range pcrCount {
			if s.bits[i/8]&(1<<(i%8)) != 0 {
				h.Write(p.values[i][:])
			}
		}
	}
	return h.Sum(nil)
}

// pcrRead is TPM2_PCR_Read: the first 8 of the selected PCRs.
func pcrRead(c *call) rcode {
	sel, rc := readSelections(&c.in)
	if rc != rcSuccess {
		return rc.param(1)
	}
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	var values []byte
	count := uint32(0)
	for i := range sel {
		for n := range pcrCount {
			mask := byte(1 << (n % 8))
			if sel[i].bits[n/8]&mask == 0 {
				continue
			}
			if count == 8 {
				sel[i].bits[n/8] &^= mask // not read this time
				continue
			}
			count++
			values = append2B(values, c.t.pcrs.values[n][:])
		}
	}
	c.out = be.AppendUint32(c.out, c.t.pcrs.updates)
	c.out = appendSelections(c.out, sel)
	c.out = be.AppendUint32(c.out, count)
	c.out = append(c.out, values...)
	return rcSuccess
}

// pcrExtend is TPM2_PCR_Extend. Digests for other banks are accepted and have
// no effect (Part 3, 22.2).
func pcrExtend(c *call) rcode {
	n := c.in.u32()
	if n > 4 {
		return rcSize.param(1)
	}
	var mine []byte
	for range n {
		alg := c.in.u16()
		hash, ok := hashOf(alg)
		if c.in.bad {
			return rcInsufficient.param(1)
		}
		if !ok {
			return rcHash.param(1)
		}
		if d := c.in.take(hash.Size()); alg == algSHA256 {
			mine = d
		}
	}
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if mine != nil {
		v := &c.t.pcrs.values[c.entities[0].handle]
		*v = sha256.Sum256(append(v[:], mine...))
		c.t.pcrs.updates++
	}
	return rcSuccess
}
