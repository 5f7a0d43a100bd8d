// Package kdf derives the working keys of the PRT protocol from a session key.
//
// What lives here: the one derivation the protocol knows, NIST SP 800-108 in
// counter mode with HMAC-SHA-256 and one block (MS-OAPXBC 3.1.5.1.3.3), with the
// two ways to choose its context. What never may: a choice of version, which is
// policy of the caller, and any other label. The TPM agent calls Input and lets
// the TPM compute the HMAC; whoever holds a session key in software calls Derive.
package kdf

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// KeySize is the size of a session key and of every derived key, in bytes.
const KeySize = 32

// label separates this use of the session key from every other.
const label = "AzureAD-SecureConversation"

// Input is the message whose HMAC-SHA-256 under the session key is the derived
// key: counter 1, label, a zero byte, ctx, and the output length of 256 bits,
// both numbers as four bytes big-endian. It holds no secret. Because ctx has no
// length of its own in the message, callers bound its size before.
func Input(ctx []byte) []byte {
	in := make([]byte, 0, 4+len(label)+1+len(ctx)+4)
	in = append(in, 0, 0, 0, 1)
	in = append(in, label...)
	in = append(in, 0)
	in = append(in, ctx...)
	return append(in, 0, 0, 1, 0)
}

// ContextV2 is the context of version 2: SHA-256 of the ctx of the token's
// header and of the token's payload exactly as transmitted (decoded, not parsed).
// It makes the derived key good for that one payload, so that a key taken from a
// device signs nothing else.
func ContextV2(ctx, payload []byte) []byte {
	h := sha256.New()
	h.Write(ctx)
	h.Write(payload)
	return h.Sum(nil)
}

// Derive computes the derived key, 32 bytes, in software.
func Derive(sessionKey secret.Bytes, ctx []byte) secret.Bytes {
	mac := hmac.New(sha256.New, sessionKey.Reveal())
	mac.Write(Input(ctx))
	return secret.NewBytes(mac.Sum(nil))
}
