package softtpm

import (
	"bytes"
	"crypto/hmac"
)

// Session attributes (Part 2, 8.4).
const (
	attrContinue       = 1 << 0
	attrAuditExclusive = 1 << 1
	attrAuditReset     = 1 << 2
	attrDecrypt        = 1 << 5
	attrEncrypt        = 1 << 6
	attrAudit          = 1 << 7
	attrReserved       = 1<<3 | 1<<4
)

// auth is one entry of the authorization area.
type auth struct {
	handle  uint32
	nonce   []byte
	mac     []byte // HMAC or, for passwords, the password
	attrs   byte
	session *session // nil for a password
	include bool     // the HMAC key includes the authValue of the entity
}

// readAuths parses the authorization area (Part 1, 18.6).
func (c *call) readAuths(area *reader) rcode {
	for len(area.b) > 0 {
		i := c.sessions
		if i == len(c.auths) {
			return rcSize.session(i + 1)
		}
		a := &c.auths[i]
		*a = auth{handle: area.u32()}
		kind := a.handle >> 24
		if a.handle != rhPassword && (kind != rangeHMAC && kind != rangePolicy || a.handle&0x00ffffff >= maxActiveSess) && !area.bad {
			return rcValue.session(i + 1)
		}
		a.nonce, a.attrs, a.mac = area.sized(), area.u8(), area.sized()
		switch {
		case area.bad:
			return rcInsufficient.session(i + 1)
		case len(a.nonce) > maxDigest, len(a.mac) > maxDigest:
			return rcSize.session(i + 1)
		case a.attrs&attrReserved != 0:
			return rcReservedBits.session(i + 1)
		}
		c.sessions++
		if rc := c.bindSession(a, i); rc != rcSuccess {
			return rc
		}
	}
	return rcSuccess
}

// bindSession finds the session of entry i and checks its attributes.
func (c *call) bindSession(a *auth, i int) rcode {
	n := i + 1
	if a.handle == rhPassword {
		switch {
		case a.attrs&^attrContinue != 0:
			return rcAttributes.session(n)
		case len(a.nonce) > 0:
			return rcNonce.session(n)
		}
		return rcSuccess
	}
	if a.session = c.t.session(a.handle); a.session == nil {
		if c.t.session(otherRange(a.handle)) != nil {
			return rcHandle.session(n)
		}
		return rcReferenceS0 + rcode(i)
	}
	for j := range c.auths[:i] {
		if c.auths[j].session == a.session {
			return rcHandle.session(n)
		}
	}
	if a.attrs&attrDecrypt != 0 {
		if rc := c.cryptSession(&c.decrypt, a, encIn); rc != rcSuccess {
			return rc.session(n)
		}
	}
	if a.attrs&attrEncrypt != 0 {
		if rc := c.cryptSession(&c.encrypt, a, encOut); rc != rcSuccess {
			return rc.session(n)
		}
	}
	if a.attrs&attrAudit != 0 {
		return c.auditSession(a).session(n)
	}
	return rcSuccess
}

// cryptSession makes an entry the one session that encrypts parameters of one
// direction; flag says that the command has such a parameter.
func (c *call) cryptSession(slot **auth, a *auth, flag int) rcode {
	switch {
	case int(c.cmd.flags)&flag == 0, *slot != nil:
		return rcAttributes
	case a.session.aesBits == 0:
		return rcSymmetric
	}
	*slot = a
	return rcSuccess
}

// authorize checks entry i: may this kind of authorization be used for the
// entity at all, and is the proof right (Part 1, 19; Part 3, 5.6).
func (c *call) authorize(i int) rcode {
	a := &c.auths[i]
	s, n := a.session, i+1
	switch {
	case s == nil && i >= c.cmd.authCount():
		return rcHandle.session(n) // a password protects no parameters
	case s != nil && s.trial:
		return rcAttributes.session(n)
	case s != nil && s.daBound:
		if rc := c.t.daLocked(); rc != rcSuccess {
			return rc
		}
	case s != nil && s.lockoutBound:
		if rc := c.t.lockedOut(entity{handle: rhLockout}); rc != rcSuccess {
			return rc
		}
	}
	if i >= c.cmd.authCount() {
		if a.attrs&(attrDecrypt|attrEncrypt|attrAudit) == 0 {
			return rcAttributes.session(n) // it would do nothing
		}
		return c.checkHMAC(i, entity{handle: rhNull})
	}
	e := c.entities[i]
	rc := c.authorizeEntity(i, e)
	if e.index != nil && e.index.pin() {
		return c.countPIN(i, rc)
	}
	return rc
}

// authorizeEntity checks the authorization of the entity at handle i.
func (c *call) authorizeEntity(i int, e entity) rcode {
	a := &c.auths[i]
	s := a.session
	isPolicy := s != nil && s.policy
	switch {
	case s == nil:
		a.include = true
	case isPolicy:
		a.include = s.needAuth || s.needPassword
	default: // the key of a session that is bound to this very entity holds its value
		a.include = s.bound == nil || !hmac.Equal(s.bound, append(e.appendName(nil), c.t.authValue(e)...))
	}
	if a.include {
		if rc := c.t.lockedOut(e); rc != rcSuccess {
			return rc
		}
	}
	need := c.cmd.role
	if i > 0 {
		need = roleUser
	}
	switch {
	case isPolicy && !c.takesPolicy(e, need):
		return rcAuthUnavail
	case isPolicy:
		if rc := c.checkPolicy(s, e, need); rc != rcSuccess {
			return rc.session(i + 1)
		}
	case e.needsPolicy(need):
		return rcAuthType
	case !c.takesAuthValue(e, need):
		return rcAuthUnavail
	}
	if s == nil || s.needPassword {
		if !hmac.Equal(trim(a.mac), c.t.authValue(e)) {
			return c.t.wrongAuth(e, nil, i)
		}
		return rcSuccess
	}
	return c.checkHMAC(i, e)
}

