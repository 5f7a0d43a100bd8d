package tpmio

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/go-tpm/tpm2"
)

const (
	// sessionAge is how long one session is used.
	sessionAge = 10 * time.Minute
	nonceSize  = 16  // bytes
	busKeyBits = 128 // AES, CFB mode: the only one that every TPM has
)

var errNoRoot = errors.New("no storage root key to salt a session with")

// bus is the one long-lived session with the TPM: an HMAC session whose key is
// salted with the storage root key, so that only the TPM with that key can share
// it. Unbound and with a nonce of its own in each command, it serves every
// authorisation value and both directions.
//
// Who listens between agent and chip sees handles, names, sizes and public areas;
// of an authorisation value nothing but an HMAC; and of the first parameter, where
// secrets stand, its AES-CFB. Who answers in the TPM's place has no HMAC key. The
// hot commands with a password are not under it; see hot.go for what they show.
//
// It is renewed after sessionAge, after any error of the link, and when the TPM
// answers that the session is at fault. It belongs to the owner's goroutine.
type bus struct {
	root   tpm2.TPMHandle
	public tpm2.TPMTPublic

	handle tpm2.TPMHandle
	key    [sha256.Size]byte
	// nonceTPM is the last one of the TPM.
	nonceTPM []byte
	begun    time.Time
	epoch    uint64
	// suspect is a session that may still be in the TPM and is not trusted.
	suspect bool
}

// SetRoot names the storage root key that sessions are salted with. It must be
// called again after each change of the handle; 0 is no root.
func (c *Conn) SetRoot(handle tpm2.TPMHandle, public tpm2.TPMTPublic) {
	b := &c.owner.bus
	if b.handle != 0 && b.root != handle {
		b.suspect = true
	}
	b.root, b.public = handle, public
}

// forget gives up a session that is gone with the link or the TPM's memory.
func (b *bus) forget() {
	clear(b.key[:])
	b.handle, b.suspect = 0, false
}

// failed looks at a response code for what it says of the session.
func (b *bus) failed(rc tpm2.TPMRC) {
	var fmt1 tpm2.TPMFmt1Error
	switch {
	case b.handle == 0:
	case rc == tpm2.TPMRCInitialize, rc >= tpm2.TPMRCReferenceS0 && rc <= tpm2.TPMRCReferenceS6:
		b.forget()
	case errors.As(rc, &fmt1):
		// A wrong authorisation value looks the same as a session that went wrong.
		if session, _ := fmt1.Session(); session {
			b.suspect = true
		}
	}
}

// flush frees the session's slot in the TPM; false when it has none.
func (b *bus) flush(c *Conn) bool {
	if b.handle == 0 {
		return false
	}
	_ = c.Flush(b.handle) // it may be gone already
	b.forget()
	return true
}

// open makes sure that there is a session.
func (b *bus) open(c *Conn) error {
	if b.handle != 0 && b.epoch == c.epoch && !b.suspect && time.Since(b.begun) < sessionAge {
		return nil
	}
	if b.epoch != c.epoch {
		b.forget()
	}
	b.flush(c)
	if b.root == 0 {
		return errNoRoot
	}
	salter, err := tpm2.ImportEncapsulationKey(&b.public)
	if err != nil {
		return err
	}
	salt, encrypted, err := tpm2.CreateEncryptedSalt(rand.Reader, salter)
	if err != nil {
		return err
	}
	defer clear(salt)
	nonce := newNonce()
	r, err := tpm2.StartAuthSession{
		TPMKey: b.root, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: nonce[:]},
		EncryptedSalt: tpm2.TPM2BEncryptedSecret{Buffer: encrypted}, SessionType: tpm2.TPMSEHMAC,
		Symmetric: tpm2.TPMTSymDef{
			Algorithm: tpm2.TPMAlgAES,
			KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(busKeyBits)),
			Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
		},
		AuthHash: tpm2.TPMAlgSHA256,
	}.Execute(c)
	if err != nil {
		return err
	}
	if len(r.NonceTPM.Buffer) < nonceSize {
		return errors.New("the TPM's nonce is too short")
	}
	key := tpm2.KDFa(crypto.SHA256, salt, "ATH", r.NonceTPM.Buffer, nonce[:], 8*sha256.Size) // Part 1, 19.6.8
	copy(b.key[:], key)
	clear(key)
	b.handle, b.nonceTPM = tpm2.TPMHandle(r.SessionHandle.HandleValue()), r.NonceTPM.Buffer
	b.begun, b.epoch, b.suspect = time.Now(), c.epoch, false
	return nil
}

func newNonce() (n [nonceSize]byte) {
	_, _ = rand.Read(n[:]) // never fails: crypto/rand ends the process instead
	return n
}
