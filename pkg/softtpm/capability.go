package softtpm

import (
	"maps"
	"slices"

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
	list, rc := c.t.capabilityItems(tpm2.TPMCap(capability), first)
	if rc != rcSuccess {
		return rc
	}
	if tpm2.TPMCap(capability) == tpm2.TPMCapPCRs {
		count = uint32(len(list)) // the banks are always given whole
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

// capabilityItems lists what there is of a kind. first matters where it also
// says which kind of handle is meant.
func (t *TPM) capabilityItems(capability tpm2.TPMCap, first uint32) ([]item, rcode) {
	var list []item
	switch capability {
	case tpm2.TPMCapAlgs:
		return algorithmItems(), rcSuccess
	case tpm2.TPMCapHandles:
		return t.handleItems(first)
	case tpm2.TPMCapCommands:
		return t.commandItems(), rcSuccess
	case tpm2.TPMCapPPCommands: // none: nobody can be present
	case tpm2.TPMCapAuditCommands:
		for _, cc := range t.nv.auditCommands {
			list = append(list, item{cc, be.AppendUint32(nil, cc)})
		}
	case tpm2.TPMCapPCRs:
		if first != 0 {
			return nil, rcValue.param(2)
		}
		for _, alg := range pcrBanks() {
			list = append(list, item{wire: append(be.AppendUint16(nil, alg), pcrSelectSize, 0xff, 0xff, 0xff)})
		}
	case tpm2.TPMCapPCRProperties:
		return pcrPropertyItems(), rcSuccess
	case tpm2.TPMCapTPMProperties:
		return t.properties(), rcSuccess
	case tpm2.TPMCapECCCurves:
		for _, id := range curveIDs() {
			list = append(list, item{uint32(id), be.AppendUint16(nil, uint16(id))})
		}
	case tpm2.TPMCapAuthPolicies:
		if first>>24 != rangePermanent {
			return nil, rcValue.param(2)
		}
		for _, h := range []uint32{rhOwner, rhLockout, rhEndorsement, rhPlatform} {
			p := t.policyOf(entity{handle: h})
			if p.alg == 0 {
				p.alg = algNull
			}
			list = append(list, item{h, append(be.AppendUint16(be.AppendUint32(nil, h), p.alg), p.digest...)})
		}
	default:
		return nil, rcValue.param(1)
	}
	return list, rcSuccess
}

// pcrPropertyItems lists which PCRs may be extended and reset at locality zero,
// and which do not move the update counter (Part 2, 6.14).
func pcrPropertyItems() []item {
	var list []item
	for _, p := range []struct {
		tag  uint32
		what func(uint32) bool
	}{
		{uint32(tpm2.TPMPTPCRExtendL0), mayExtend}, {uint32(tpm2.TPMPTPCRResetL0), mayReset}, {uint32(tpm2.TPMPTPCRNoIncrement), uncounted},
	} {
		var bits [pcrSelectSize]byte
		for i := range uint32(pcrCount) {
			if p.what(i) {
				bits[i/8] |= 1 << (i % 8)
			}
		}
		list = append(list, item{p.tag, append(append(be.AppendUint32(nil, p.tag), pcrSelectSize), bits[:]...)})
	}
	return list
}

// algorithmItems lists the algorithms with their TPMA_ALGORITHM (Part 2, 8.2).
func algorithmItems() []item {
	const asymmetric, symmetric, hash, object, signing, encrypting, method = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 8, 1 << 9, 1 << 10
	all := []struct {
		id    uint16
		attrs uint32
	}{
		{algRSA, asymmetric | object}, {algSHA1, hash}, {algHMAC, hash | signing}, {algAES, symmetric},
		{uint16(tpm2.TPMAlgMGF1), hash | method}, {algKeyedHash, hash | object | signing | encrypting}, {algXOR, hash | symmetric},
		{algSHA256, hash}, {algSHA384, hash}, {algSHA512, hash},
		{algRSASSA, asymmetric | signing}, {algRSAES, asymmetric | encrypting}, {algRSAPSS, asymmetric | signing}, {algOAEP, asymmetric | encrypting | hash},
		{algECDSA, asymmetric | signing | method}, {algECDH, asymmetric | method}, {algECDAA, asymmetric | signing | method},
		{algKDF56A, hash | method}, {algKDF108, hash | method}, {algECC, asymmetric | object},
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
func (t *TPM) handleItems(first uint32) ([]item, rcode) {
	var list []item
	add := func(h uint32) { list = append(list, item{h, be.AppendUint32(nil, h)}) }
	switch first >> 24 {
	case rangePCR:
		for h := range uint32(pcrCount) {
			add(h)
		}
	case rangeNV:
		for _, h := range slices.Sorted(maps.Keys(t.nv.indexes)) {
			add(h)
		}
	case rangeHMAC, rangePolicy: // here the two mean loaded and saved (Part 3, 30.2.1)
		for i, s := range t.sessions {
			if s == nil || (s.saved != 0) != (first>>24 == rangePolicy) {
				continue
			}
			h := baseHMAC | uint32(i)
			if s.policy && s.saved == 0 {
				h = basePolicy | uint32(i)
			}
			list = append(list, item{first&0xff000000 | uint32(i), be.AppendUint32(nil, h)})
		}
	case rangePermanent:
		for _, h := range []uint32{rhOwner, rhNull, rhPassword, rhLockout, rhEndorsement, rhPlatform, rhPlatformNV} {
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
	default:
		return nil, rcHandle.param(2)
	}
	return list, rcSuccess
}
