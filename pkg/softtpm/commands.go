package softtpm

import (
	"github.com/google/go-tpm/tpm2"
)

// role says what authorization the first handle of a command needs
// (Part 1, 19.2). A second authorized handle always has the user role.
type role byte

const (
	roleUser role = iota
	roleAdmin
	roleDup
)

// Flags of a command.
const (
	rspHandle  = 1 << iota // the response has a handle
	encIn                  // a session may encrypt the first parameter
	encOut                 // a session may encrypt the first response parameter
	noSessions             // no authorization area at all
	writesNV               // TPMA_CC nv, for GetCapability
	flushes                // TPMA_CC flushed, for GetCapability
	extensive              // TPMA_CC extensive, for GetCapability
	nvWrites               // uses the write authorization of an NV index
)

// command is one row of the table. It is small, because every TPM has a table
// of its own.
type command struct {
	run     func(*call) rcode
	code    tpm2.TPMCC
	flags   uint16
	handles [3]handleKind
	auths   uint8 // how many of the handles need an authorization
	role    role
}

func (c *command) authCount() int { return int(c.auths) }

func (c *command) handleCount() int {
	for i, k := range c.handles {
		if k == 0 {
			return i
		}
	}
	return len(c.handles)
}

// Codes that go-tpm v0.9.8 has no name for, or a misspelt one (Part 2, 6.5.2).
const (
	ccHierarchyAuth tpm2.TPMCC = 0x129
	ccLockReset     tpm2.TPMCC = 0x139
	ccLockParams    tpm2.TPMCC = 0x13a
	ccSelfTest      tpm2.TPMCC = 0x143
	ccGetTestResult tpm2.TPMCC = 0x17c
)

// commandTable is indexed by the command code minus firstCode, so that the
// lookup of a command is one bounds check.
const (
	firstCode = 0x11f
	lastCode  = 0x193
)

type commandTable [lastCode - firstCode + 1]command

// find gives the row of a code; nil if there is no such command.
func (t *commandTable) find(code uint32) *command {
	if code < firstCode || code > lastCode || t[code-firstCode].run == nil {
		return nil
	}
	return &t[code-firstCode]
}

// kinds spells the handles of a command.
func kinds(k ...handleKind) (out [3]handleKind) {
	copy(out[:], k)
	return out
}

// fill writes the rows. Each group stands in the file of its handlers.
func (t *commandTable) fill() {
	for _, group := range [][]command{
		adminCommands(), objectCommands(), keyUseCommands(), attestCommands(), sequenceCommands(),
		sessionCommands(), hierarchyCommands(), pcrCommands(), nvCommands(),
	} {
		for _, c := range group {
			t[uint32(c.code)-firstCode] = c
		}
	}
}

func adminCommands() []command {
	return []command{
		{code: tpm2.TPMCCStartup, flags: noSessions | writesNV, run: startup},
		{code: tpm2.TPMCCShutdown, flags: writesNV, run: shutdown},
		{code: ccSelfTest, flags: writesNV, run: selfTest},
		{code: ccGetTestResult, flags: encOut, run: getTestResult},
		{code: tpm2.TPMCCIncrementalSelfTest, run: incrementalSelfTest},
		{code: tpm2.TPMCCTestParms, run: testParms},
		{code: tpm2.TPMCCStirRandom, flags: encIn | writesNV, run: stirRandom},
		{code: tpm2.TPMCCGetRandom, flags: encOut, run: getRandom},
		{code: tpm2.TPMCCGetCapability, run: getCapability},
		{code: tpm2.TPMCCReadClock, run: readClock},
		{code: tpm2.TPMCCClockSet, handles: kinds(kindProvision), auths: 1, flags: writesNV, run: clockSet},
		{code: tpm2.TPMCCClockRateAdjust, handles: kinds(kindProvision), auths: 1, run: clockRateAdjust},
	}
}

