package tpmfault

import (
	"fmt"
	"strconv"
	"strings"
)

// Codes of TCG Part 2 that this package acts on by itself.
const (
	ccClear      = 0x126
	ccCertify    = 0x148
	ccHMAC       = 0x155
	ccLoad       = 0x157
	ccQuote      = 0x158
	ccRSADecrypt = 0x159
	ccSign       = 0x15D

	rhLockout  = 0x4000000A
	rhPlatform = 0x4000000C

	rcIntegrity = 0x1DF // TPM_RC_INTEGRITY, first parameter
	rcValue     = 0x1C4 // TPM_RC_VALUE, first parameter
	rcLockout   = 0x921
)

// command names a command code.
type command struct {
	code uint32
	name string
}

// commands are those of TCG Part 2, section 6.5.2, that keys and their agents use.
var commands = [...]command{
	{0x120, "EvictControl"},
	{0x121, "HierarchyControl"},
	{0x122, "NV_UndefineSpace"},
	{0x126, "Clear"},
	{0x127, "ClearControl"},
	{0x129, "HierarchyChangeAuth"},
	{0x12A, "NV_DefineSpace"},
	{0x131, "CreatePrimary"},
	{0x134, "NV_Increment"},
	{0x137, "NV_Write"},
	{0x139, "DictionaryAttackLockReset"},
	{0x13A, "DictionaryAttackParameters"},
	{0x143, "SelfTest"},
	{0x144, "Startup"},
	{0x145, "Shutdown"},
	{0x146, "StirRandom"},
	{0x147, "ActivateCredential"},
	{0x148, "Certify"},
	{0x149, "PolicyNV"},
	{0x14A, "CertifyCreation"},
	{0x14B, "Duplicate"},
	{0x14E, "NV_Read"},
	{0x150, "ObjectChangeAuth"},
	{0x151, "PolicySecret"},
	{0x153, "Create"},
	{0x154, "ECDH_ZGen"},
	{0x155, "HMAC"},
	{0x156, "Import"},
	{0x157, "Load"},
	{0x158, "Quote"},
	{0x159, "RSA_Decrypt"},
	{0x15B, "HMAC_Start"},
	{0x15C, "SequenceUpdate"},
	{0x15D, "Sign"},
	{0x15E, "Unseal"},
	{0x161, "ContextLoad"},
	{0x162, "ContextSave"},
	{0x165, "FlushContext"},
	{0x167, "LoadExternal"},
	{0x168, "MakeCredential"},
	{0x169, "NV_ReadPublic"},
	{0x16B, "PolicyAuthValue"},
	{0x16C, "PolicyCommandCode"},
	{0x171, "PolicyOR"},
	{0x173, "ReadPublic"},
	{0x174, "RSA_Encrypt"},
	{0x176, "StartAuthSession"},
	{0x177, "VerifySignature"},
	{0x17A, "GetCapability"},
	{0x17B, "GetRandom"},
	{0x17C, "GetTestResult"},
	{0x17D, "Hash"},
	{0x17E, "PCR_Read"},
	{0x17F, "PolicyPCR"},
	{0x180, "PolicyRestart"},
	{0x182, "PCR_Extend"},
	{0x189, "PolicyGetDigest"},
	{0x18C, "PolicyPassword"},
	{0x191, "CreateLoaded"},
	{0x193, "EncryptDecrypt2"},
}

// maxCode bounds command codes: vendors' own begin above.
const maxCode = 0xFFFF

func commandName(code uint32) string {
	if code == 0 {
		return "*"
	}
	for _, c := range commands {
		if c.code == code {
			return c.name
		}
	}
	return fmt.Sprintf("%#x", code)
}

func commandCode(name string) (uint32, error) {
	if name == "*" {
		return 0, nil
	}
	for _, c := range commands {
		if strings.EqualFold(c.name, name) {
			return c.code, nil
		}
	}
	if hex, ok := strings.CutPrefix(name, "0x"); ok {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil && n > 0 && n <= maxCode {
			return uint32(n), nil
		}
	}
	return 0, fmt.Errorf("there is no command %q: use a name of TCG Part 3 without TPM2_, a code such as 0x15d, or *", name)
}
