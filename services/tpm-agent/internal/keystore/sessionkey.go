package keystore

import (
	"context"
	"errors"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// maxSealedKey bounds a sealed session key in bytes.
const maxSealedKey = 8 << 10

// Owner is whose a session key is: the component that imported it, and the
// partition of the PRT it belongs to.
type Owner struct {
	Caller string
	Tenant ids.TenantID
	User   ids.UserID
	// Kind of credential, such as "password".
	Kind string
}

// authSession is bound to the owner: a blob in the hands of another caller, or
// named for another partition, meets a TPM that refuses the authorisation value.
func (s *Store) authSession(set *keySet, o Owner) secret.Bytes {
	return s.secret.auth(purposeSess, set.ID, o.Caller, string(o.Tenant), string(o.User), o.Kind)
}

// ImportSessionKey takes the session key of a PRT answer in the form that the
// registration agreed on; the other form is refused, whatever the answer says.
func (s *Store) ImportSessionKey(ctx context.Context, o Owner, wrapped string) ([]byte, error) {
	set, p, err := s.currentFor(o.Caller)
	if err != nil {
		return nil, err
	}
	auth := s.authSession(set, o)
	defer auth.Wipe()
	u := use{what: "import the session key", purpose: purposeTK, set: set.ID, owner: o}
	form := formHMAC
	var key blob
	if set.Native {
		form, u.purpose = formDerive, purposeStore
		key, err = s.importNative(ctx, p, set, u, auth, wrapped)
	} else {
		key, err = s.importWrapped(ctx, p, set, u, auth, wrapped)
	}
	if err != nil {
		return nil, err
	}
	return sealedKey{form, set.ID, key}.encode()
}

// importWrapped unwraps a session key with tk and puts it under the TPM's own key.
// Between the two commands the key is in this process, because no TPM command
// takes OAEP without a label and makes a key of it; it is wiped at once, and on
// the way to and from the TPM it is encrypted.
func (s *Store) importWrapped(ctx context.Context, p *chip, set *keySet, u use, authKey secret.Bytes, wrapped string) (key blob, err error) {
	jwe, err := entrawire.ParseSessionKeyJWE(wrapped)
	if err != nil {
		return blob{}, errSessionKey()
	}
	authTK := s.auth(set, purposeTK)
	defer authTK.Wipe()
	err = p.run(ctx, u, func(c *tpmio.Conn) (err error) {
		if err := p.same(set); err != nil {
			return err
		}
		clearKey, err := p.unwrap(c, set, authTK, jwe.EncryptedKey)
		if err != nil {
			return err
		}
		defer clearKey.Wipe()
		if clearKey.Len() != kdf.KeySize || jwe.Check(clearKey) != nil {
			return errSessionKey()
		}
		key, err = p.create(c, sessionTemplate(), authKey, clearKey)
		return err
	})
	return key, err
}

// errSessionKey is the one answer to a session key that is not good: which check
// it failed would tell an attacker about the padding.
func errSessionKey() error {
	return prterr.New(prterr.Invalid, "session_key_jwe: it is not a session key for this device")
}

// unwrap decrypts with the transport key.
func (p *chip) unwrap(c *tpmio.Conn, set *keySet, auth secret.Bytes, wrapped []byte) (secret.Bytes, error) {
	handle, err := p.load(c, set.Transport)
	if err != nil {
		return secret.Bytes{}, err
	}
	key, err := set.Transport.key(handle, auth)
	if err != nil {
		return secret.Bytes{}, err
	}
	message, err := c.RSADecrypt(key, wrapped)
	var rc tpm2.TPMRC
	if errors.As(err, &rc) && (rc.Is(tpm2.TPMRCValue) || rc.Is(tpm2.TPMRCSize)) {
		return secret.Bytes{}, errSessionKey()
	}
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.NewBytes(message), nil
}

// Session is a session key that was found usable for its owner.
type Session struct {
	store *Store
	chip  *chip
	set   *keySet
	owner Owner
	key   blob
}

// Session reads a sealed session key. Whether it is this owner's shows when the
// TPM uses it. A key in the other form than the registration's is not taken.
func (s *Store) Session(o Owner, sealed []byte) (*Session, error) {
	set, p, err := s.currentFor(o.Caller)
	if err != nil {
		return nil, err
	}
	k, ok := decodeSealed(sealed)
	if !ok {
		return nil, errSealed()
	}
	if k.set != set.ID {
		return nil, tpmio.KeysLost("the session key is of a former registration of this device")
	}
	if (k.form == formDerive) != set.Native {
		return nil, errSealed()
	}
	return &Session{s, p, set, o, k.key}, nil
}

// Native says that the key is one that only the TPM derives from: MAC and Open
// are for it, Derive is for the other kind.
func (k *Session) Native() bool { return k.set.Native }

// errSealed is the one answer to a sealed session key that is not this owner's.
func errSealed() error {
	return prterr.New(prterr.Denied, "session_key: it is not usable here")
}

// use describes a use of the session key for the audit log.
func (k *Session) use(what string) use {
	return use{what: what, purpose: purposeSess, set: k.set.ID, owner: k.owner}
}

// Derive is HMAC-SHA256 of a KDF input under the session key, in the TPM: one
// derived key for one signature or one answer. The caller wipes it.
func (k *Session) Derive(ctx context.Context, kdfInput []byte) (secret.Bytes, error) {
	if k.Native() {
		return secret.Bytes{}, errors.New("keys derived from a native session key do not leave the TPM")
	}
	auth := k.store.authSession(k.set, k.owner)
	defer auth.Wipe()
	derived := make([]byte, kdf.KeySize)
	err := k.chip.run(ctx, k.use("use the session key"), func(c *tpmio.Conn) error {
		if err := k.chip.same(k.set); err != nil {
			return err
		}
		handle, err := k.chip.load(c, k.key)
		if err != nil {
			return sealedErr(err)
		}
		made, err := c.HMAC(handle, auth.Reveal(), kdfInput)
		copy(derived, made)
		clear(made)
		return sealedErr(err)
	})
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.NewBytes(derived), nil
}

// sealedErr gives one name to everything that a TPM says of a blob that is not
// good: foreign, damaged, or of another owner. The root key is the same, so the
// TPM has not lost its keys.
func sealedErr(err error) error {
	if badBlob(err) {
		return errSealed()
	}
	return err
}

// badBlob tells what a TPM says of a blob, or of what was wrapped for it, from what
// it says of itself.
func badBlob(err error) bool {
	var rc tpm2.TPMRC
	if !errors.As(err, &rc) || tpmio.HandlesGone(err) {
		return false
	}
	return slices.ContainsFunc([]tpm2.TPMRC{
		tpm2.TPMRCIntegrity, tpm2.TPMRCInsufficient, tpm2.TPMRCSize, tpm2.TPMRCValue, tpm2.TPMRCBinding, tpm2.TPMRCType,
		tpm2.TPMRCScheme, tpm2.TPMRCHash, tpm2.TPMRCAttributes, tpm2.TPMRCBadAuth, tpm2.TPMRCAuthFail, tpm2.TPMRCKey, tpm2.TPMRCKDF,
		tpm2.TPMRCSymmetric, tpm2.TPMRCSelector, tpm2.TPMRCReservedBits, tpm2.TPMRCAsymmetric, tpm2.TPMRCKeySize, tpm2.TPMRCMode,
		tpm2.TPMRCECCPoint, tpm2.TPMRCCurve,
	}, func(bad tpm2.TPMRC) bool { return rc.Is(bad) })
}
