package tpmwrap_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/entrawire/nativetest"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tpmwrap"
)

func newKey() secret.Bytes {
	b := make([]byte, kdf.KeySize)
	_, _ = rand.Read(b)
	return secret.NewBytes(b)
}

func wrapped(t testing.TB, h *nativetest.Holder, key secret.Bytes) *entrawire.NativeSessionKey {
	t.Helper()
	text, err := tpmwrap.Wrap(h.StorageKey(), key)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := entrawire.ParseNativeSessionKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func imported(t testing.TB, h *nativetest.Holder, key secret.Bytes) *nativetest.SessionKey {
	t.Helper()
	k, err := h.ImportParts(wrapped(t, h, key))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// wantRC fails unless the TPM refused with one of the codes.
func wantRC(t *testing.T, what string, err error, codes ...tpm2.TPMRC) {
	t.Helper()
	for _, c := range codes {
		if errors.Is(err, c) {
			return
		}
	}
	t.Errorf("%s: %v, want one of %v", what, err, codes)
}

// TestNative_TPMDerivesWhatTheServerDerives imports a wrapped key and compares what
// the TPM derives, which it shows only by its HMACs, with version 3 in software.
func TestNative_TPMDerivesWhatTheServerDerives(t *testing.T) {
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) {
		h, key := nativetest.NewHolder(t, tpm), newKey()
		k := imported(t, h, key)
		for _, context := range [][]byte{bytes.Repeat([]byte{7}, entrawire.ContextSize), kdf.ContextV2([]byte("ctx"), []byte("payload"))} {
			got, err := k.HMAC(context, []byte("message"))
			if err != nil {
				t.Fatal(err)
			}
			m := hmac.New(sha256.New, kdf.DeriveV3(key, context).Reveal())
			m.Write([]byte("message"))
			if !bytes.Equal(got, m.Sum(nil)) {
				t.Errorf("%d bytes of context: the TPM derives another key", len(context))
			}
		}
	})
}

// TestNative_EveryBitIsBound: no bit of what travels can be another one. A changed
// public area is another Name, and the Name is in the MAC.
func TestNative_EveryBitIsBound(t *testing.T) {
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) {
		h := nativetest.NewHolder(t, tpm)
		good := wrapped(t, h, newKey())
		for name, part := range map[string]*[]byte{"public": &good.Public, "seed": &good.Seed, "duplicate": &good.Duplicate} {
			for bit := range 8 * len(*part) {
				(*part)[bit/8] ^= 1 << (bit % 8)
				if _, err := h.ImportParts(good); err == nil {
					t.Errorf("%s: bit %d is another one and the TPM takes it", name, bit)
				}
				(*part)[bit/8] ^= 1 << (bit % 8)
			}
		}
		if _, err := h.ImportParts(good); err != nil {
			t.Errorf("the good one: %v", err)
		}
	})
}

// TestNative_OneTPMOnly: another TPM, and another storage key of the same TPM, open
// nothing.
func TestNative_OneTPMOnly(t *testing.T) {
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) {
		h := nativetest.NewHolder(t, tpm)
		k := wrapped(t, h, newKey())
		for name, other := range map[string]*nativetest.Holder{
			"another key of this TPM": nativetest.NewHolder(t, tpm), "another TPM": nativetest.NewHolder(t, nativetest.Soft(t)),
		} {
			_, err := other.ImportParts(k)
			wantRC(t, name, err, tpm2.TPMRCIntegrity)
		}
	})
}

// TestNative_A10_KeyDerivesAndDoesNothingElse: the imported key does not leave, by
// password or by a policy, it makes no HMAC of the caller's choice and gives its
// data to nobody; and what is derived from it does not leave either.
func TestNative_A10_KeyDerivesAndDoesNothingElse(t *testing.T) {
	nativetest.OnEvery(t, func(t *testing.T, tpm transport.TPM) {
		h := nativetest.NewHolder(t, tpm)
		k := imported(t, h, newKey())
		err := k.With(func(key tpm2.AuthHandle) error {
			for name, a := range map[string]tpm2.Session{"by password": tpm2.PasswordAuth(nil), "by policy": duplicatePolicy()} {
				byAuth := key
				byAuth.Auth = a
				_, err := tpm2.Duplicate{ObjectHandle: byAuth, NewParentHandle: tpm2.TPMRHNull, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}}.Execute(tpm)
				wantRC(t, "duplicate "+name, err, tpm2.TPMRCAuthType, tpm2.TPMRCPolicyFail)
			}
			_, err := tpm2.Hmac{Handle: key, Buffer: tpm2.TPM2BMaxBuffer{Buffer: []byte("x")}, HashAlg: tpm2.TPMAlgSHA256}.Execute(tpm)
			wantRC(t, "HMAC with the session key itself", err, tpm2.TPMRCType, tpm2.TPMRCKey, tpm2.TPMRCAttributes)
			_, err = tpm2.Unseal{ItemHandle: key}.Execute(tpm)
			wantRC(t, "unseal", err, tpm2.TPMRCType, tpm2.TPMRCAttributes)
			_, err = tpm2.Create{ParentHandle: key, InPublic: tpm2.New2B(nativetest.Parent()),
				InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: make([]byte, 32)})}}}.Execute(tpm)
			wantRC(t, "an object under it that is not derived", err, tpm2.TPMRCType)
			_, err = derive(tpm, key, func(p *tpm2.TPMTTemplate) { p.ObjectAttributes.FixedParent = false })
			wantRC(t, "a derived key that may leave", err, tpm2.TPMRCAttributes)
			child, err := derive(tpm, key, func(*tpm2.TPMTTemplate) {})
			if err != nil {
				return err
			}
			_, err = tpm2.Duplicate{ObjectHandle: tpm2.AuthHandle{Handle: child.ObjectHandle, Name: child.Name, Auth: duplicatePolicy()},
				NewParentHandle: tpm2.TPMRHNull, Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}}.Execute(tpm)
			wantRC(t, "duplicate of a derived key", err, tpm2.TPMRCAttributes, tpm2.TPMRCAuthType, tpm2.TPMRCPolicyFail)
			_, err = tpm2.FlushContext{FlushHandle: child.ObjectHandle}.Execute(tpm)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// duplicatePolicy is the policy that an attacker would satisfy if the key had it.
