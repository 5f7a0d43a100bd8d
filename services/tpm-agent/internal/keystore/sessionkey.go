package keystore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

const (
	sealVersion = 1
	// maxSealedKey bounds a sealed session key in bytes.
	maxSealedKey = 8 << 10
)

// Owner is whose a session key is: the component that imported it, and the
// partition of the PRT it belongs to.
type Owner struct {
	Caller string
	Tenant ids.TenantID
	User   ids.UserID
	// Kind of credential, such as "password".
	Kind string
}

// sealedKey is what a caller keeps of a session key.
type sealedKey struct {
	Version int    `json:"v"`
	Set     string `json:"set"`
	Key     blob   `json:"key"`
}

// auth is bound to the owner: a blob in the hands of another caller, or named for
// another partition, meets a TPM that refuses the authorisation value.
func (s *Store) authSession(set *keySet, o Owner) secret.Bytes {
	return s.secret.auth(purposeSess, set.ID, o.Caller, string(o.Tenant), string(o.User), o.Kind)
}

// ImportSessionKey unwraps a session key with tk and puts it under the TPM's own
// key. Between the two commands the key is in this process, because no TPM command
// takes OAEP without a label and makes a key of it; it is wiped at once, and on
// the way to and from the TPM it is encrypted.
func (s *Store) ImportSessionKey(ctx context.Context, o Owner, jwe *entrawire.SessionKeyJWE) ([]byte, error) {
	set, err := s.current()
	if err != nil {
		return nil, err
	}
	authTK, authKey := s.authTK(set), s.authSession(set, o)
	defer authTK.Wipe()
	defer authKey.Wipe()
	var key blob
	err = s.run(ctx, "import the session key", func(c *tpmio.Conn) error {
		if err := s.sameRoot(set); err != nil {
			return err
		}
		clearKey, err := s.unwrap(c, set, authTK, jwe.EncryptedKey)
		if err != nil {
			return err
		}
		defer clearKey.Wipe()
		if clearKey.Len() != kdf.KeySize || jwe.Check(clearKey) != nil {
			return errSessionKey()
		}
		key, err = s.create(c, sessionTemplate(), authKey, clearKey)
		return err
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealedKey{sealVersion, set.ID, key})
}

// errSessionKey is the one answer to a session_key_jwe that is not good: which
// check it failed would tell an attacker about the padding.
func errSessionKey() error {
	return prterr.New(prterr.Invalid, "session_key_jwe: it is not a session key for this device")
}

// unwrap decrypts with the transport key.
func (s *Store) unwrap(c *tpmio.Conn, set *keySet, auth secret.Bytes, wrapped []byte) (secret.Bytes, error) {
	handle, err := s.load(c, set.Transport)
	if err != nil {
		return secret.Bytes{}, err
	}
	key, err := s.authorised(handle, set.Transport, auth)
	if err != nil {
		return secret.Bytes{}, err
	}
	r, err := tpm2.RSADecrypt{
		KeyHandle:  key,
		CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: wrapped},
		InScheme:   tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull},
	}.Execute(c)
	var rc tpm2.TPMRC
	if errors.As(err, &rc) && (rc.Is(tpm2.TPMRCValue) || rc.Is(tpm2.TPMRCSize)) {
		return secret.Bytes{}, errSessionKey()
	}
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.NewBytes(r.Message.Buffer), nil
}

// Session is a session key that was found usable for its owner.
type Session struct {
	store *Store
	set   *keySet
	owner Owner
	key   blob
}

// Session reads a sealed session key. Whether it is this owner's shows when the
// TPM uses it.
func (s *Store) Session(o Owner, sealed []byte) (*Session, error) {
	set, err := s.current()
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 || len(sealed) > maxSealedKey {
		return nil, errSealed()
	}
	var k sealedKey
	dec := json.NewDecoder(bytes.NewReader(sealed))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&k); err != nil || k.Version != sealVersion || dec.More() {
		return nil, errSealed()
	}
	if k.Set != set.ID {
		return nil, tpmio.KeysLost("the session key is of a former registration of this device")
	}
	return &Session{s, set, o, k.Key}, nil
}

// errSealed is the one answer to a sealed session key that is not this owner's.
func errSealed() error {
	return prterr.New(prterr.Denied, "session_key: it is not usable here")
}

// Derive is HMAC-SHA256 of a KDF input under the session key, in the TPM: one
// derived key for one signature or one answer. The caller wipes it.
func (k *Session) Derive(ctx context.Context, kdfInput []byte) (secret.Bytes, error) {
	auth := k.store.authSession(k.set, k.owner)
	defer auth.Wipe()
	var derived []byte
	err := k.store.run(ctx, "use the session key", func(c *tpmio.Conn) error {
		if err := k.store.sameRoot(k.set); err != nil {
			return err
		}
		handle, err := k.store.load(c, k.key)
		if err != nil {
			return sealedErr(err)
		}
		derived, err = c.HMAC(handle, auth.Reveal(), kdfInput)
		return sealedErr(err)
	})
	if err != nil {
		return secret.Bytes{}, err
	}
	return secret.NewBytes(bytes.Clone(derived)), nil
}

// sealedErr gives one name to everything that a TPM says of a blob that is not
// good: foreign, damaged, or of another owner. The root key is the same, so the
// TPM has not lost its keys.
func sealedErr(err error) error {
	var rc tpm2.TPMRC
	if !errors.As(err, &rc) || handleLost(err) {
		return err
	}
	for _, bad := range []tpm2.TPMRC{
		tpm2.TPMRCIntegrity, tpm2.TPMRCInsufficient, tpm2.TPMRCSize, tpm2.TPMRCValue, tpm2.TPMRCBinding, tpm2.TPMRCType,
		tpm2.TPMRCScheme, tpm2.TPMRCHash, tpm2.TPMRCAttributes, tpm2.TPMRCBadAuth, tpm2.TPMRCAuthFail, tpm2.TPMRCKey, tpm2.TPMRCKDF,
		tpm2.TPMRCSymmetric, tpm2.TPMRCSelector, tpm2.TPMRCReservedBits, tpm2.TPMRCAsymmetric, tpm2.TPMRCKeySize, tpm2.TPMRCMode,
	} {
		if rc.Is(bad) {
			return errSealed()
		}
	}
	return err
}
