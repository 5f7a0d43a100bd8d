package tpmfault

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
)

func TestRulesAreReadAndWrittenAlike(t *testing.T) {
	for text, want := range map[string]Rule{
		"Sign:rc=0x101:times=2":    {Command: 0x15d, Effect: Code, Code: 0x101, Times: 2},
		"*:gone":                   {Effect: Gone},
		"HMAC:lost:skip=1:times=1": {Command: 0x155, Effect: Lost, Skip: 1, Times: 1},
		"RSA_Decrypt:delay=200ms":  {Command: 0x159, Effect: Delay, Delay: 200 * time.Millisecond},
		"*:latency=field":          {Effect: Latency},
		"Load:cleared":             {Command: 0x157, Effect: Cleared, Times: 1},
		"*:locked":                 {Effect: Locked},
		"0x1234:wrongkey:skip=3":   {Command: 0x1234, Effect: WrongKey, Skip: 3},
	} {
		rules, err := Parse(text)
		if err != nil || len(rules) != 1 || rules[0] != want {
			t.Errorf("%s: %+v, %v", text, rules, err)
			continue
		}
		if got := rules[0].String(); got != text {
			t.Errorf("%s is written %s", text, got)
		}
	}
	rules, err := Parse("# a comment\n latency=field ; sign:gone\n\n0x15d:gone")
	if err != nil || len(rules) != 3 || rules[0] != (Rule{Effect: Latency}) || rules[1] != rules[2] {
		t.Errorf("%v, %v", rules, err)
	}
}

func TestRulesThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{
		"Sign", "Sign:", ":gone", "Sing:gone", "0x0:gone", "0x10000:gone", "0xzz:gone", "Sign:rc", "Sign:rc=0", "Sign:rc=x", "Sign:rc=0x100000000",
		"Sign:delay", "Sign:delay=0s", "Sign:delay=-1s", "Sign:delay=24h", "Sign:gone=1", "Sign:latency", "Sign:latency=lab", "Sign:none",
		"*:gone:times=0", "*:gone:times=-1", "*:gone:often=2", "*:gone:times", "*:gone:times=1:times=2", "*:gone:skip=99999999999", "*:cleared:times=2",
	} {
		if rules, err := Parse(text); err == nil {
			t.Errorf("%q was read as %v", text, rules)
		}
	}
	for _, r := range []Rule{{}, {Effect: 99}, {Effect: Gone, Code: 1}, {Effect: Gone, Delay: 1}, {Effect: Gone, Skip: -1}, {Effect: Gone, Times: -1}} {
		if _, err := New(Config{Below: scripted(nil), Rules: []Rule{r}}); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no TPM below was taken")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Sign:rc=0x101:times=2; *:gone\nlatency=field")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := Parse(text)
		if err != nil {
			return
		}
		var lines []string
		for _, r := range rules {
			lines = append(lines, r.String())
		}
		again, err := Parse(strings.Join(lines, "\n"))
		if err != nil || !slices.Equal(rules, again) {
			t.Errorf("%q: %v became %v, %v", text, rules, again, err)
		}
	})
}