func objectCommands() []command {
	const both = encIn | encOut
	return []command{
		{code: tpm2.TPMCCCreatePrimary, handles: kinds(kindHierarchy), auths: 1, flags: both | rspHandle, run: createPrimary},
		{code: tpm2.TPMCCCreate, handles: kinds(kindObject), auths: 1, flags: both, run: create},
		{code: tpm2.TPMCCCreateLoaded, handles: kinds(kindParent), auths: 1, flags: both | rspHandle, run: createLoaded},
		{code: tpm2.TPMCCLoad, handles: kinds(kindObject), auths: 1, flags: both | rspHandle, run: load},
		{code: tpm2.TPMCCLoadExternal, flags: both | rspHandle, run: loadExternal},
		{code: tpm2.TPMCCReadPublic, handles: kinds(kindObject), flags: encOut, run: readPublic},
		{code: tpm2.TPMCCFlushContext, flags: noSessions, run: flushContext},
		{code: tpm2.TPMCCContextSave, handles: kinds(kindContext), flags: noSessions, run: contextSave},
		{code: tpm2.TPMCCContextLoad, flags: noSessions | rspHandle, run: contextLoad},
		{code: tpm2.TPMCCEvictControl, handles: kinds(kindProvision, kindObject), auths: 1, flags: writesNV, run: evictControl},
		{code: tpm2.TPMCCImport, handles: kinds(kindObject), auths: 1, flags: both, run: importObject},
		{code: tpm2.TPMCCDuplicate, handles: kinds(kindObject, kindObjectNull), auths: 1, role: roleDup, flags: both, run: duplicate},
		{code: tpm2.TPMCCRewrap, handles: kinds(kindObjectNull, kindObjectNull), auths: 1, flags: both, run: rewrap},
		{code: tpm2.TPMCCObjectChangeAuth, handles: kinds(kindObject, kindObject), auths: 1, role: roleAdmin, flags: both, run: objectChangeAuth},
	}
}

func keyUseCommands() []command {
	const both = encIn | encOut
	return []command{
		{code: tpm2.TPMCCSign, handles: kinds(kindObject), auths: 1, flags: encIn, run: sign},
		{code: tpm2.TPMCCRSADecrypt, handles: kinds(kindObject), auths: 1, flags: both, run: rsaDecrypt},
		{code: tpm2.TPMCCHMAC, handles: kinds(kindObject), auths: 1, flags: both, run: hmacCommand},
		{code: tpm2.TPMCCHash, flags: both, run: hashCommand},
		{code: tpm2.TPMCCUnseal, handles: kinds(kindObject), auths: 1, flags: encOut, run: unseal},
		{code: tpm2.TPMCCEncryptDecrypt, handles: kinds(kindObject), auths: 1, flags: encOut, run: encryptDecrypt},
		{code: tpm2.TPMCCEncryptDecrypt2, handles: kinds(kindObject), auths: 1, flags: both, run: encryptDecrypt2},
		{code: tpm2.TPMCCRSAEncrypt, handles: kinds(kindObject), flags: both, run: rsaEncrypt},
		{code: tpm2.TPMCCECDHKeyGen, handles: kinds(kindObject), flags: encOut, run: ecdhKeyGen},
		{code: tpm2.TPMCCECDHZGen, handles: kinds(kindObject), auths: 1, flags: both, run: ecdhZGen},
		{code: tpm2.TPMCCECCParameters, run: eccParameters},
		{code: tpm2.TPMCCVerifySignature, handles: kinds(kindObject), flags: encIn, run: verifySignature},
		{code: tpm2.TPMCCCommit, handles: kinds(kindObject), auths: 1, flags: both, run: commit},
	}
}

func attestCommands() []command {
	const both = encIn | encOut
	return []command{
		{code: tpm2.TPMCCCertify, handles: kinds(kindObject, kindObjectNull), auths: 2, role: roleAdmin, flags: both, run: certify},
		{code: tpm2.TPMCCCertifyCreation, handles: kinds(kindObjectNull, kindObject), auths: 1, flags: both, run: certifyCreation},
		{code: tpm2.TPMCCQuote, handles: kinds(kindObjectNull), auths: 1, flags: both, run: quote},
		{code: tpm2.TPMCCGetTime, handles: kinds(kindEndorsement, kindObjectNull), auths: 2, flags: both, run: getTime},
		{code: tpm2.TPMCCGetSessionAuditDigest, handles: kinds(kindEndorsement, kindObjectNull, kindHMAC), auths: 2, flags: both, run: getSessionAuditDigest},
		{code: tpm2.TPMCCGetCommandAuditDigest, handles: kinds(kindEndorsement, kindObjectNull), auths: 2, flags: both, run: getCommandAuditDigest},
		{code: tpm2.TPMCCNVCertify, handles: kinds(kindObjectNull, kindNVAuth, kindNV), auths: 2, flags: both, run: nvCertify},
		{code: tpm2.TPMCCMakeCredential, handles: kinds(kindObject), flags: both, run: makeCredential},
		{code: tpm2.TPMCCActivateCredential, handles: kinds(kindObject, kindObject), auths: 2, role: roleAdmin, flags: both, run: activateCredential},
	}
}

