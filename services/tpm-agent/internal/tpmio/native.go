package tpmio

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"
)

// The commands with which a session key is used without leaving the TPM. They
// authorise with a password, as those in hot.go.

// Import turns a key that was sealed for a storage key in a slot into a blob under
// it, and gives the blob's private part.
func (c *Conn) Import(parent tpm2.TPMHandle, auth, public, duplicate, seed []byte) ([]byte, error) {
	cmd := newCommand(tagSessions, tpm2.TPMCCImport)
	cmd.u32(uint32(parent))
	cmd.password(auth)
	cmd.sized(nil) // no inner wrapper
	cmd.sized(public)
	cmd.sized(duplicate)
	cmd.sized(seed)
	cmd.u16(algNull)
	resp, err := cmd.send(c)
	if err != nil {
		return nil, err
	}
	return sizedAt(resp, 4)
}

// CreateDerived derives a key from a derivation parent in a slot, into another
// slot, and returns its handle. template is a TPMT_TEMPLATE with label and context
// of the derivation; auth becomes the new key's authorisation value.
func (c *Conn) CreateDerived(parent tpm2.TPMHandle, parentAuth, auth, template []byte) (tpm2.TPMHandle, error) {
	cmd := newCommand(tagSessions, tpm2.TPMCCCreateLoaded)
	cmd.u32(uint32(parent))
	cmd.password(parentAuth)
	cmd.u16(uint16(4 + len(auth))) // the two sized buffers that follow
	cmd.sized(auth)
	cmd.sized(nil)
	cmd.sized(template)
	resp, err := cmd.send(c)
	if err != nil {
		return 0, err
	}
	return handleAt(resp)
}

// EncryptDecrypt encrypts at most 1,024 bytes with a symmetric key in a slot, in
// the key's own mode, and gives the next start value as well.
func (c *Conn) EncryptDecrypt(key tpm2.TPMHandle, auth, iv, data []byte, decrypt bool) (out, next []byte, err error) {
	cmd := newCommand(tagSessions, tpm2.TPMCCEncryptDecrypt2)
	cmd.u32(uint32(key))
	cmd.password(auth)
	cmd.sized(data)
	cmd.flag(decrypt)
	cmd.u16(algNull)
	cmd.sized(iv)
	resp, err := cmd.send(c)
	if err != nil {
		return nil, nil, err
	}
	if out, err = sizedAt(resp, 4); err != nil {
		return nil, nil, err
	}
	next, err = sizedAt(resp, 4+2+len(out))
	return out, next, err
}

// Key is a key in a slot with what a session needs to use it.
type Key struct {
	Handle tpm2.TPMHandle
	Name   []byte
	Auth   []byte
}

// RSADecrypt decrypts with the scheme of the key. The answer is encrypted on the
// bus.
func (c *Conn) RSADecrypt(key Key, cipherText []byte) ([]byte, error) {
	p := &command{make([]byte, 0, 512)}
	p.sized(cipherText)
	p.u16(algNull) // the key's own scheme
	p.sized(nil)   // no label
	resp, err := c.inSession(tpm2.TPMCCRSADecrypt, key, FromTPM, p.b)
	if err != nil {
		return nil, err
	}
	return sizedAt(resp, 0)
}

// Create makes a key under a storage key in a slot, of data or, when data is
// empty, of the TPM's own making. template is a TPMT_PUBLIC. The authorisation
// value and data are encrypted on the bus. It gives the two parts of the blob.
func (c *Conn) Create(parent Key, auth, data, template []byte) (public, private []byte, err error) {
	p := &command{make([]byte, 0, 512)}
	p.u16(uint16(4 + len(auth) + len(data)))
	p.sized(auth)
	p.sized(data)
	p.sized(template)
	p.sized(nil) // no outside information
	p.u32(0)     // no PCR selection
	resp, err := c.inSession(tpm2.TPMCCCreate, parent, ToTPM, p.b)
	if err != nil {
		return nil, nil, err
	}
	if private, err = sizedAt(resp, 0); err != nil {
		return nil, nil, err
	}
	public, err = sizedAt(resp, 2+len(private))
	return public, private, err
}

// inSession sends a command on one key, authorised by the session, and gives the
// parameters of the answer. params begin with a sized buffer; they are wiped.
func (c *Conn) inSession(cc tpm2.TPMCC, key Key, d Direction, params []byte) ([]byte, error) {
	defer clear(params)
	u := c.use(key.Auth, d)
	if err := u.Init(c); err != nil {
		return nil, err
	}
	if err := u.NewNonceCaller(); err != nil {
		return nil, err
	}
	cmd, err := u.command(cc, key, params)
	if err != nil {
		return nil, err
	}
	resp, err := cmd.send(c)
	if err != nil {
		return nil, err
	}
	return u.answer(cc, resp)
}

// command encodes a command under the session; it encrypts params in place.
func (u *use) command(cc tpm2.TPMCC, key Key, params []byte) (*command, error) {
	first, err := sizedAt(params, 0)
	if err != nil {
		return nil, err
	}
	if err := u.Encrypt(first); err != nil {
		return nil, err
	}
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(cc)))
	_, _ = h.Write(key.Name)
	_, _ = h.Write(params)
	mac := u.mac(h.Sum(nil), u.nonce[:], u.c.owner.bus.nonceTPM, nil, u.attrs)
	cmd := newCommand(tagSessions, cc)
	cmd.u32(uint32(key.Handle))
	cmd.u32(uint32(4 + 2 + nonceSize + 1 + 2 + len(mac)))
	cmd.u32(uint32(u.Handle()))
	cmd.sized(u.nonce[:])
	cmd.b = append(cmd.b, u.attrs)
	cmd.sized(mac)
	cmd.b = append(cmd.b, params...)
	return cmd, nil
}

// answer checks an answer without handles and gives its parameters in clear.
func (u *use) answer(cc tpm2.TPMCC, resp []byte) ([]byte, error) {
	if len(resp) < 4 {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint32(resp))
	if n > len(resp)-4 {
		return nil, errShort
	}
	params, area := resp[4:4+n], resp[4+n:]
	nonce, err := sizedAt(area, 0)
	if err != nil {
		return nil, err
	}
	at := 2 + len(nonce)
	mac, err := sizedAt(area, at+1)
	if err != nil {
		return nil, err
	}
	if err := u.check(tpm2.TPMRCSuccess, cc, params, nonce, area[at], mac); err != nil {
		return nil, err
	}
	first, err := sizedAt(params, 0)
	if err != nil {
		return nil, err
	}
	return params, u.Decrypt(first)
}
