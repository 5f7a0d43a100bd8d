package entrawire

import (
	"errors"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

// nativeAlg is the alg of a native session key: it names the TPM command that opens
// it. It is ours, and no value of any registry.
const nativeAlg = "TPM2-Import"

// What is read of a native session key, in bytes. A public area has about 60 of
// them, a seed for a storage key on P-256 has 68 and for RSA-2048 256, a duplicate
// 108; the TPM judges the rest.
const (
	maxNativePublic    = 512
	maxNativeSeed      = 512
	maxNativeDuplicate = 512
)

// ErrNativeKey is wrapped by every error about a native session key.
var ErrNativeKey = errors.New("session_key_jwe is not a session key for a TPM")

// NativeSessionKey is a session key wrapped for a storage key of the device's TPM:
// what TPM2_Import takes (TPM 2.0 Part 3, 13.3), and no secret. It travels where
// the protocol has session_key_jwe, as five segments of which two are empty: a
// header with alg TPM2-Import and the public area in pub, the seed, the duplicate.
// The Name of the public area is inside the MAC of the duplicate, so who wrapped
// the key decided what it may do and nobody on the way can change it.
type NativeSessionKey struct {
	// Public is a TPMT_PUBLIC.
	Public []byte
	// Seed is the content of a TPM2B_ENCRYPTED_SECRET, inSymSeed of the command.
	Seed []byte
	// Duplicate is the content of a TPM2B_PRIVATE.
	Duplicate []byte
}

// Encode writes the text form. Errors: a part that is empty or too long.
func (k NativeSessionKey) Encode() (string, error) {
	if err := k.check(); err != nil {
		return "", err
	}
	header := `{"alg":"` + nativeAlg + `","pub":"` + jose.EncodeSegment(k.Public) + `"}`
	return jose.EncodeSegment([]byte(header)) + "." + jose.EncodeSegment(k.Seed) + ".." + jose.EncodeSegment(k.Duplicate) + ".", nil
}

func (k NativeSessionKey) check() error {
	for _, f := range []struct {
		name string
		part []byte
		most int
	}{{"public area", k.Public, maxNativePublic}, {"seed", k.Seed, maxNativeSeed}, {"duplicate", k.Duplicate, maxNativeDuplicate}} {
		if len(f.part) == 0 || len(f.part) > f.most {
			return fmt.Errorf("%w: %s is not 1 to %d bytes", ErrNativeKey, f.name, f.most)
		}
	}
	return nil
}

// ParseNativeSessionKey reads a native session key of exactly the form that Encode
// writes; the header may have its two members in any order and has no third. It
// takes no wrapped key of the other form, nor does ParseSessionKeyJWE take this
// one: which form there must be is known from the device's keys, never from here.
func ParseNativeSessionKey(s string) (*NativeSessionKey, error) {
	parts, err := jose.Split(s, 5)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNativeKey, err)
	}
	if parts[2] != "" || parts[4] != "" {
		return nil, fmt.Errorf("%w: there is an IV or a tag", ErrNativeKey)
	}
	k := new(NativeSessionKey)
	err = checkHeader(parts[0], map[string]string{"alg": nativeAlg}, func(name, value string) bool {
		if name != "pub" {
			return false
		}
		k.Public, err = jose.DecodeSegment(value)
		return err == nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNativeKey, err)
	}
	if k.Seed, err = jose.DecodeSegment(parts[1]); err != nil {
		return nil, fmt.Errorf("%w: seed: %w", ErrNativeKey, err)
	}
	if k.Duplicate, err = jose.DecodeSegment(parts[3]); err != nil {
		return nil, fmt.Errorf("%w: duplicate: %w", ErrNativeKey, err)
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	return k, nil
}