// needsPolicy tells whether a role can be had by a policy session alone.
func (e entity) needsPolicy(r role) bool {
	switch {
	case r == roleDup:
		return true
	case r != roleAdmin:
		return false
	case e.object != nil:
		return e.object.sequence == nil && e.object.pub.has(attrAdminWithPolicy)
	default:
		return e.index != nil
	}
}

// takesAuthValue tells whether knowing the authValue is enough for a role.
func (c *call) takesAuthValue(e entity, r role) bool {
	switch o, x := e.object, e.index; {
	case o != nil && o.sequence != nil:
		return true
	case o != nil && o.publicOnly:
		return false // nothing to authorize
	case o != nil:
		return o.pub.has(attrUserWithAuth) || r == roleAdmin
	case x != nil && c.cmd.flags&nvWrites != 0:
		return x.has(nvAuthWrite)
	case x != nil && x.pin():
		return x.has(nvWritten) && pinLeft(x)
	case x != nil:
		return x.has(nvAuthRead)
	default:
		return true
	}
}

// takesPolicy tells whether a policy can authorize a role.
func (c *call) takesPolicy(e entity, r role) bool {
	switch o, x := e.object, e.index; {
	case o != nil:
		return o.sequence == nil && !o.publicOnly
	case x != nil && len(x.policy) == 0:
		return false
	case x != nil && r != roleUser:
		return true
	case x != nil && c.cmd.flags&nvWrites != 0:
		return x.has(nvPolicyWrite)
	case x != nil:
		return x.has(nvPolicyRead)
	default:
		return len(c.t.policyOf(e).digest) > 0
	}
}

// checkHMAC verifies the HMAC of entry i, for the entity it authorizes or, for
// a session that authorizes nothing, TPM_RH_NULL.
func (c *call) checkHMAC(i int, e entity) rcode {
	a := &c.auths[i]
	s := a.session
	key := c.hmacKey(i, e)
	if len(key) == 0 && len(a.mac) == 0 {
		return rcSuccess // nothing to prove (Part 1, 19.6.5)
	}
	m := hmac.New(s.hash.New, key)
	m.Write(c.cpHash(s))
	m.Write(a.nonce)
	m.Write(s.nonceTPM)
	if i == 0 { // binds the helper sessions to the authorization
		if c.decrypt != nil && c.decrypt != a {
			m.Write(c.decrypt.session.nonceTPM)
		}
		if c.encrypt != nil && c.encrypt != a && c.encrypt != c.decrypt {
			m.Write(c.encrypt.session.nonceTPM)
		}
	}
	m.Write([]byte{a.attrs})
	if !hmac.Equal(m.Sum(nil), a.mac) {
		return c.t.wrongAuth(e, s, i)
	}
	return rcSuccess
}

// cpHash hashes the command as the caller sent it (Part 1, 18.7).
func (c *call) cpHash(s *session) []byte {
	h := s.hash.New()
	h.Write(be.AppendUint32(nil, uint32(c.cmd.code)))
	h.Write(c.handleNames())
	h.Write(c.params)
	return h.Sum(nil)
}

// handleNames gives the Names of all handles as they were before the command.
func (c *call) handleNames() []byte {
	if len(c.names) == 0 {
		for i := range c.cmd.handleCount() {
			c.names = c.entities[i].appendName(c.names)
		}
	}
	return c.names
}

// hmacKey is the session key and, where the session proves it, the authValue
// of the entity.
func (c *call) hmacKey(i int, e entity) []byte {
	a := &c.auths[i]
	if !a.include {
		return a.session.key
	}
	return append(bytes.Clone(a.session.key), c.t.authValue(e)...)
}

// paramKey is the secret of parameter encryption (Part 1, 21.2): the session
// key and the authValue of the entity that the session authorizes.
func (c *call) paramKey(a *auth) []byte {
	for i := range c.auths[:min(c.sessions, c.cmd.authCount())] {
		if &c.auths[i] == a {
			return append(bytes.Clone(a.session.key), c.t.authValue(c.entities[i])...)
		}
	}
	return a.session.key
}

// appendAuth appends entry i of the response and moves its session on.
func (c *call) appendAuth(i int, params []byte) {
	a := &c.auths[i]
	s := a.session
	if s == nil {
		c.out = append(c.out, 0, 0, a.attrs|attrContinue, 0, 0)
		return
	}
	key := c.hmacKey(i, c.entities[i])
	c.out = append(append2B(c.out, s.nonceTPM), a.attrs)
	if s.needPassword || len(key) == 0 && len(a.mac) == 0 {
		c.out = append(c.out, 0, 0)
	} else {
		m := hmac.New(s.hash.New, key)
		m.Write(c.rpHash(s.hash, params))
		m.Write(s.nonceTPM)
		m.Write(a.nonce)
		m.Write([]byte{a.attrs})
		c.out = append2B(c.out, m.Sum(nil))
	}
	if s.policy {
		s.restart(c.t) // a policy is good for one use
	}
	if a.attrs&attrContinue == 0 {
		c.t.dropSession(a.handle)
	}
}