func sequenceCommands() []command {
	return []command{
		{code: tpm2.TPMCCHMACStart, handles: kinds(kindObject), auths: 1, flags: encIn | rspHandle, run: hmacStart},
		{code: tpm2.TPMCCHashSequenceStart, flags: encIn | rspHandle, run: hashSequenceStart},
		{code: tpm2.TPMCCSequenceUpdate, handles: kinds(kindObject), auths: 1, flags: encIn, run: sequenceUpdate},
		{code: tpm2.TPMCCEventSequenceComplete, handles: kinds(kindPCRNull, kindObject), auths: 2, flags: encIn | flushes | writesNV, run: eventSequenceComplete},
		{code: tpm2.TPMCCSequenceComplete, handles: kinds(kindObject), auths: 1, flags: encIn | encOut | flushes, run: sequenceComplete},
	}
}

func sessionCommands() []command {
	return []command{
		{code: tpm2.TPMCCStartAuthSession, handles: kinds(kindObjectNull, kindEntityNull), flags: encIn | encOut | rspHandle, run: startAuthSession},
		{code: tpm2.TPMCCPolicySecret, handles: kinds(kindEntity, kindPolicy), auths: 1, flags: encIn | encOut, run: policySecret},
		{code: tpm2.TPMCCPolicySigned, handles: kinds(kindObject, kindPolicy), flags: encIn | encOut, run: policySigned},
		{code: tpm2.TPMCCPolicyTicket, handles: kinds(kindPolicy), flags: encIn, run: policyTicket},
		{code: tpm2.TPMCCPolicyAuthorize, handles: kinds(kindPolicy), flags: encIn, run: policyAuthorize},
		{code: tpm2.TPMCCPolicyAuthorizeNV, handles: kinds(kindNVAuth, kindNV, kindPolicy), auths: 1, run: policyAuthorizeNV},
		{code: tpm2.TPMCCPolicyNV, handles: kinds(kindNVAuth, kindNV, kindPolicy), auths: 1, flags: encIn, run: policyNV},
		{code: tpm2.TPMCCPolicyCounterTimer, handles: kinds(kindPolicy), flags: encIn, run: policyCounterTimer},
		{code: tpm2.TPMCCPolicyPCR, handles: kinds(kindPolicy), flags: encIn, run: policyPCR},
		{code: tpm2.TPMCCPolicyCpHash, handles: kinds(kindPolicy), flags: encIn, run: policyCpHash},
		{code: tpm2.TPMCCPolicyNameHash, handles: kinds(kindPolicy), flags: encIn, run: policyNameHash},
		{code: tpm2.TPMCCPolicyTemplate, handles: kinds(kindPolicy), flags: encIn, run: policyTemplate},
		{code: tpm2.TPMCCPolicyDuplicationSelect, handles: kinds(kindPolicy), flags: encIn, run: policyDuplicationSelect},
		{code: tpm2.TPMCCPolicyNvWritten, handles: kinds(kindPolicy), run: policyNvWritten},
		{code: tpm2.TPMCCPolicyLocality, handles: kinds(kindPolicy), run: policyLocality},
		{code: tpm2.TPMCCPolicyPhysicalPresence, handles: kinds(kindPolicy), run: policyPhysicalPresence},
		{code: tpm2.TPMCCPolicyAuthValue, handles: kinds(kindPolicy), run: policyAuthValue},
		{code: tpm2.TPMCCPolicyPassword, handles: kinds(kindPolicy), run: policyPassword},
		{code: tpm2.TPMCCPolicyCommandCode, handles: kinds(kindPolicy), run: policyCommandCode},
		{code: tpm2.TPMCCPolicyOR, handles: kinds(kindPolicy), run: policyOR},
		{code: tpm2.TPMCCPolicyGetDigest, handles: kinds(kindPolicy), flags: encOut, run: policyGetDigest},
		{code: tpm2.TPMCCPolicyRestart, handles: kinds(kindPolicy), run: policyRestart},
	}
}

