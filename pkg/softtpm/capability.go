package softtpm

import (
	"github.com/google/go-tpm/tpm2"
)

// item is one entry of a capability list: the value it is asked for by, and
// its form on the wire.
type item struct {
	key  uint32
	wire []byte
}

// maxCapabilities bounds the list of one answer in bytes; the rest is asked for
// by the next property.
const maxCapabilities = maxBuffer - 8

// getCapability is TPM2_GetCapability (Part 3, 30.2).
func getCapability(c *call) rcode {
	capability, first, count := c.in.u32(), c.in.u32(), c.in.u32()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	var list []item
	switch tpm2.TPMCap(capability) {
	case tpm2.TPMCapAlgs:
		list = algorithmItems()
	case tpm2.TPMCapHandles:
		list = c.t.handleItems(first)
	case tpm2.TPMCapCommands:
		list = c.t.commandItems()
	case tpm2.TPMCapPCRs:
		for _, alg := range pcrBanks() {
			list = append(list, item{wire: append(be.AppendUint16(nil, alg), pcrSelectSize, 0xff, 0xff, 0xff)})
		}
		first, count = 0, uint32(len(list)) // always given whole
	case tpm2.TPMCapTPMProperties:
		list = c.t.properties()
	case tpm2.TPMCapECCCurves:
		for _, id := range curveIDs() {
			list = append(list, item{uint32(id), be.AppendUint16(nil, uint16(id))})
		}
	default:
		return rcValue.param(1)
	}
	var wire []byte
	n, more := uint32(0), byte(0)
	for _, i := range list {
		if i.key < first {
			continue
		}
		if n == count || len(wire)+len(i.wire) > maxCapabilities {
			more = 1
			break
		}
		n++
		wire = append(wire, i.wire...)
	}
	c.out = append(c.out, more)
	c.out = be.AppendUint32(c.out, capability)
	c.out = be.AppendUint32(c.out, n)
	c.out = append(c.out, wire...)
	return rcSuccess
}

// algorithmItems lists the algorithms with their TPMA_ALGORITHM (Part 2, 8.2).
func algorithmItems() []item {
	const asymmetric, symmetric, hash, object, signing, encrypting, method = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 8, 1 << 9, 1 << 10
	all := []struct {
		id    uint16
		attrs uint32
	}{
		{algRSA, asymmetric | object}, {algSHA1, hash}, {algHMAC, hash | signing}, {algAES, symmetric},
		{algKeyedHash, hash | object | signing | encrypting}, {algXOR, hash | symmetric},
		{algSHA256, hash}, {algSHA384, hash}, {algSHA512, hash},
		{algRSASSA, asymmetric | signing}, {algRSAPSS, asymmetric | signing}, {algOAEP, asymmetric | encrypting | hash},
		{algECDSA, asymmetric | signing | method}, {algKDF108, hash | method}, {algECC, asymmetric | object},
		{algSymCipher, object | symmetric}, {algCTR, symmetric | encrypting}, {algCFB, symmetric | encrypting},
	}
	list := make([]item, 0, len(all))
	for _, a := range all {
		list = append(list, item{uint32(a.id), be.AppendUint32(be.AppendUint16(nil, a.id), a.attrs)})
	}
	return list
}

// commandItems lists the commands as TPMA_CC (Part 2, 8.9).
func (t *TPM) commandItems() []item {
	var list []item
	for i := range t.commands {
		c := &t.commands[i]
		if c.run == nil {
			continue
		}
		v := uint32(c.code) | uint32(c.handleCount())<<25
		for _, f := range []struct{ flag, bit int }{{writesNV, 22}, {extensive, 23}, {flushes, 24}, {rspHandle, 28}} {
			if int(c.flags)&f.flag != 0 {
				v |= 1 << f.bit
			}
		}
		list = append(list, item{uint32(c.code), be.AppendUint32(nil, v)})
	}
	return list
}

// handleItems lists the handles of the range that first points into.
func (t *TPM) handleItems(first uint32) []item {
	var list []item
	add := func(h uint32) { list = append(list, item{h, be.AppendUint32(nil, h)}) }
	switch first >> 24 {
	case rangePCR:
		for h := range uint32(pcrCount) {
			add(h)
		}
	case rangeHMAC, rangePolicy: // here the two mean loaded and saved (Part 3, 30.2.1)
		for i, s := range t.sessions {
			if s == nil || (s.saved != 0) != (first>>24 == rangePolicy) {
				continue
			}
			add(first&0xff000000 | uint32(i))
		}
	case rangePermanent:
		for _, h := range []uint32{rhOwner, rhNull, rhPassword, rhLockout, rhEndorsement, rhPlatform} {
			add(h)
		}
	case rangeTransient:
		for i, o := range t.slots {
			if o != nil {
				add(baseTransient + uint32(i))
			}
		}
	case rangePersistent:
		for _, h := range t.persistentHandles() {
			add(h)
		}
	}
	return list
}