// TestCommandsHaveTheCodesOfTheLibrary compares the names with go-tpm's.
func TestCommandsHaveTheCodesOfTheLibrary(t *testing.T) {
	for name, code := range map[string]tpm2.TPMCC{
		"ActivateCredential": tpm2.TPMCCActivateCredential, "Certify": tpm2.TPMCCCertify, "CertifyCreation": tpm2.TPMCCCertifyCreation,
		"Clear": tpm2.TPMCCClear, "ClearControl": tpm2.TPMCCClearControl, "ContextLoad": tpm2.TPMCCContextLoad, "ContextSave": tpm2.TPMCCContextSave,
		"Create": tpm2.TPMCCCreate, "CreateLoaded": tpm2.TPMCCCreateLoaded, "CreatePrimary": tpm2.TPMCCCreatePrimary,
		"DictionaryAttackLockReset": tpm2.TPMCCDictionaryAttackLockReset, "DictionaryAttackParameters": tpm2.TPMCCDictionaryAttackParameters,
		"Duplicate": tpm2.TPMCCDuplicate, "ECDH_ZGen": tpm2.TPMCCECDHZGen, "EncryptDecrypt2": tpm2.TPMCCEncryptDecrypt2, "EvictControl": tpm2.TPMCCEvictControl,
		"FlushContext": tpm2.TPMCCFlushContext, "GetCapability": tpm2.TPMCCGetCapability, "GetRandom": tpm2.TPMCCGetRandom, "GetTestResult": tpm2.TPMCCGetTestResult,
		"HMAC": tpm2.TPMCCHMAC, "HMAC_Start": tpm2.TPMCCHMACStart, "Hash": tpm2.TPMCCHash, "HierarchyChangeAuth": tpm2.TPMCCHierarchyChanegAuth,
		"HierarchyControl": tpm2.TPMCCHierarchyControl, "Import": tpm2.TPMCCImport, "Load": tpm2.TPMCCLoad, "LoadExternal": tpm2.TPMCCLoadExternal,
		"MakeCredential": tpm2.TPMCCMakeCredential, "NV_DefineSpace": tpm2.TPMCCNVDefineSpace, "NV_Increment": tpm2.TPMCCNVIncrement, "NV_Read": tpm2.TPMCCNVRead,
		"NV_ReadPublic": tpm2.TPMCCNVReadPublic, "NV_UndefineSpace": tpm2.TPMCCNVUndefineSpace, "NV_Write": tpm2.TPMCCNVWrite,
		"ObjectChangeAuth": tpm2.TPMCCObjectChangeAuth, "PCR_Extend": tpm2.TPMCCPCRExtend, "PCR_Read": tpm2.TPMCCPCRRead,
		"PolicyAuthValue": tpm2.TPMCCPolicyAuthValue, "PolicyCommandCode": tpm2.TPMCCPolicyCommandCode, "PolicyGetDigest": tpm2.TPMCCPolicyGetDigest,
		"PolicyNV": tpm2.TPMCCPolicyNV, "PolicyOR": tpm2.TPMCCPolicyOR, "PolicyPCR": tpm2.TPMCCPolicyPCR, "PolicyPassword": tpm2.TPMCCPolicyPassword,
		"PolicyRestart": tpm2.TPMCCPolicyRestart, "PolicySecret": tpm2.TPMCCPolicySecret, "Quote": tpm2.TPMCCQuote, "RSA_Decrypt": tpm2.TPMCCRSADecrypt,
		"RSA_Encrypt": tpm2.TPMCCRSAEncrypt, "ReadPublic": tpm2.TPMCCReadPublic, "SelfTest": tpm2.TPMCCSelfTest, "SequenceUpdate": tpm2.TPMCCSequenceUpdate,
		"Shutdown": tpm2.TPMCCShutdown, "Sign": tpm2.TPMCCSign, "StartAuthSession": tpm2.TPMCCStartAuthSession, "Startup": tpm2.TPMCCStartup,
		"StirRandom": tpm2.TPMCCStirRandom, "Unseal": tpm2.TPMCCUnseal, "VerifySignature": tpm2.TPMCCVerifySignature,
	} {
		if got, err := commandCode(name); err != nil || got != uint32(code) {
			t.Errorf("%s is %#x, not %#x: %v", name, uint32(code), got, err)
		}
	}
	for _, c := range commands {
		if commandName(c.code) != c.name {
			t.Errorf("two names for %#x", c.code)
		}
	}
}

// TestFLT04_TheLatencyIsThatOfTheField checks the profile by its percentiles, and
// that what is drawn follows it.
func TestFLT04_TheLatencyIsThatOfTheField(t *testing.T) {
	for q, want := range map[float64]time.Duration{0.5: fieldP50, 0.95: fieldP95} {
		if got := quantile(q); math.Abs(float64(got-want)) > float64(time.Millisecond) {
			t.Errorf("quantile %v is %v, not %v", q, got, want)
		}
	}
	const n = 20000
	below := 0
	for range n {
		d := fieldLatency()
		if d <= 0 || d > fieldMost {
			t.Fatalf("drew %v", d)
		}
		if d <= fieldP95 {
			below++
		}
	}
	// 0.95 with a standard deviation of 0.0015: out of these bounds once in 10^30.
	if share := float64(below) / n; share < 0.93 || share > 0.97 {
		t.Errorf("%v below P95", share)
	}
}
