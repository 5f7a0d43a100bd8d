package tpmio

import (
	"crypto"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// Direction says whose first parameter a session encrypts.
type Direction int

// The directions. A command takes one only if its first parameter that way is a
// sized buffer; TPM2_Sign, for one, cannot answer encrypted.
const (
	// Neither hides the authorisation value alone.
	Neither Direction = iota
	ToTPM
	FromTPM
	BothWays
)

// Session attributes (TCG Part 2, section 8.4).
const (
	attrContinue = 1 << 0
	attrDecrypt  = 1 << 5 // the TPM decrypts what comes to it
	attrEncrypt  = 1 << 6
)

var (
	errAnswerHMAC    = errors.New("the answer is not from the TPM that the session was begun with")
	errSessionClosed = errors.New("the TPM closed the session")
)

// use is the session as one command uses it: for one authorisation value, in one
// direction. It is a go-tpm session.
type use struct {
	c     *Conn
	auth  []byte
	attrs byte
	nonce [nonceSize]byte
}

var _ tpm2.Session = (*use)(nil)

// Session is the session for one command of go-tpm, begun when it is needed. As
// the Auth of a handle it stands for that key's authorisation value; as a further
// session, with auth nil, it only encrypts.
func (c *Conn) Session(auth []byte, d Direction) tpm2.Session { return c.use(auth, d) }

func (c *Conn) use(auth []byte, d Direction) *use {
	// A TPM drops zero bytes at the end of an authorisation value (Part 1, 19.6.5).
	for len(auth) > 0 && auth[len(auth)-1] == 0 {
		auth = auth[:len(auth)-1]
	}
	u := &use{c: c, auth: auth, attrs: attrContinue}
	if d == ToTPM || d == BothWays {
		u.attrs |= attrDecrypt
	}
	if d == FromTPM || d == BothWays {
		u.attrs |= attrEncrypt
	}
	return u
}

// Init begins the session if there is none.
func (u *use) Init(transport.TPM) error { return u.c.owner.bus.open(u.c) }

// CleanupFailure has nothing to do: [Conn.Send] saw the response code.
func (u *use) CleanupFailure(transport.TPM) error { return nil }

// NonceTPM is the TPM's last nonce.
func (u *use) NonceTPM() tpm2.TPM2BNonce { return tpm2.TPM2BNonce{Buffer: u.c.owner.bus.nonceTPM} }

// NewNonceCaller makes the nonce of this command.
func (u *use) NewNonceCaller() error {
	u.nonce = newNonce()
	return nil
}

// Handle is the session's handle.
func (u *use) Handle() tpm2.TPMHandle { return u.c.owner.bus.handle }

// IsEncryption says whether the answer is encrypted, IsDecryption the command.
func (u *use) IsEncryption() bool { return u.attrs&attrEncrypt != 0 }

// IsDecryption says whether the command is encrypted.
func (u *use) IsDecryption() bool { return u.attrs&attrDecrypt != 0 }

// Authorize is the session's part of a command.
func (u *use) Authorize(cc tpm2.TPMCC, parms, addNonces []byte, names []tpm2.TPM2BName, _ int) (*tpm2.TPMSAuthCommand, error) {
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(cc)))
	for _, n := range names {
		_, _ = h.Write(n.Buffer)
	}
	_, _ = h.Write(parms)
	mac := u.mac(h.Sum(nil), u.nonce[:], u.c.owner.bus.nonceTPM, addNonces, u.attrs)
	return &tpm2.TPMSAuthCommand{
		Handle: u.Handle(), Nonce: tpm2.TPM2BNonce{Buffer: u.nonce[:]},
		Attributes:    tpm2.TPMASession{ContinueSession: true, Decrypt: u.IsDecryption(), Encrypt: u.IsEncryption()},
		Authorization: tpm2.TPM2BData{Buffer: mac},
	}, nil
}

// Validate checks the session's part of an answer.
func (u *use) Validate(rc tpm2.TPMRC, cc tpm2.TPMCC, parms []byte, _ []tpm2.TPM2BName, _ int, auth *tpm2.TPMSAuthResponse) error {
	var attrs byte
	if auth.Attributes.ContinueSession {
		attrs |= attrContinue
	}
	if auth.Attributes.Decrypt {
		attrs |= attrDecrypt
	}
	if auth.Attributes.Encrypt {
		attrs |= attrEncrypt
	}
	return u.check(rc, cc, parms, auth.Nonce.Buffer, attrs, auth.Authorization.Buffer)
}

// check holds that an answer is the TPM's, and takes its nonce.
func (u *use) check(rc tpm2.TPMRC, cc tpm2.TPMCC, parms, nonceTPM []byte, attrs byte, mac []byte) error {
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(rc)), uint32(cc)))
	_, _ = h.Write(parms)
	b := &u.c.owner.bus
	if !hmac.Equal(mac, u.mac(h.Sum(nil), nonceTPM, u.nonce[:], nil, attrs)) {
		b.suspect = true
		return errAnswerHMAC
	}
	if attrs&attrContinue == 0 {
		b.forget()
		return errSessionClosed
	}
	b.nonceTPM = append(b.nonceTPM[:0], nonceTPM...)
	return nil
}

// mac is the HMAC of a command or an answer (Part 1, section 19.6.5).
func (u *use) mac(hash, newer, older, add []byte, attrs byte) []byte {
	m := hmac.New(sha256.New, u.value())
	for _, p := range [][]byte{hash, newer, older, add, {attrs}} {
		_, _ = m.Write(p)
	}
	return m.Sum(nil)
}

// value is the session key and, after it, the authorisation value (Part 1, 19.6.5
// and 21.2).
func (u *use) value() []byte {
	return append(append(make([]byte, 0, sha256.Size+len(u.auth)), u.c.owner.bus.key[:]...), u.auth...)
}

// Encrypt encrypts the first parameter of a command in place, if it is to be.
func (u *use) Encrypt(parameter []byte) error {
	if !u.IsDecryption() {
		return nil
	}
	return u.cfb(parameter, u.nonce[:], u.c.owner.bus.nonceTPM, true)
}

// Decrypt decrypts the first parameter of an answer in place, if it is encrypted.
func (u *use) Decrypt(parameter []byte) error {
	if !u.IsEncryption() {
		return nil
	}
	return u.cfb(parameter, u.c.owner.bus.nonceTPM, u.nonce[:], false)
}

// cfb is AES-128 in CFB mode with a key and start value for this one parameter
// (Part 1, section 21.3). The standard library's CFB is deprecated as a mode to
// choose; here it is the TPM's.
func (u *use) cfb(p, newer, older []byte, encrypt bool) error {
	value := u.value()
	keyIV := tpm2.KDFa(crypto.SHA256, value, "CFB", newer, older, busKeyBits+8*aes.BlockSize)
	clear(value)
	defer clear(keyIV)
	block, err := aes.NewCipher(keyIV[:busKeyBits/8])
	if err != nil {
		return err
	}
	feed := keyIV[busKeyBits/8:]
	var pad [aes.BlockSize]byte
	for len(p) > 0 {
		n := min(len(p), aes.BlockSize)
		block.Encrypt(pad[:], feed)
		for i := range n {
			in := p[i]
			p[i] ^= pad[i]
			if encrypt {
				feed[i] = p[i]
			} else {
				feed[i] = in
			}
		}
		p = p[n:]
	}
	return nil
}
