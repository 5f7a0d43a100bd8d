package softtpm

import (
	"slices"

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
)

// command is one row of the table.
type command struct {
	code    tpm2.TPMCC
	handles []handleKind
	auths   int // how many of the handles need an authorization
	role    role
	flags   int
	run     func(*call) rcode
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

type commandTable [lastCode - firstCode + 1]*command

func (t *commandTable) find(code uint32) *command {
	if code < firstCode || code > lastCode {
		return nil
	}
	return t[code-firstCode]
}

// kinds spells the handles of a command.
func kinds(k ...handleKind) []handleKind { return k }

// allCommands builds the table. Each group stands in the file of its handlers.
func allCommands() *commandTable {
	var t commandTable
	all := slices.Concat(adminCommands(), objectCommands(), keyUseCommands(), sequenceCommands(),
		sessionCommands(), hierarchyCommands(), pcrCommands())
	for i := range all {
		t[uint32(all[i].code)-firstCode] = &all[i]
	}
	return &t
}

func adminCommands() []command {
	return []command{
		{code: tpm2.TPMCCStartup, flags: noSessions | writesNV, run: startup},
		{code: tpm2.TPMCCShutdown, flags: writesNV, run: shutdown},
		{code: ccSelfTest, run: selfTest},
		{code: ccGetTestResult, flags: encOut, run: getTestResult},
		{code: tpm2.TPMCCGetRandom, flags: encOut, run: getRandom},
		{code: tpm2.TPMCCGetCapability, run: getCapability},
	}
}

func objectCommands() []command {
	both := encIn | encOut
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
		{code: tpm2.TPMCCObjectChangeAuth, handles: kinds(kindObject, kindObject), auths: 1, role: roleAdmin, flags: both, run: objectChangeAuth},
	}
}

func keyUseCommands() []command {
	both := encIn | encOut
	return []command{
		{code: tpm2.TPMCCSign, handles: kinds(kindObject), auths: 1, flags: encIn, run: sign},
		{code: tpm2.TPMCCRSADecrypt, handles: kinds(kindObject), auths: 1, flags: both, run: rsaDecrypt},
		{code: tpm2.TPMCCHMAC, handles: kinds(kindObject), auths: 1, flags: both, run: hmacCommand},
		{code: tpm2.TPMCCHash, flags: both, run: hashCommand},
		{code: tpm2.TPMCCUnseal, handles: kinds(kindObject), auths: 1, flags: encOut, run: unseal},
		{code: tpm2.TPMCCEncryptDecrypt2, handles: kinds(kindObject), auths: 1, flags: both, run: encryptDecrypt2},
		{code: tpm2.TPMCCCertify, handles: kinds(kindObject, kindObjectNull), auths: 2, role: roleAdmin, flags: both, run: certify},
		{code: tpm2.TPMCCMakeCredential, handles: kinds(kindObject), flags: both, run: makeCredential},
		{code: tpm2.TPMCCActivateCredential, handles: kinds(kindObject, kindObject), auths: 2, role: roleAdmin, flags: both, run: activateCredential},
	}
}

func sequenceCommands() []command {
	return []command{
		{code: tpm2.TPMCCHMACStart, handles: kinds(kindObject), auths: 1, flags: encIn | rspHandle, run: hmacStart},
		{code: tpm2.TPMCCHashSequenceStart, flags: encIn | rspHandle, run: hashSequenceStart},
		{code: tpm2.TPMCCSequenceUpdate, handles: kinds(kindObject), auths: 1, flags: encIn, run: sequenceUpdate},
		{code: tpm2.TPMCCSequenceComplete, handles: kinds(kindObject), auths: 1, flags: encIn | encOut | flushes, run: sequenceComplete},
	}
}

func sessionCommands() []command {
	return []command{
		{code: tpm2.TPMCCStartAuthSession, handles: kinds(kindObjectNull, kindEntityNull), flags: encIn | encOut | rspHandle, run: startAuthSession},
		{code: tpm2.TPMCCPolicySecret, handles: kinds(kindEntity, kindPolicy), auths: 1, flags: encIn | encOut, run: policySecret},
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
		{code: ccHierarchyAuth, handles: kinds(kindHierarchyAuth), auths: 1, flags: encIn | writesNV, run: hierarchyChangeAuth},
		{code: ccLockReset, handles: kinds(kindLockout), auths: 1, flags: writesNV, run: lockReset},
		{code: ccLockParams, handles: kinds(kindLockout), auths: 1, flags: writesNV, run: lockParameters},
	}
}

func pcrCommands() []command {
	return []command{
		{code: tpm2.TPMCCPCRRead, run: pcrRead},
		{code: tpm2.TPMCCPCRExtend, handles: kinds(kindPCR), auths: 1, flags: writesNV, run: pcrExtend},
	}
}
