package softtpm

import (
	"bytes"
	"crypto/hmac"
)

// Session attributes (Part 2, 8.4).
const (
	attrContinue = 1 << 0
	attrDecrypt  = 1 << 5
	attrEncrypt  = 1 << 6
	attrAudit    = 1<<1 | 1<<2 | 1<<7 // audit sessions are not offered
	attrReserved = 1<<3 | 1<<4
)

// auth is one entry of the authorization area.
type auth struct {
	handle  uint32
	nonce   []byte
	mac     []byte // HMAC or, for passwords, the password
	attrs   byte
	session *session // nil for a password
}

// readAuths parses the authorization area (Part 1, 18.6).
func (c *call) readAuths(area *reader) rcode {
	for len(area.b) > 0 {
		if c.sessions == len(c.auths) {
			return rcAuthSize
		}
		a := &c.auths[c.sessions]
		*a = auth{handle: area.u32(), nonce: area.sized(), attrs: area.u8(), mac: area.sized()}
		if area.bad {
			return rcAuthSize
		}
		i := c.sessions
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
	if a.attrs&attrReserved != 0 {
		return rcReservedBits.session(n)
	}
	if a.handle == rhPassword {
		if a.attrs&^attrContinue != 0 {
			return rcAttributes.session(n)
		}
		if i >= c.cmd.auths {
			return rcHandle.session(n) // a password protects no parameters
		}
		return rcSuccess
	}
	if a.session = c.t.session(a.handle); a.session == nil {
		return rcReferenceS0 + rcode(i)
	}
	for j := range c.auths[:i] {
		if c.auths[j].session == a.session {
			return rcHandle.session(n)
		}
	}
	switch {
	case a.attrs&attrAudit != 0, a.session.trial:
		return rcAttributes.session(n)
	case i >= c.cmd.auths && a.attrs&(attrDecrypt|attrEncrypt) == 0:
		return rcAttributes.session(n) // it would do nothing
	}
	if a.attrs&attrDecrypt != 0 {
		if c.cmd.flags&encIn == 0 || c.decrypt != nil {
			return rcAttributes.session(n)
		}
		c.decrypt = a
	}
	if a.attrs&attrEncrypt != 0 {
		if c.cmd.flags&encOut == 0 || c.encrypt != nil {
			return rcAttributes.session(n)
		}
		c.encrypt = a
	}
	if a.attrs&(attrDecrypt|attrEncrypt) != 0 && a.session.aesBits == 0 {
		return rcSymmetric.session(n)
	}
	return rcSuccess
}

// authorize checks entry i: may this kind of authorization be used for the
// entity at all, and is the proof right (Part 1, 19; Part 3, 5.6).
func (c *call) authorize(i int) rcode {
	a := &c.auths[i]
	if i >= c.cmd.auths {
		return c.checkProof(i)
	}
	e := c.entities[i]
	policy := a.session != nil && a.session.policy
	if !policy || a.session.needAuth || a.session.needPassword {
		if rc := c.t.lockedOut(e); rc != rcSuccess {
			return rc
		}
	}
	need := c.cmd.role
	if i > 0 {
		need = roleUser
	}
	if policy {
		if rc := c.checkPolicy(a.session, e, need); rc != rcSuccess {
			return rc.session(i + 1)
		}
		return c.checkProof(i)
	}
	if need == roleDup {
		return rcAuthType
	}
	if e.object != nil && !e.object.takesAuthValue(need) {
		return rcAuthUnavail
	}
	return c.checkProof(i)
}

// takesAuthValue tells whether knowing the authValue is enough for a role.
func (o *object) takesAuthValue(r role) bool {
	switch {
	case o.sequence != nil:
		return true
	case o.publicOnly:
		return false // nothing to authorize
	case r == roleAdmin:
		return o.pub.attrs&attrAdminWithPolicy == 0
	default:
		return o.pub.attrs&attrUserWithAuth != 0
	}
}

// checkPolicy compares the state of a policy session with what the entity
// wants (Part 1, 19.7).
func (c *call) checkPolicy(s *session, e entity, need role) rcode {
	if e.object == nil || e.object.publicOnly || len(e.object.pub.policy) == 0 {
		return rcPolicyFail // hierarchies here have no policy
	}
	if s.alg != e.object.pub.nameAlg || !hmac.Equal(s.digest, e.object.pub.policy) {
		return rcPolicyFail
	}
	if s.command != 0 && s.command != uint32(c.cmd.code) {
		return rcPolicyCC
	}
	if need != roleUser && s.command == 0 {
		return rcPolicyFail // admin and dup must be named by PolicyCommandCode
	}
	if !s.expires.IsZero() && !c.t.cfg.Now().Before(s.expires) {
		return rcExpired
	}
	if len(s.cpHash) > 0 && !hmac.Equal(s.cpHash, c.cpHash(s)) {
		return rcPolicyFail
	}
	return rcSuccess
}

// checkProof verifies the password or HMAC of entry i.
func (c *call) checkProof(i int) rcode {
	a := &c.auths[i]
	var e entity
	if i < c.cmd.auths {
		e = c.entities[i]
	}
	s := a.session
	if s == nil || (s.needPassword && i < c.cmd.auths) {
		if !hmac.Equal(trim(a.mac), c.t.authValue(e)) {
			return c.t.wrongAuth(e, nil, i)
		}
		return rcSuccess
	}
	if s.daBound {
		if rc := c.t.daLocked(); rc != rcSuccess {
			return rc
		}
	}
	key := c.hmacKey(i)
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
	if len(c.names) == 0 {
		for i := range c.cmd.handles {
			c.names = c.entities[i].appendName(c.names)
		}
	}
	h := s.hash.New()
	h.Write(be.AppendUint32(nil, uint32(c.cmd.code)))
	h.Write(c.names)
	h.Write(c.params)
	return h.Sum(nil)
}

// hmacKey is the session key and, where the session proves it, the authValue
// of the entity. The authValue is left out when the session was bound to this
// very entity: the session key holds it already.
func (c *call) hmacKey(i int) []byte {
	s := c.auths[i].session
	if i >= c.cmd.auths || (s.policy && !s.needAuth) {
		return s.key
	}
	e := c.entities[i]
	value := c.t.authValue(e)
	if s.bound != nil && hmac.Equal(s.bound, append(e.appendName(nil), value...)) {
		return s.key
	}
	return append(bytes.Clone(s.key), value...)
}

// paramKey is the secret of parameter encryption (Part 1, 21.2): the session
// key and the authValue of the entity that the session authorizes.
func (c *call) paramKey(a *auth) []byte {
	for i := range c.auths[:min(c.sessions, c.cmd.auths)] {
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
		c.out = append(c.out, 0, 0, attrContinue, 0, 0)
		return
	}
	key := c.hmacKey(i)
	switch {
	case s.needPassword && i < c.cmd.auths:
		c.out = append(c.out, 0, 0, a.attrs, 0, 0) // as for a password
	case len(key) == 0 && len(a.mac) == 0:
		c.out = append(append2B(c.out, s.nonceTPM), a.attrs, 0, 0)
	default:
		h := s.hash.New()
		h.Write([]byte{0, 0, 0, 0}) // TPM_RC_SUCCESS
		h.Write(be.AppendUint32(nil, uint32(c.cmd.code)))
		h.Write(params)
		m := hmac.New(s.hash.New, key)
		m.Write(h.Sum(nil))
		m.Write(s.nonceTPM)
		m.Write(a.nonce)
		m.Write([]byte{a.attrs})
		c.out = append(append2B(c.out, s.nonceTPM), a.attrs)
		c.out = append2B(c.out, m.Sum(nil))
	}
	if s.policy {
		s.restart() // a policy is good for one use
	}
	if a.attrs&attrContinue == 0 {
		c.t.dropSession(a.handle)
	}
}