func duplicatePolicy() tpm2.Session {
	return tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tpm transport.TPM, handle tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicyCommandCode{PolicySession: handle, Code: tpm2.TPMCCDuplicate}.Execute(tpm)
		return err
	})
}

func derive(tpm transport.TPM, parent tpm2.AuthHandle, change func(*tpm2.TPMTTemplate)) (*tpm2.CreateLoadedResponse, error) {
	p := tpm2.TPMTTemplate{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgHMAC,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256})}}),
		Unique: tpm2.TPMSDerive{Label: tpm2.TPM2BLabel{Buffer: []byte(kdf.Label)}, Context: tpm2.TPM2BLabel{Buffer: make([]byte, 24)}}}
	change(&p)
	return tpm2.CreateLoaded{ParentHandle: parent, InPublic: tpm2.New2BTemplate(&p)}.Execute(tpm)
}

func TestNative_EveryWrapIsAnother(t *testing.T) {
	h, key := nativetest.NewHolder(t, nativetest.Soft(t)), newKey()
	a, b := wrapped(t, h, key), wrapped(t, h, key)
	if bytes.Equal(a.Public, b.Public) || bytes.Equal(a.Seed, b.Seed) || bytes.Equal(a.Duplicate, b.Duplicate) {
		t.Error("two wraps of one key have something in common")
	}
	if bytes.Contains(a.Duplicate, key.Reveal()) || bytes.Contains(a.Public, key.Reveal()) {
		t.Error("the key travels in the clear")
	}
}

// TestNative_StorageKeysOnly: what is no storage key, fixed to its TPM, gets nothing.
func TestNative_StorageKeysOnly(t *testing.T) {
	good, err := tpm2.Unmarshal[tpm2.TPMTPublic](nativetest.NewHolder(t, nativetest.Soft(t)).StorageKey())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, b []byte) {
		t.Helper()
		if _, err := tpmwrap.Wrap(b, newKey()); !errors.Is(err, tpmwrap.ErrStorageKey) {
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(tpmwrap.Check(b), tpmwrap.ErrStorageKey) {
			t.Errorf("%s passes the check", name)
		}
	}
	for name, change := range map[string]func(*tpm2.TPMTPublic){
		"not restricted":  func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = false },
		"no decryption":   func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Decrypt = false },
		"signs":           func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = true },
		"not fixedTPM":    func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false },
		"not fixedParent": func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedParent = false },
		"known to others": func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SensitiveDataOrigin = false },
		"SHA-1 name":      func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgSHA1 },
		"off the curve": func(p *tpm2.TPMTPublic) {
			p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: []byte{1}}, Y: tpm2.TPM2BECCParameter{Buffer: []byte{2}}})
		},
		"no point": func(p *tpm2.TPMTPublic) { p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{}) },
		"no symmetric": func(p *tpm2.TPMTPublic) {
			p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256})
		},
		"on P-384": func(p *tpm2.TPMTPublic) {
			p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP384, Symmetric: aes(128, tpm2.TPMAlgCFB)})
		},
		"AES-256": func(p *tpm2.TPMTPublic) {
			p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256, Symmetric: aes(256, tpm2.TPMAlgCFB)})
		},
	} {
		p := *good
		change(&p)
		refused(name, tpm2.Marshal(p))
	}
	whole := tpm2.Marshal(*good)
	refused("empty", nil)
	refused("RSA", tpm2.Marshal(tpm2.RSASRKTemplate))
	refused("trailing byte", append(bytes.Clone(whole), 0))
	for n := range whole {
		refused("cut", whole[:n])
	}
	if err := tpmwrap.Check(whole); err != nil {
		t.Errorf("the good one: %v", err)
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := tpmwrap.Wrap(whole, secret.NewBytes(make([]byte, n))); !errors.Is(err, entrawire.ErrSessionKey) {
			t.Errorf("a session key of %d bytes: %v", n, err)
		}
	}
}

func aes(bits tpm2.TPMKeyBits, mode tpm2.TPMAlgID) tpm2.TPMTSymDefObject {
	return tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, bits), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, mode)}
}

func FuzzCheck(f *testing.F) {
	f.Add(nativetest.NewHolder(f, nativetest.Soft(f)).StorageKey())
	f.Add(tpm2.Marshal(tpm2.RSASRKTemplate))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := tpmwrap.Check(b); err != nil && !errors.Is(err, tpmwrap.ErrStorageKey) {
			t.Fatal(err)
		} else if err == nil {
			if _, err := tpmwrap.Wrap(b, newKey()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkWrap(b *testing.B) {
	storage, key := nativetest.NewHolder(b, nativetest.Soft(b)).StorageKey(), newKey()
	for b.Loop() {
		if _, err := tpmwrap.Wrap(storage, key); err != nil {
			b.Fatal(err)
		}
	}
}
