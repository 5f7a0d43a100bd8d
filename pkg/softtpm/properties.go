package softtpm

import (
	"maps"
	"math"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// properties lists the TPM_PT values in order (Part 2, 6.13): first what is
// fixed for this program, then what this TPM is in now.
func (t *TPM) properties() []item {
	var list []item
	add := func(p tpm2.TPMPT, v uint32) {
		list = append(list, item{uint32(p), be.AppendUint32(be.AppendUint32(nil, uint32(p)), v)})
	}
	text := func(s string) uint32 { return be.Uint32(append([]byte(s), 0, 0, 0, 0)) }
	add(tpm2.TPMPTFamilyIndicator, text("2.0"))
	add(tpm2.TPMPTLevel, 0)
	add(tpm2.TPMPTRevision, 138)
	add(tpm2.TPMPTManufacturer, text("SOFT"))
	add(tpm2.TPMPTVendorString1, text("soft"))
	add(tpm2.TPMPTVendorString2, text("tpm"))
	add(tpm2.TPMPTVendorString3, 0)
	add(tpm2.TPMPTVendorString4, 0)
	add(tpm2.TPMPTVendorTPMType, 1)
	add(tpm2.TPMPTFirmwareVersion1, firmwareNumber>>32)
	add(tpm2.TPMPTFirmwareVersion2, firmwareNumber)
	add(tpm2.TPMPTInputBuffer, maxBuffer)
	add(tpm2.TPMPTHRTransientMin, uint32(len(t.slots)))
	add(tpm2.TPMPTHRPersistentMin, maxPersistent)
	add(tpm2.TPMPTHRLoadedMin, maxLoadedSess)
	add(tpm2.TPMPTActiveSessionsMax, maxActiveSess)
	add(tpm2.TPMPTPCRCount, pcrCount)
	add(tpm2.TPMPTPCRSelectMin, pcrSelectSize)
	add(tpm2.TPMPTContextGapMax, math.MaxUint32) // contexts are told apart by 64 bits
	add(tpm2.TPMPTNVCountersMax, 0)              // as many as there is room for
	add(tpm2.TPMPTNVIndexMax, maxIndexSize)
	add(tpm2.TPMPTMemory, 1<<2) // persistent objects are used from RAM
	add(tpm2.TPMPTClockUpdate, 0)
	add(tpm2.TPMPTContextHash, uint32(algSHA256))
	add(tpm2.TPMPTContextSym, uint32(algAES))
	add(tpm2.TPMPTContextSymSize, 256)
	add(tpm2.TPMPTOrderlyCount, 0) // every change is saved at once
	add(tpm2.TPMPTMaxCommandSize, maxCommand)
	add(tpm2.TPMPTMaxResponseSize, maxCommand)
	add(tpm2.TPMPTMaxDigest, maxDigest)
	add(tpm2.TPMPTMaxObjectContext, maxBuffer)
	add(tpm2.TPMPTMaxSessionContext, maxBuffer)
	add(tpm2.TPMPTPSFamilyIndicator, 1) // PC Client, whose PCRs these are
	add(tpm2.TPMPTPSLevel, 0)
	add(tpm2.TPMPTPSRevision, 0x105)
	add(tpm2.TPMPTSplitMax, commitSlots)
	commands := uint32(len(t.commandItems()))
	add(tpm2.TPMPTTotalCommands, commands)
	add(tpm2.TPMPTLibraryCommands, commands)
	add(tpm2.TPMPTVendorCommands, 0)
	add(tpm2.TPMPTNVBufferMax, maxNVBuffer)
	add(tpm2.TPMPTModes, 0) // not a FIPS module
	t.addUsage(add)
	return list
}

// permanentFlags is TPMA_PERMANENT (Part 2, 8.6).
func (t *TPM) permanentFlags() uint32 {
	t.heal()
	var v uint32
	for bit, set := range map[int]bool{
		0:  len(t.nv.owner.auth) > 0,
		1:  len(t.nv.endorsement.auth) > 0,
		2:  len(t.nv.lockoutAuth) > 0,
		8:  t.nv.clearDisabled,
		9:  t.nv.failures >= t.nv.maxTries,
		10: true, // the endorsement seed was made here
	} {
		if set {
			v |= 1 << bit
		}
	}
	return v
}

// startupFlags is TPMA_STARTUP_CLEAR (Part 2, 8.7).
func (t *TPM) startupFlags() uint32 {
	v := uint32(0)
	if t.orderly {
		v = 1 << 31
	}
	for bit, off := range []bool{t.off.platform, t.off.owner, t.off.endorsement, t.off.platformNV} {
		if !off {
			v |= 1 << bit
		}
	}
	return v
}

// addUsage adds the values that change: flags, room left, lockout.
func (t *TPM) addUsage(add func(tpm2.TPMPT, uint32)) {
	t.heal()
	loaded, active := t.countSessions()
	free := 0
	for _, o := range t.slots {
		if o == nil {
			free++
		}
	}
	counters := uint32(0)
	for _, x := range t.nv.indexes {
		if x.kind() == nvCounter {
			counters++
		}
	}
	add(tpm2.TPMPTPermanent, t.permanentFlags())
	add(tpm2.TPMPTStartupClear, t.startupFlags())
	add(tpm2.TPMPTHRNVIndex, uint32(len(t.nv.indexes)))
	add(tpm2.TPMPTHRLoaded, uint32(loaded))
	add(tpm2.TPMPTHRLoadedAvail, uint32(maxLoadedSess-loaded))
	add(tpm2.TPMPTHRActive, uint32(active))
	add(tpm2.TPMPTHRActiveAvail, uint32(maxActiveSess-active))
	add(tpm2.TPMPTHRTransientAvail, uint32(free))
	add(tpm2.TPMPTHRPersistent, uint32(len(t.nv.persistent)))
	add(tpm2.TPMPTHRPersistentAvail, uint32(maxPersistent-len(t.nv.persistent)))
	add(tpm2.TPMPTNVCounters, counters)
	add(tpm2.TPMPTNVCountersAvail, uint32(min(maxIndexes-len(t.nv.indexes), (maxNVSpace-t.nv.used())/(indexCost+8))))
	add(tpm2.TPMPTAlgorithmSet, 0)
	add(tpm2.TPMPTLoadedCurves, curveCount)
	add(tpm2.TPMPTLockoutCounter, t.nv.failures)
	add(tpm2.TPMPTMaxAuthFail, t.nv.maxTries)
	add(tpm2.TPMPTLockoutInterval, t.nv.recovery)
	add(tpm2.TPMPTLockoutRecovery, t.nv.lockoutRecovery)
	add(tpm2.TPMPTNVWriteRecovery, 0)
	add(tpm2.TPMPTAuditCounter0, uint32(t.nv.auditCounter>>32))
	add(tpm2.TPMPTAuditCounter1, uint32(t.nv.auditCounter))
}

func (t *TPM) persistentHandles() []uint32 {
	return slices.Sorted(maps.Keys(t.nv.persistent))
}
