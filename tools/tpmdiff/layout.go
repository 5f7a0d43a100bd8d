package main

import (
	"bytes"
	"fmt"
)

// how a field of a response is compared between two TPMs.
type how int

const (
	same      how = iota // byte for byte
	length               // as many bytes
	ignored              // not at all
	public               // a public area, but for the unique field of a key that the TPM made
	ticket               // tag and hierarchy; the digest is the TPM's secret
	signature            // scheme and hash; the rest where it is deterministic
	attest               // all but clock, firmware and qualified signer
	events               // the SHA-256 digest of a list
	savedAs              // handle and hierarchy
)

// field is one field of a response: a TPM2B unless size says otherwise.
type field struct {
	name string
	how  how
	size int // bytes, -1: the rest; 0: a TPM2B
}

type layout struct {
	name   string
	handle bool
	fields []field
}

func f2(name string, h how) field { return field{name, h, 0} }

// layouts are the responses (Part 3), by command.
func layouts() map[uint32]layout {
	l := map[uint32]layout{
		ccStartup: {name: "Startup"}, ccShutdown: {name: "Shutdown"}, ccSelfTest: {name: "SelfTest"},
		ccGetTestResult: {name: "GetTestResult", fields: []field{f2("data", ignored), {"result", same, 4}}},
		ccGetRandom:     {name: "GetRandom", fields: []field{f2("random", length)}},
		ccStirRandom:    {name: "StirRandom"},
		ccGetCapability: {name: "GetCapability", fields: []field{{"more", ignored, 1}, {"data", same, -1}}},
		ccTestParms:     {name: "TestParms"},
		ccCreatePrimary: {name: "CreatePrimary", handle: true, fields: []field{
			f2("public", public), f2("creation", same), f2("hash", same), {"ticket", ticket, -2}, f2("name", length)}},
		ccCreate: {name: "Create", fields: []field{
			f2("private", ignored), f2("public", public), f2("creation", length), f2("hash", length), {"ticket", ticket, -2}}},
		ccLoad:         {name: "Load", handle: true, fields: []field{f2("name", length)}},
		ccLoadExternal: {name: "LoadExternal", handle: true, fields: []field{f2("name", same)}},
		ccReadPublic:   {name: "ReadPublic", fields: []field{f2("public", public), f2("name", length), f2("qualified", length)}},
		ccFlush:        {name: "FlushContext"},
		ccContextSave:  {name: "ContextSave", fields: []field{{"context", savedAs, -1}}},
		ccContextLoad:  {name: "ContextLoad", handle: true},
		ccEvict:        {name: "EvictControl"},
		ccChangeAuth:   {name: "ObjectChangeAuth", fields: []field{f2("private", ignored)}},
		ccHierAuth:     {name: "HierarchyChangeAuth"}, ccClear: {name: "Clear"}, ccClearControl: {name: "ClearControl"},
		ccHierControl: {name: "HierarchyControl"}, ccLockReset: {name: "DictionaryAttackLockReset"},
		ccLockParams: {name: "DictionaryAttackParameters"},
		ccSign:       {name: "Sign", fields: []field{{"signature", signature, -1}}},
		ccVerify:     {name: "VerifySignature", fields: []field{{"ticket", ticket, -1}}},
		ccRSAEncrypt: {name: "RSA_Encrypt", fields: []field{f2("cipher", length)}},
		ccRSADecrypt: {name: "RSA_Decrypt", fields: []field{f2("plain", same)}},
		ccHMAC:       {name: "HMAC", fields: []field{f2("mac", same)}},
		ccHash:       {name: "Hash", fields: []field{f2("digest", same), {"ticket", ticket, -1}}},
		ccHMACStart:  {name: "HMAC_Start", handle: true}, ccHashStart: {name: "HashSequenceStart", handle: true},
		ccSeqUpdate:    {name: "SequenceUpdate"},
		ccSeqComplete:  {name: "SequenceComplete", fields: []field{f2("digest", same), {"ticket", ticket, -1}}},
		ccCrypt2:       {name: "EncryptDecrypt2", fields: []field{f2("data", same), f2("iv", same)}},
		ccUnseal:       {name: "Unseal", fields: []field{f2("data", same)}},
		ccECDHKeyGen:   {name: "ECDH_KeyGen", fields: []field{f2("z", length), f2("point", length)}},
		ccECDHZGen:     {name: "ECDH_ZGen", fields: []field{f2("z", same)}},
		ccECCParms:     {name: "ECC_Parameters", fields: []field{{"parms", same, -1}}},
		ccCertify:      {name: "Certify", fields: []field{f2("attest", attest), {"signature", ignored, -1}}},
		ccQuote:        {name: "Quote", fields: []field{f2("attest", attest), {"signature", ignored, -1}}},
		ccGetTime:      {name: "GetTime", fields: []field{f2("attest", attest), {"signature", ignored, -1}}},
		ccNVCertify:    {name: "NV_Certify", fields: []field{f2("attest", attest), {"signature", ignored, -1}}},
		ccCertCreation: {name: "CertifyCreation", fields: []field{f2("attest", attest), {"signature", ignored, -1}}},
		ccMakeCred:     {name: "MakeCredential", fields: []field{f2("blob", length), f2("secret", length)}},
		ccActivate:     {name: "ActivateCredential", fields: []field{f2("info", same)}},
		ccImport:       {name: "Import", fields: []field{f2("private", ignored)}},
		ccDuplicate:    {name: "Duplicate", fields: []field{f2("key", length), f2("duplicate", length), f2("seed", length)}},
		ccPCRRead:      {name: "PCR_Read", fields: []field{{"counter", ignored, 4}, {"pcrs", same, -1}}},
		ccPCRExtend:    {name: "PCR_Extend"}, ccPCRReset: {name: "PCR_Reset"},
		ccPCREvent:         {name: "PCR_Event", fields: []field{{"digests", events, -1}}},
		ccReadClock:        {name: "ReadClock", fields: []field{{"time", ignored, -1}}},
		ccPolicySigned:     {name: "PolicySigned", fields: []field{f2("timeout", ignored), {"ticket", ticket, -1}}},
		ccPolicySecret:     {name: "PolicySecret", fields: []field{f2("timeout", ignored), {"ticket", ticket, -1}}},
		ccPolicyDigest:     {name: "PolicyGetDigest", fields: []field{f2("digest", same)}},
		ccNVReadPublic:     {name: "NV_ReadPublic", fields: []field{f2("public", same), f2("name", same)}},
		ccNVRead:           {name: "NV_Read", fields: []field{f2("data", same)}},
		ccStartAuthSession: {name: "StartAuthSession", handle: true, fields: []field{f2("nonce", length)}},
	}
	for cc, name := range map[uint32]string{
		ccPolicyAuthValue: "PolicyAuthValue", ccPolicyPassword: "PolicyPassword", ccPolicyCode: "PolicyCommandCode", ccPolicyOR: "PolicyOR",
		ccPolicyPCR: "PolicyPCR", ccPolicyLocality: "PolicyLocality", ccPolicyCpHash: "PolicyCpHash", ccPolicyNameHash: "PolicyNameHash",
		ccPolicyDup: "PolicyDuplicationSelect", ccPolicyAuthorize: "PolicyAuthorize", ccPolicyNV: "PolicyNV", ccPolicyRestart: "PolicyRestart",
		ccPolicyTime: "PolicyCounterTimer", ccPolicyNVWritten: "PolicyNvWritten", ccPolicyTemplate: "PolicyTemplate",
		ccNVDefine: "NV_DefineSpace", ccNVUndefine: "NV_UndefineSpace", ccNVWrite: "NV_Write", ccNVIncrement: "NV_Increment",
		ccNVExtend: "NV_Extend", ccNVSetBits: "NV_SetBits", ccNVWriteLock: "NV_WriteLock", ccNVReadLock: "NV_ReadLock",
		ccNVGlobalLock: "NV_GlobalWriteLock", ccNVChangeAuth: "NV_ChangeAuth",
	} {
		l[cc] = layout{name: name}
	}
	return l
}

