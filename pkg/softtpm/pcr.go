package softtpm

import (
	"bytes"
	"crypto"
)

const (
	pcrCount      = 24
	pcrSelectSize = pcrCount / 8
	maxSelections = 4 // entries of a selection list
)

// pcrBanks lists the hashes that have PCRs.
func pcrBanks() [3]uint16 { return [...]uint16{algSHA1, algSHA256, algSHA384} }

// pcrValue is one PCR in all banks.
type pcrValue struct{ bank [3][]byte }

// pcrBank holds the PCRs. Most are never touched, so a value stands only where
// it is not the first one.
type pcrBank struct {
	values  [pcrCount]*pcrValue
	updates uint32
}

// first gives the value after a start: 17 to 22 belong to a dynamic launch that
// never happened and are all ones (PC Client profile, 3.5.2).
func first(pcr uint32, h crypto.Hash) []byte {
	if pcr >= 17 && pcr <= 22 {
		return bytes.Repeat([]byte{0xff}, h.Size())
	}
	return make([]byte, h.Size())
}

// Which PCRs locality zero may extend and reset (PC Client profile, 3.5.2).
func mayExtend(pcr uint32) bool { return pcr < 17 || pcr == 23 }
func mayReset(pcr uint32) bool  { return pcr == 16 || pcr == 23 }

// uncounted tells which PCRs do not move the update counter, so that debugging
// and applications do not end everybody's PolicyPCR.
func uncounted(pcr uint32) bool { return pcr == 16 || pcr >= 21 }

func (p *pcrBank) value(pcr uint32, bank int) []byte {
	if v := p.values[pcr]; v != nil {
		return v.bank[bank]
	}
	return first(pcr, hashFor(pcrBanks()[bank]))
}

// change replaces the values of a PCR and counts it.
func (p *pcrBank) change(pcr uint32, v *pcrValue) {
	p.values[pcr] = v
	if !uncounted(pcr) {
		p.updates++
	}
}

// extend extends a PCR in each bank that has a digest.
func (p *pcrBank) extend(pcr uint32, digests [3][]byte) {
	var v pcrValue
	for i, alg := range pcrBanks() {
		v.bank[i] = p.value(pcr, i)
		if digests[i] != nil {
			h := hashFor(alg).New()
			h.Write(v.bank[i])
			h.Write(digests[i])
			v.bank[i] = h.Sum(nil)
		}
	}
	p.change(pcr, &v)
}

// pcrSelection is one TPMS_PCR_SELECTION. bank is -1 for a hash without PCRs.
type pcrSelection struct {
	alg  uint16
	bank int
	bits [pcrSelectSize]byte
}

// readSelections reads a TPML_PCR_SELECTION. PCRs of banks that this TPM does
// not have are dropped from the selection, as Part 3, 22.4 wants.
func readSelections(r *reader) ([]pcrSelection, rcode) {
	n := r.u32()
	if n > maxSelections {
		return nil, rcSize
	}
	out := make([]pcrSelection, 0, n)
	for range n {
		s := pcrSelection{alg: r.u16(), bank: -1}
		size := r.u8()
		if r.bad {
			return nil, rcInsufficient
		}
		if _, ok := hashOf(s.alg); !ok {
			return nil, rcHash
		}
		if size != pcrSelectSize {
			return nil, rcValue
		}
		bits := r.take(int(size))
		for i, alg := range pcrBanks() {
			if alg == s.alg {
				s.bank = i
				copy(s.bits[:], bits)
			}
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
func (p *pcrBank) digest(sel []pcrSelection, alg crypto.Hash) []byte {
	h := alg.New()
	for _, s := range sel {
		for i := range uint32(pcrCount) {
			if s.bits[i/8]&(1<<(i%8)) != 0 {
				h.Write(p.value(i, s.bank))
			}
		}
	}
	return h.Sum(nil)
}

// pcrRead is TPM2_PCR_Read: the first 8 of the selected PCRs.
func pcrRead(c *call) rcode {
	sel := c.in.selections()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	var values []byte
	count := uint32(0)
	for i := range sel {
		for n := range uint32(pcrCount) {
			mask := byte(1 << (n % 8))
			if sel[i].bits[n/8]&mask == 0 {
				continue
			}
			if count == 8 {
				sel[i].bits[n/8] &^= mask // not read this time
				continue
			}
			count++
			values = append2B(values, c.t.pcrs.value(n, sel[i].bank))
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
	var n uint32
	var digests [3][]byte
	c.in.group(func(r *reader) rcode {
		if n = r.u32(); n > maxSelections {
			return rcSize
		}
		for range n {
			alg := r.u16()
			hash, ok := hashOf(alg)
			if r.bad {
				return rcInsufficient
			}
			if !ok {
				return rcHash
			}
			d := r.take(hash.Size())
			for i, bank := range pcrBanks() {
				if bank == alg {
					digests[i] = d
				}
			}
		}
		if r.bad {
			return rcInsufficient
		}
		return rcSuccess
	})
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	pcr := c.entities[0].handle
	switch {
	case pcr == rhNull:
		return rcSuccess
	case !mayExtend(pcr):
		return rcLocality
	case n > 0:
		c.t.pcrs.extend(pcr, digests)
	}
	return rcSuccess
}

// pcrEvent is TPM2_PCR_Event (Part 3, 22.3): hashes the data for every bank.
func pcrEvent(c *call) rcode {
	data := c.in.sized(maxBuffer)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	var digests [3][]byte
	for i, alg := range pcrBanks() {
		h := hashFor(alg).New()
		h.Write(data)
		digests[i] = h.Sum(nil)
	}
	return c.finishEvent(c.entities[0].handle, digests)
}

// finishEvent extends a PCR (or none) and appends the TPML_DIGEST_VALUES.
func (c *call) finishEvent(pcr uint32, digests [3][]byte) rcode {
	if pcr != rhNull {
		if !mayExtend(pcr) {
			return rcLocality
		}
		c.t.pcrs.extend(pcr, digests)
	}
	c.out = be.AppendUint32(c.out, uint32(len(digests)))
	for i, alg := range pcrBanks() {
		c.out = append(be.AppendUint16(c.out, alg), digests[i]...)
	}
	return rcSuccess
}

// pcrReset is TPM2_PCR_Reset (Part 3, 22.8).
func pcrReset(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	pcr := c.entities[0].handle
	if !mayReset(pcr) {
		return rcLocality
	}
	c.t.pcrs.change(pcr, nil)
	return rcSuccess
}
