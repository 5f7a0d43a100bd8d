package softtpm

import (
	"bytes"

	"github.com/google/go-tpm/tpm2"
)

// Tags of a command (Part 2, 6.9).
const (
	tagNoSessions = uint16(tpm2.TPMSTNoSessions)
	tagSessions   = uint16(tpm2.TPMSTSessions)
)

// call is one command on its way through the TPM. The TPM reuses it, so
// nothing keeps a pointer to it after Send.
type call struct {
	t        *TPM
	cmd      *command
	entities [3]entity
	auths    [3]auth
	sessions int // entries of auths in use
	decrypt  *auth
	encrypt  *auth
	audit    *auth
	names    []byte // Names of the handles, for cpHash
	params   []byte // parameters as sent: cpHash covers the encrypted form
	in       params // parameters in the clear
	out      []byte // the response; handlers append parameters
	base     int    // where the parameters start in out
	handle   uint32 // response handle
	flush    uint32 // transient object to drop once the response is built
	borrowed [3]int // slots of persistent objects, see borrow
	borrows  int    // how many of them are in use
}

// Send runs one command. It implements transport.TPM: a refused command is a
// response with a code, not an error. The error is only ErrClosed. The command
// is not kept, the response belongs to the caller.
func (t *TPM) Send(input []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	c := &t.call
	c.t = t
	rc := c.execute(input)
	c.giveBack()
	if rc == rcSuccess {
		t.delay(c.cmd.code)
	}
	out := c.out
	*c = call{names: c.names[:0]} // keeps nothing of the caller's
	if rc != rcSuccess {
		out = make([]byte, 10)
		be.PutUint16(out, tagNoSessions)
		be.PutUint32(out[2:], 10)
		be.PutUint32(out[6:], uint32(rc))
	}
	return out, nil
}

// execute follows Part 3, 5: header, handles, authorizations, parameters,
// action, response.
func (c *call) execute(input []byte) rcode {
	t := c.t
	if t.failed {
		return rcFailure
	}
	r := reader{b: input}
	tag, size, code := r.u16(), r.u32(), r.u32()
	if r.bad || uint64(size) != uint64(len(input)) || len(input) > maxCommand {
		return rcCommandSize
	}
	if tag != tagSessions && tag != tagNoSessions {
		return rcBadTag
	}
	if c.cmd = t.commands.find(code); c.cmd == nil {
		return rcCommandCode
	}
	if t.started == (c.cmd.code == tpm2.TPMCCStartup) {
		return rcInitialize
	}
	for i, k := range c.cmd.handles[:c.cmd.handleCount()] {
		h := r.u32()
		if r.bad {
			return rcInsufficient.handle(i + 1)
		}
		e, rc := t.resolve(k, h, i)
		if rc != rcSuccess {
			return rc
		}
		c.entities[i] = e
	}
	if rc := c.openSessions(tag, &r); rc != rcSuccess {
		return rc
	}
	// The response starts with the header, the handle and the parameter size.
	c.base = 10
	if c.cmd.flags&rspHandle != 0 {
		c.base += 4
	}
	if tag == tagSessions {
		c.base += 4
	}
	c.out = make([]byte, c.base, 256)
	if c.audit != nil || t.audited(code) {
		c.handleNames() // the action may change them
	}
	if rc := c.cmd.run(c); rc != rcSuccess {
		return rc
	}
	c.respond(tag)
	return rcSuccess
}

// openSessions reads the authorization area, checks every authorization and
// decrypts the first parameter if a session says so.
func (c *call) openSessions(tag uint16, r *reader) rcode {
	if tag == tagSessions {
		size := r.u32()
		if r.bad {
			return rcInsufficient
		}
		area := reader{b: r.take(int(size))}
		if r.bad || size < 9 {
			return rcSize
		}
		if c.cmd.flags&noSessions != 0 {
			return rcAuthContext
		}
		if rc := c.readAuths(&area); rc != rcSuccess {
			return rc
		}
	}
	if c.sessions < c.cmd.authCount() {
		return rcAuthMissing
	}
	c.params = r.b
	for i := range c.auths[:c.sessions] {
		if rc := c.authorize(i); rc != rcSuccess {
			return rc
		}
	}
	c.in = params{r: reader{b: c.params}}
	if a := c.decrypt; a != nil {
		if len(c.params) < 2 || int(be.Uint16(c.params))+2 > len(c.params) {
			return rcInsufficient.param(1)
		}
		p := bytes.Clone(c.params)
		n := int(be.Uint16(p))
		a.session.crypt(p[2:2+n], c.paramKey(a), a.nonce, a.session.nonceTPM, true)
		c.in.r.b = p
	}
	return rcSuccess
}

// respond finishes the response: new nonces, parameter encryption, response
// HMACs, header. It cannot fail: everything was checked before the action.
func (c *call) respond(tag uint16) {
	if c.cmd.flags&rspHandle != 0 {
		be.PutUint32(c.out[10:], c.handle)
	}
	params := c.out[c.base:]
	if tag == tagSessions {
		be.PutUint32(c.out[c.base-4:], uint32(len(params)))
		auths := c.auths[:c.sessions]
		for i := range auths {
			if s := auths[i].session; s != nil {
				s.nonceTPM = random(len(s.nonceTPM))
			}
		}
		if a := c.encrypt; a != nil && len(params) >= 2 {
			if n := int(be.Uint16(params)); n+2 <= len(params) {
				a.session.crypt(params[2:2+n], c.paramKey(a), a.session.nonceTPM, a.nonce, false)
			}
		}
	}
	c.updateAudit(params)
	if tag == tagSessions {
		for i := range c.auths[:c.sessions] {
			c.appendAuth(i, params)
		}
	}
	if c.flush != 0 {
		c.t.slots[c.flush-baseTransient] = nil
	}
	be.PutUint16(c.out, tag)
	be.PutUint32(c.out[2:], uint32(len(c.out)))
}

// put2B appends a TPM2B response parameter.
func (c *call) put2B(b []byte) { c.out = append2B(c.out, b) }

// object gives the object at handle number i (from 0); resolve made sure that
// it is there.
func (c *call) object(i int) *object { return c.entities[i].object }
