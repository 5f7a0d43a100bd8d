package softtpm

import (
	"bytes"
	"crypto"

	"github.com/google/go-tpm/tpm2"
)

// session is an HMAC, policy or trial session.
type session struct {
	policy   bool
	trial    bool // computes a policy digest, authorizes nothing
	alg      uint16
	hash     crypto.Hash
	key      []byte
	nonceTPM []byte
	aesBits  int    // 0: no parameter encryption
	bound    []byte // Name and authValue of the bind entity, HMAC sessions only
	daBound  bool   // the bind entity is protected against dictionary attacks
	audit    bool   // it has been used for audit: digest is the audit digest

	lockoutBound bool   // the bind entity is the lockout hierarchy
	saved        uint64 // number of the saved context that holds it; 0: loaded

	digest []byte // of the policy, or of the audit
	policyState
}

// policyState is what a policy demands besides its digest.
type policyState struct {
	start        uint64 // t.time() when the policy was started
	needAuth     bool
	needPassword bool
	command      uint32   // the only command allowed, 0: any
	bindTo       bindKind // what binding is the hash of
	binding      []byte   // the only parameters, Names or template allowed
	expires      uint64   // t.time() of the end, 0: never
	pcrs         bool     // PCRs were checked when pcrUpdates was the count
	pcrUpdates   uint32
	written      writtenRule // for NV indexes
	locality     byte        // TPMA_LOCALITY, 0: any
	presence     bool        // somebody must be present
}

// bindKind says what policyState.binding is the hash of.
type bindKind byte

const (
	bindNothing bindKind = iota
	bindCpHash
	bindNames
	bindTemplate
)

// writtenRule is what TPM2_PolicyNvWritten asks for.
type writtenRule byte

const (
	writtenAny writtenRule = iota
	writtenYes
	writtenNo
)

// restart puts the policy back to its first state.
func (s *session) restart(t *TPM) {
	s.digest = make([]byte, s.hash.Size())
	s.policyState = policyState{start: t.time()}
}

// crypt encrypts or decrypts a parameter (Part 1, 21.3).
func (s *session) crypt(p, secret, newer, older []byte, decrypt bool) {
	k := tpm2.KDFa(s.hash, secret, "CFB", newer, older, s.aesBits+128)
	cfb(k[:s.aesBits/8], k[s.aesBits/8:s.aesBits/8+16], p, decrypt)
}

// session finds a loaded session; nil if there is none or it is saved.
func (t *TPM) session(h uint32) *session {
	if s := t.anySession(h); s != nil && s.saved == 0 {
		return s
	}
	return nil
}

// anySession finds a session, loaded or saved.
func (t *TPM) anySession(h uint32) *session {
	i := h & 0x00ffffff
	if i >= maxActiveSess {
		return nil
	}
	s := t.sessions[i]
	if s == nil || (h>>24 == rangePolicy) != s.policy {
		return nil
	}
	return s
}

// otherRange gives the handle of the other kind of session with the same
// number: one number is in use once, in one of the two ranges.
func otherRange(h uint32) uint32 { return h ^ baseHMAC ^ basePolicy }

func (t *TPM) dropSession(h uint32) {
	if t.anySession(h) != nil {
		t.sessions[h&0x00ffffff] = nil
		if t.exclusive == h {
			t.exclusive = 0
		}
	}
}

// countSessions tells how many sessions are loaded and how many are active
// (loaded or saved).
func (t *TPM) countSessions() (loaded, active int) {
	for _, s := range t.sessions {
		if s == nil {
			continue
		}
		active++
		if s.saved == 0 {
			loaded++
		}
	}
	return loaded, active
}

// addSession gives a session a handle.
func (t *TPM) addSession(s *session) (uint32, rcode) {
	loaded, active := t.countSessions()
	switch {
	case active >= maxActiveSess:
		return 0, rcSessHandles
	case loaded >= maxLoadedSess:
		return 0, rcSessionMemory
	}
	base := baseHMAC
	if s.policy {
		base = basePolicy
	}
	for i, old := range t.sessions {
		if old == nil {
			t.sessions[i] = s
			return base + uint32(i), rcSuccess
		}
	}
	return 0, rcSessHandles
}

// startAuthSession is TPM2_StartAuthSession (Part 3, 11.1).
func startAuthSession(c *call) rcode {
	nonce, enc, kind := c.in.sized(maxDigest), c.in.sized(maxSecret), c.in.u8()
	if kind != byte(tpm2.TPMSEHMAC) && kind != byte(tpm2.TPMSEPolicy) && kind != byte(tpm2.TPMSETrial) {
		c.in.fail(rcValue)
	}
	var bits int
	c.in.group(func(r *reader) (rc rcode) {
		bits, rc = readSessionCipher(r)
		return rc
	})
	alg := c.in.hash()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	hash := hashFor(alg)
	if len(nonce) < minNonce || len(nonce) > hash.Size() {
		return rcSize.param(1)
	}
	salt, rc := c.salt(enc)
	if rc != rcSuccess {
		return rc
	}
	s := &session{
		policy: kind != byte(tpm2.TPMSEHMAC), trial: kind == byte(tpm2.TPMSETrial),
		alg: alg, hash: hash, aesBits: bits, nonceTPM: random(len(nonce)),
	}
	s.restart(c.t)
	bind := c.entities[1]
	var secret []byte
	if bind.handle != rhNull {
		if bind.object != nil && bind.object.publicOnly {
			return rcHandle.handle(2)
		}
		if rc := c.t.lockedOut(bind); rc != rcSuccess {
			return rc
		}
		secret = append(secret, c.t.authValue(bind)...)
		s.daBound, s.lockoutBound = bind.daProtected(), bind.handle == rhLockout
		if !s.policy {
			s.bound = append(bind.appendName(nil), secret...)
		}
	}
	secret = append(secret, salt...)
	if bind.handle != rhNull || c.entities[0].handle != rhNull {
		s.key = tpm2.KDFa(hash, secret, "ATH", s.nonceTPM, nonce, hash.Size()*8)
	}
	if c.handle, rc = c.t.addSession(s); rc != rcSuccess {
		return rc
	}
	c.put2B(s.nonceTPM)
	return rcSuccess
}

// readSessionCipher reads a TPMT_SYM_DEF: null or AES-CFB.
func readSessionCipher(r *reader) (bits int, rc rcode) {
	switch alg := r.u16(); {
	case r.bad:
		return 0, rcInsufficient
	case alg == algNull:
		return 0, rcSuccess
	case alg != algAES:
		return 0, rcSymmetric
	}
	bits = int(r.u16())
	mode := r.u16()
	switch {
	case r.bad:
		return 0, rcInsufficient
	case mode != algCFB:
		return 0, rcMode
	}
	if bits != 128 && bits != 256 {
		return 0, rcValue
	}
	return bits, rcSuccess
}

// salt decrypts the salt that the caller encrypted to the key at handle 1.
func (c *call) salt(enc []byte) ([]byte, rcode) {
	if c.entities[0].handle == rhNull {
		if len(enc) > 0 {
			return nil, rcValue.param(2)
		}
		return nil, rcSuccess
	}
	o := c.object(0)
	switch {
	case o.sequence != nil || o.pub.symmetric():
		return nil, rcKey.handle(1)
	case len(enc) == 0:
		return nil, rcValue.param(2)
	case o.pub.attrs&attrDecryptKey == 0:
		return nil, rcAttributes.handle(1)
	case o.publicOnly:
		return nil, rcHandle.handle(1)
	}
	salt, rc := o.recoverSecret(enc, "SECRET")
	return bytes.Clone(salt), rc.param(2)
}
