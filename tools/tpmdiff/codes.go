package main

// Command codes (Part 2, 6.5.2).
const (
	ccEvict            = 0x120
	ccHierControl      = 0x121
	ccNVUndefine       = 0x122
	ccClear            = 0x126
	ccClearControl     = 0x127
	ccHierAuth         = 0x129
	ccNVDefine         = 0x12a
	ccCreatePrimary    = 0x131
	ccNVGlobalLock     = 0x132
	ccNVIncrement      = 0x134
	ccNVSetBits        = 0x135
	ccNVExtend         = 0x136
	ccNVWrite          = 0x137
	ccNVWriteLock      = 0x138
	ccLockReset        = 0x139
	ccLockParams       = 0x13a
	ccNVChangeAuth     = 0x13b
	ccPCREvent         = 0x13c
	ccPCRReset         = 0x13d
	ccSeqComplete      = 0x13e
	ccSelfTest         = 0x143
	ccStartup          = 0x144
	ccShutdown         = 0x145
	ccStirRandom       = 0x146
	ccActivate         = 0x147
	ccCertify          = 0x148
	ccPolicyNV         = 0x149
	ccCertCreation     = 0x14a
	ccDuplicate        = 0x14b
	ccGetTime          = 0x14c
	ccNVRead           = 0x14e
	ccNVReadLock       = 0x14f
	ccChangeAuth       = 0x150
	ccPolicySecret     = 0x151
	ccCreate           = 0x153
	ccECDHZGen         = 0x154
	ccHMAC             = 0x155
	ccImport           = 0x156
	ccLoad             = 0x157
	ccQuote            = 0x158
	ccRSADecrypt       = 0x159
	ccHMACStart        = 0x15b
	ccSeqUpdate        = 0x15c
	ccSign             = 0x15d
	ccUnseal           = 0x15e
	ccPolicySigned     = 0x160
	ccContextLoad      = 0x161
	ccContextSave      = 0x162
	ccECDHKeyGen       = 0x163
	ccFlush            = 0x165
	ccLoadExternal     = 0x167
	ccMakeCred         = 0x168
	ccNVReadPublic     = 0x169
	ccPolicyAuthorize  = 0x16a
	ccPolicyAuthValue  = 0x16b
	ccPolicyCode       = 0x16c
	ccPolicyTime       = 0x16d
	ccPolicyCpHash     = 0x16e
	ccPolicyLocality   = 0x16f
	ccPolicyNameHash   = 0x170
	ccPolicyOR         = 0x171
	ccReadPublic       = 0x173
	ccRSAEncrypt       = 0x174
	ccStartAuthSession = 0x176
	ccVerify           = 0x177
	ccECCParms         = 0x178
	ccGetCapability    = 0x17a
	ccGetRandom        = 0x17b
	ccGetTestResult    = 0x17c
	ccHash             = 0x17d
	ccPCRRead          = 0x17e
	ccPolicyPCR        = 0x17f
	ccPolicyRestart    = 0x180
	ccReadClock        = 0x181
	ccPCRExtend        = 0x182
	ccNVCertify        = 0x184
	ccHashStart        = 0x186
	ccPolicyDup        = 0x188
	ccPolicyDigest     = 0x189
	ccTestParms        = 0x18a
	ccPolicyPassword   = 0x18c
	ccPolicyNVWritten  = 0x18f
	ccPolicyTemplate   = 0x190
	ccCrypt2           = 0x193
)

// Algorithms (Part 2, 6.3).
const (
	algRSA       = 0x0001
	algSHA1      = 0x0004
	algHMAC      = 0x0005
	algAES       = 0x0006
	algKeyedHash = 0x0008
	algSHA256    = 0x000b
	algSHA384    = 0x000c
	algSHA512    = 0x000d
	algNull      = 0x0010
	algRSASSA    = 0x0014
	algRSAES     = 0x0015
	algRSAPSS    = 0x0016
	algOAEP      = 0x0017
	algECDSA     = 0x0018
	algECDH      = 0x0019
	algECC       = 0x0023
	algSymCipher = 0x0025
	algCTR       = 0x0040
	algCBC       = 0x0042
	algCFB       = 0x0043
)

// Handles that every TPM has (Part 2, 7.4).
const (
	rhOwner       = 0x40000001
	rhNull        = 0x40000007
	rhLockout     = 0x4000000a
	rhEndorsement = 0x4000000b
	rhPlatform    = 0x4000000c
)

// Attributes of an object (Part 2, 8.3).
const (
	fixedTPM     = 1 << 1
	stClear      = 1 << 2
	fixedParent  = 1 << 4
	origin       = 1 << 5
	userWithAuth = 1 << 6
	adminPolicy  = 1 << 7
	noDA         = 1 << 10
	encDup       = 1 << 11
	restricted   = 1 << 16
	decrypt      = 1 << 17
	sign         = 1 << 18
)
