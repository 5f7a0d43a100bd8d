// Package kdf derives the working keys of the PRT protocol from a session key.
//
// What lives here: the one derivation the protocol knows, NIST SP 800-108 in
// counter mode with HMAC-SHA-256 and one block (MS-OAPXBC 3.1.5.1.3.3), with the
// two ways to choose its context, and version 3, which is what a TPM can compute
// without letting the derived key out. What never may: a choice of version, which
// is policy of the caller, and any other label. The TPM agent calls Input and lets
// the TPM compute the HMAC, or gives a TPM the Label and a context; whoever holds a
// session key in software calls Derive or DeriveV3.
package kdf

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// KeySize is the size of a session key and of every derived key, in bytes.
const KeySize = 32

// Label separates this use of the session key from every other. A TPM gets it as
// the label of a derived object and adds the zero byte after it by itself (TCG
// Part 1, 11.4.10.2).
const Label = "AzureAD-SecureConversation"

// The output lengths that go into the message, in bits. Version 3 uses only the
// first 256 of its 8192: a TPM makes every derived object from one stream of that
// length (TCG Part 1, 28.5; TPM_MAX_DERIVATION_BITS) and takes what it needs.
const (
	bits   = 256
	bitsV3 = 8192
)

// Input is the message whose HMAC-SHA-256 under the session key is the derived
// key: counter 1, label, a zero byte, ctx, and the output length of 256 bits,
// both numbers as four bytes big-endian. It holds no secret. Because ctx has no
// length of its own in the message, callers bound its size before.
func Input(ctx []byte) []byte { return input(ctx, bits) }

// InputV3 is the message of version 3: it differs from Input in the output length
// alone, which says 8192 bits.
func InputV3(ctx []byte) []byte { return input(ctx, bitsV3) }

func input(ctx []byte, length uint32) []byte {
	in := make([]byte, 0, 4+len(Label)+1+len(ctx)+4)
	in = binary.BigEndian.AppendUint32(in, 1)
	in = append(in, Label...)
	in = append(in, 0)
	in = append(in, ctx...)
	return binary.BigEndian.AppendUint32(in, length)
}

// ContextV2 is the context of version 2: SHA-256 of the ctx of the token's
// header and of the token's payload exactly as transmitted (decoded, not parsed).
// It makes the derived key good for that one payload, so that a key taken from a
// device signs nothing else. Version 3 has the same context: 32 bytes, which is as
// much as a TPM takes.
func ContextV2(ctx, payload []byte) []byte {
	h := sha256.New()
	h.Write(ctx)
	h.Write(payload)
	return h.Sum(nil)
}

// Derive computes the derived key, 32 bytes, in software. Version 1 gives the ctx
// of the header, version 2 its ContextV2.
func Derive(sessionKey secret.Bytes, ctx []byte) secret.Bytes { return derive(sessionKey, Input(ctx)) }

// DeriveV3 computes in software what the TPM keeps inside: the derived key of
// version 3, 32 bytes, for a ctx made by ContextV2.
func DeriveV3(sessionKey secret.Bytes, ctx []byte) secret.Bytes {
	return derive(sessionKey, InputV3(ctx))
}

func derive(sessionKey secret.Bytes, message []byte) secret.Bytes {
	derived := make([]byte, 0, KeySize)
	secret.Do(func() {
		mac := hmac.New(sha256.New, sessionKey.Reveal())
		mac.Write(message)
		derived = mac.Sum(derived)
	})
	return secret.NewBytes(derived)
}
