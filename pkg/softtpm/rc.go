package softtpm

// rcode is a TPM response code (Part 2, 6.6). Handlers return it instead of an
// error: every outcome of a command has exactly one, and zero is success.
type rcode uint32

// Codes of format zero: they stand alone.
const (
	rcSuccess       rcode = 0
	rcBadTag        rcode = 0x01e
	rcInitialize    rcode = 0x100 // Startup is missing or came twice
	rcFailure       rcode = 0x101
	rcSequence      rcode = 0x103
	rcDisabled      rcode = 0x120
	rcExclusive     rcode = 0x121 // the audit session is not exclusive any more
	rcAuthType      rcode = 0x124 // this role needs a policy session
	rcAuthMissing   rcode = 0x125
	rcPolicy        rcode = 0x126
	rcPCR           rcode = 0x127
	rcPCRChanged    rcode = 0x128 // since TPM2_PolicyPCR
	rcAuthUnavail   rcode = 0x12f // the key does not accept this kind of authorization
	rcCommandSize   rcode = 0x142
	rcCommandCode   rcode = 0x143
	rcAuthSize      rcode = 0x144
	rcAuthContext   rcode = 0x145 // sessions where none are allowed
	rcNVRange       rcode = 0x146
	rcNVLocked      rcode = 0x148
	rcNVAuth        rcode = 0x149
	rcNVUninit      rcode = 0x14a // read before the first write
	rcNVSpace       rcode = 0x14b
	rcNVDefined     rcode = 0x14c
	rcCPHash        rcode = 0x151
	rcNoResult      rcode = 0x154
	rcContextGap    rcode = 0x901
	rcObjectMemory  rcode = 0x902 // no free object slot
	rcSessionMemory rcode = 0x903
	rcSessHandles   rcode = 0x905
	rcLocality      rcode = 0x907
	rcReferenceH0   rcode = 0x910 // + index: no object or session at this handle
	rcReferenceS0   rcode = 0x918 // + index: no session at this session handle
	rcLockout       rcode = 0x921
	rcNVUnavailable rcode = 0x923
)

// Codes of format one: handle, param or session adds where the fault lies.
const (
	rcAttributes   rcode = 0x082
	rcHash         rcode = 0x083
	rcValue        rcode = 0x084
	rcHierarchy    rcode = 0x085
	rcKeySize      rcode = 0x087
	rcMode         rcode = 0x089
	rcType         rcode = 0x08a
	rcHandle       rcode = 0x08b
	rcKDF          rcode = 0x08c
	rcRange        rcode = 0x08d
	rcAuthFail     rcode = 0x08e // wrong, and counted against dictionary attacks
	rcNonce        rcode = 0x08f
	rcPP           rcode = 0x090 // physical presence: nobody is here
	rcScheme       rcode = 0x092
	rcSize         rcode = 0x095
	rcSymmetric    rcode = 0x096
	rcTag          rcode = 0x097
	rcSelector     rcode = 0x098
	rcInsufficient rcode = 0x09a
	rcSignature    rcode = 0x09b
	rcKey          rcode = 0x09c
	rcPolicyFail   rcode = 0x09d
	rcIntegrity    rcode = 0x09f
	rcTicket       rcode = 0x0a0
	rcReservedBits rcode = 0x0a1
	rcBadAuth      rcode = 0x0a2 // wrong, not counted
	rcExpired      rcode = 0x0a3
	rcPolicyCC     rcode = 0x0a4
	rcBinding      rcode = 0x0a5
	rcCurve        rcode = 0x0a6
	rcECCPoint     rcode = 0x0a7
)

// param places a format-one code at parameter n (from 1). Success and codes
// of format zero pass unchanged, so that results can be placed blindly.
func (r rcode) param(n uint32) rcode { return r.at(0x40 | n<<8) }

// handle places a format-one code at handle n (from 1).
func (r rcode) handle(n int) rcode { return r.at(uint32(n) << 8) }

// session places a format-one code at session n (from 1).
func (r rcode) session(n int) rcode { return r.at(0x800 | uint32(n)<<8) }

func (r rcode) at(where uint32) rcode {
	if r&0x080 == 0 || r&0xf40 != 0 {
		return r // not format one, or placed already
	}
	return r | rcode(where)
}