func layoutOf(cc uint32) layout {
	if l, ok := layouts()[cc]; ok {
		return l
	}
	return layout{name: fmt.Sprintf("command %#x", cc), fields: []field{{"all", same, -1}}}
}

// split takes the parameters of a response apart.
func split(l layout, params []byte) (map[string][]byte, error) {
	r := reader{b: params}
	got := map[string][]byte{}
	for _, f := range l.fields {
		switch {
		case f.size == 0:
			got[f.name] = r.sized()
		case f.size > 0:
			got[f.name] = r.take(f.size)
		case f.size == -1:
			got[f.name] = r.take(len(r.b))
		default: // a ticket: tag, hierarchy, digest
			got[f.name] = r.take(min(6, len(r.b)))
			got[f.name] = append(bytes.Clone(got[f.name]), b2(r.sized())...)
		}
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%s: response parameters %x", l.name, params)
	}
	return got, nil
}

// visible is what of a field two TPMs must agree in.
func visible(f field, b []byte, known bool) []byte {
	r := reader{b: b}
	switch f.how {
	case length:
		return u32(uint32(len(b)))
	case ignored:
		return nil
	case public:
		return visiblePublic(b, known)
	case ticket:
		return r.take(6)
	case signature:
		alg := r.u16()
		if (alg == algRSASSA || alg == algHMAC) && known {
			return b
		}
		return cat(u16(alg), u16(r.u16()))
	case attest:
		return visibleAttest(b)
	case events:
		for n := r.u32(); n > 0 && !r.bad; n-- {
			switch r.u16() {
			case algSHA256:
				return r.take(32)
			case algSHA1:
				r.take(20)
			case algSHA384:
				r.take(48)
			case algSHA512:
				r.take(64)
			}
		}
		return nil
	case savedAs:
		r.take(8)
		return r.take(8)
	case same:
	}
	return b
}

// visiblePublic leaves out the unique field of a key that the TPM made.
func visiblePublic(b []byte, known bool) []byte {
	if known || len(b) < 2 {
		return b
	}
	r := reader{b: b}
	kind := r.u16()
	r.take(6)
	r.sized()
	switch kind {
	case algRSA:
		if r.u16() != algNull {
			r.take(4)
		}
		if r.u16() != algNull {
			r.take(2)
		}
		r.take(6)
	case algECC:
		if r.u16() != algNull {
			r.take(4)
		}
		if r.u16() != algNull {
			r.take(2)
		}
		r.take(2)
		if r.u16() != algNull {
			r.take(2)
		}
	default:
		return cat(b[:min(len(b), 10)], u32(uint32(len(b))))
	}
	// Coordinates may be written without leading zeros, so no lengths of them.
	return b[:len(b)-len(r.b)]
}

// visibleAttest is magic, type and qualifying data, and of the kinds whose
// content does not depend on keys of the TPM, the content.
func visibleAttest(b []byte) []byte {
	r := reader{b: b}
	magic, kind := r.take(4), r.take(2)
	r.sized()                 // qualified signer
	extra := r.sized()        //
	r.take(8 + 4 + 4 + 1 + 8) // clock, resets, restarts, safe, firmware
	out := cat(magic, kind, b2(extra))
	if k := kind; len(k) == 2 && (k[1] == 0x18 || k[1] == 0x14) { // quote, NV
		return append(out, r.b...)
	}
	return append(out, u32(uint32(len(r.b)))...)
}
