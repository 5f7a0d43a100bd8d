package nativetest

import (
	"crypto/aes"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
)

// maxBuffer is how much data one command takes, in bytes.
const maxBuffer = 1024

// SessionKey is a session key that was imported: a parent that keys are derived from.
type SessionKey struct {
	h      *Holder
	public tpm2.TPM2BPublic
	blob   tpm2.TPM2BPrivate
}

// Import reads the text form and has the TPM import it under the storage key. The
// error of the TPM is a tpm2.TPMRC.
func (h *Holder) Import(text string) (*SessionKey, error) {
	parts, err := entrawire.ParseNativeSessionKey(text)
	if err != nil {
		return nil, err
	}
	return h.ImportParts(parts)
}

// ImportParts imports what was read, or changed since.
func (h *Holder) ImportParts(parts *entrawire.NativeSessionKey) (*SessionKey, error) {
	k := &SessionKey{h: h, public: tpm2.BytesAs2B[tpm2.TPMTPublic](parts.Public)}
	err := h.withStorage(func(storage loaded) error {
		r, err := tpm2.Import{ParentHandle: auth(storage.handle, storage.name), ObjectPublic: k.public,
			Duplicate: tpm2.TPM2BPrivate{Buffer: parts.Duplicate}, InSymSeed: tpm2.TPM2BEncryptedSecret{Buffer: parts.Seed},
			Symmetric: tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}}.Execute(h.tpm)
		if err != nil {
			return err
		}
		k.blob = r.OutPrivate
		loaded, err := h.load(storage, k.public, k.blob)
		h.flush(loaded.handle)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// With runs f with the session key loaded, to ask the TPM for what a device would not.
func (k *SessionKey) With(f func(key tpm2.AuthHandle) error) error {
	var key loaded
	err := k.h.withStorage(func(storage loaded) (err error) {
		key, err = k.h.load(storage, k.public, k.blob)
		return err
	})
	if err != nil {
		return err
	}
	defer k.h.flush(key.handle)
	return f(auth(key.handle, key.name))
}

// withDerived derives a key by label and context; it is gone after f.
func (k *SessionKey) withDerived(template tpm2.TPMTTemplate, context []byte, f func(tpm2.AuthHandle) error) error {
	template.NameAlg = tpm2.TPMAlgSHA256
	a := &template.ObjectAttributes
	a.FixedParent, a.UserWithAuth, a.NoDA = true, true, true
	template.Unique = tpm2.TPMSDerive{Label: tpm2.TPM2BLabel{Buffer: []byte(kdf.Label)}, Context: tpm2.TPM2BLabel{Buffer: context}}
	var child loaded
	err := k.With(func(key tpm2.AuthHandle) error {
		r, err := tpm2.CreateLoaded{ParentHandle: key, InPublic: tpm2.New2BTemplate(&template)}.Execute(k.h.tpm)
		if err == nil {
			child = loaded{r.ObjectHandle, r.Name}
		}
		return err
	})
	if err != nil {
		return err
	}
	defer k.h.flush(child.handle)
	return f(auth(child.handle, child.name))
}

// HMAC is HMAC-SHA-256 of data under the key derived for context.
func (k *SessionKey) HMAC(context, data []byte) (mac []byte, err error) {
	template := tpm2.TPMTTemplate{Type: tpm2.TPMAlgKeyedHash, ObjectAttributes: tpm2.TPMAObject{SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgHMAC,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256})}})}
	err = k.withDerived(template, context, func(key tpm2.AuthHandle) error {
		r, err := tpm2.HmacStart{Handle: key, HashAlg: tpm2.TPMAlgNull}.Execute(k.h.tpm)
		if err != nil {
			return err
		}
		sequence := tpm2.AuthHandle{Handle: r.SequenceHandle, Auth: tpm2.PasswordAuth(nil)}
		for len(data) > maxBuffer {
			if _, err := (tpm2.SequenceUpdate{SequenceHandle: sequence, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data[:maxBuffer]}}).Execute(k.h.tpm); err != nil {
				return err
			}
			data = data[maxBuffer:]
		}
		f, err := tpm2.SequenceComplete{SequenceHandle: sequence, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data}, Hierarchy: tpm2.TPMRHNull}.Execute(k.h.tpm)
		if err == nil {
			mac = f.Result.Buffer
		}
		return err
	})
	return mac, err
}

// CTR is what AES-256 in counter mode makes of n blocks of zeros, under the key
// derived for context, for each of the counters.
func (k *SessionKey) CTR(context []byte, runs ...Run) (streams [][]byte, err error) {
	template := tpm2.TPMTTemplate{Type: tpm2.TPMAlgSymCipher, ObjectAttributes: tpm2.TPMAObject{SignEncrypt: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgAES,
			KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(256)), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCTR)}})}
	err = k.withDerived(template, context, func(key tpm2.AuthHandle) error {
		for _, run := range runs {
			var out []byte
			iv := run.First[:]
			for left := run.Blocks * aes.BlockSize; left > 0; left -= maxBuffer {
				r, err := tpm2.EncryptDecrypt2{KeyHandle: key, Message: tpm2.TPM2BMaxBuffer{Buffer: make([]byte, min(left, maxBuffer))},
					Mode: tpm2.TPMAlgNull, IV: tpm2.TPM2BIV{Buffer: iv}}.Execute(k.h.tpm)
				if err != nil {
					return err
				}
				out, iv = append(out, r.OutData.Buffer...), r.IV.Buffer
			}
			streams = append(streams, out)
		}
		return nil
	})
	return streams, err
}

// Run is a number of counter blocks from a first one on.
type Run struct {
	First  [aes.BlockSize]byte
	Blocks int
}

// SignSession signs claims: the TPM derives the key and makes the HMAC.
func (k *SessionKey) SignSession(claims []byte) (string, error) {
	input, context, err := entrawire.NativeSigningInput(claims)
	if err != nil {
		return "", err
	}
	mac, err := k.HMAC(context, []byte(input))
	if err != nil {
		return "", err
	}
	return entrawire.FinishNative(input, mac)
}

// OpenAnswer opens an answer: the TPM derives the key and runs AES.
func (k *SessionKey) OpenAnswer(text string) ([]byte, error) {
	a, err := entrawire.ParseNativeAnswer(text)
	if err != nil {
		return nil, err
	}
	first, n := a.Counters()
	streams, err := k.CTR(a.Ctx, Run{Blocks: 1}, Run{First: first, Blocks: n})
	if err != nil {
		return nil, err
	}
	blocks, err := a.Blocks(streams[0], streams[1])
	if err != nil {
		return nil, err
	}
	defer blocks.Wipe()
	return a.Open(blocks)
}