func hierarchyCommands() []command {
	return []command{
		{code: tpm2.TPMCCClear, handles: kinds(kindClear), auths: 1, flags: writesNV | extensive, run: clearTPM},
		{code: tpm2.TPMCCClearControl, handles: kinds(kindClear), auths: 1, flags: writesNV, run: clearControl},
		{code: tpm2.TPMCCHierarchyControl, handles: kinds(kindBase), auths: 1, flags: writesNV | extensive, run: hierarchyControl},
		{code: ccHierarchyAuth, handles: kinds(kindHierarchyAuth), auths: 1, flags: encIn | writesNV, run: hierarchyChangeAuth},
		{code: tpm2.TPMCCSetPrimaryPolicy, handles: kinds(kindHierarchyAuth), auths: 1, flags: encIn | writesNV, run: setPrimaryPolicy},
		{code: tpm2.TPMCCChangeEPS, handles: kinds(kindPlatform), auths: 1, flags: writesNV | extensive, run: changeEPS},
		{code: tpm2.TPMCCChangePPS, handles: kinds(kindPlatform), auths: 1, flags: writesNV | extensive, run: changePPS},
		{code: ccLockReset, handles: kinds(kindLockout), auths: 1, flags: writesNV, run: lockReset},
		{code: ccLockParams, handles: kinds(kindLockout), auths: 1, flags: writesNV, run: lockParameters},
		{code: tpm2.TPMCCSetCommandCodeAuditStatus, handles: kinds(kindProvision), auths: 1, flags: writesNV, run: setCommandCodeAuditStatus},
	}
}

func nvCommands() []command {
	provision, access := kinds(kindProvision, kindNV), kinds(kindNVAuth, kindNV)
	return []command{
		{code: tpm2.TPMCCNVDefineSpace, handles: kinds(kindProvision), auths: 1, flags: encIn | writesNV, run: nvDefineSpace},
		{code: tpm2.TPMCCNVUndefineSpace, handles: provision, auths: 1, flags: writesNV, run: nvUndefineSpace},
		{code: tpm2.TPMCCNVUndefineSpaceSpecial, handles: kinds(kindNV, kindPlatform), auths: 2, role: roleAdmin, flags: writesNV, run: nvUndefineSpaceSpecial},
		{code: tpm2.TPMCCNVReadPublic, handles: kinds(kindNV), flags: encOut, run: nvReadPublic},
		{code: tpm2.TPMCCNVWrite, handles: access, auths: 1, flags: encIn | writesNV | nvWrites, run: nvWrite},
		{code: tpm2.TPMCCNVIncrement, handles: access, auths: 1, flags: writesNV | nvWrites, run: nvIncrement},
		{code: tpm2.TPMCCNVExtend, handles: access, auths: 1, flags: encIn | writesNV | nvWrites, run: nvExtendCommand},
		{code: tpm2.TPMCCNVSetBits, handles: access, auths: 1, flags: writesNV | nvWrites, run: nvSetBits},
		{code: tpm2.TPMCCNVWriteLock, handles: access, auths: 1, flags: writesNV | nvWrites, run: nvWriteLock},
		{code: tpm2.TPMCCNVGlobalWriteLock, handles: kinds(kindProvision), auths: 1, flags: writesNV, run: nvGlobalWriteLock},
		{code: tpm2.TPMCCNVRead, handles: access, auths: 1, flags: encOut, run: nvRead},
		{code: tpm2.TPMCCNVReadLock, handles: access, auths: 1, flags: writesNV, run: nvReadLock},
		{code: tpm2.TPMCCNVChangeAuth, handles: kinds(kindNV), auths: 1, role: roleAdmin, flags: encIn | writesNV, run: nvChangeAuth},
	}
}

func pcrCommands() []command {
	return []command{
		{code: tpm2.TPMCCPCRRead, run: pcrRead},
		{code: tpm2.TPMCCPCRExtend, handles: kinds(kindPCRNull), auths: 1, flags: writesNV, run: pcrExtend},
		{code: tpm2.TPMCCPCREvent, handles: kinds(kindPCRNull), auths: 1, flags: encIn | writesNV, run: pcrEvent},
		{code: tpm2.TPMCCPCRReset, handles: kinds(kindPCR), auths: 1, flags: writesNV, run: pcrReset},
	}
}
