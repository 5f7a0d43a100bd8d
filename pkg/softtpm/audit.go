package softtpm

import (
	"crypto"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// Audit (Part 1, 34 and 35): a digest over commands and responses. That of a
// session covers the commands that name the session; that of the TPM covers
// the commands of a list.

// auditSession makes an entry the audit session of the command. Format-one
// codes are placed by the caller.
func (c *call) auditSession(a *auth) rcode {
	switch {
	case c.audit != nil, a.session.policy:
		return rcAttributes
	case a.attrs&attrAuditReset == 0 && a.session.audit && a.attrs&attrAuditExclusive != 0 && c.t.exclusive != a.handle:
		return rcExclusive
	}
	c.audit = a
	return rcSuccess
}

// rpHash hashes the response (Part 1, 18.8).
func (c *call) rpHash(alg crypto.Hash, params []byte) []byte {
	h := alg.New()
	h.Write([]byte{0, 0, 0, 0}) // TPM_RC_SUCCESS
	h.Write(be.AppendUint32(nil, uint32(c.cmd.code)))
	h.Write(params)
	return h.Sum(nil)
}

// updateAudit extends the audit digests of a command that succeeded.
func (c *call) updateAudit(params []byte) {
	t := c.t
	if a := c.audit; a != nil {
		s := a.session
		if !s.audit || a.attrs&attrAuditReset != 0 {
			s.audit, s.bound = true, nil // an audit session is bound no more
			s.digest = make([]byte, s.hash.Size())
			t.exclusive = a.handle
		} else if t.exclusive != a.handle {
			t.exclusive = 0
		}
		a.attrs &^= attrAuditExclusive
		if t.exclusive == a.handle {
			a.attrs |= attrAuditExclusive
		}
		s.extend(c.cpHash(s), c.rpHash(s.hash, params))
	} else if c.cmd.flags&noSessions == 0 {
		t.exclusive = 0
	}
	if t.audited(uint32(c.cmd.code)) {
		c.updateCommandAudit(params)
	}
}

// commandAudit is the digest of command audit; digest nil: nothing since the
// last report.
type commandAudit struct {
	digest []byte
	skip   bool // do not audit the command at hand: it changed the algorithm
}

func (c *call) updateCommandAudit(params []byte) {
	t := c.t
	a := &t.audit
	if a.skip {
		a.skip = false
		return
	}
	h, _ := hashOf(t.nv.auditAlg)
	s := session{hash: h, digest: a.digest}
	if s.digest == nil {
		// The counter is not worth a failed command: if it cannot be saved,
		// it counts in memory.
		if rc := t.update(func(nv *nvState) { nv.auditCounter++ }); rc != rcSuccess {
			t.nv.auditCounter++
		}
		s.digest = make([]byte, h.Size())
	}
	s.extend(c.cpHash(&s), c.rpHash(h, params))
	a.digest = s.digest
}

// firstAudited is what a new TPM audits: the command that changes the list.
func firstAudited() []uint32 { return []uint32{uint32(tpm2.TPMCCSetCommandCodeAuditStatus)} }

func (t *TPM) audited(cc uint32) bool {
	_, found := slices.BinarySearch(t.nv.auditCommands, cc)
	return found
}

// setCommandCodeAuditStatus is TPM2_SetCommandCodeAuditStatus (Part 3, 21.2):
// sets the algorithm, or changes the list.
func setCommandCodeAuditStatus(c *call) rcode {
	alg, set, drop := c.in.hashOrNull(), c.in.codes(), c.in.codes()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	t := c.t
	if h, ok := hashOf(alg); ok && h != hashFor(t.nv.auditAlg) {
		if len(set)+len(drop) > 0 {
			return rcValue.param(1)
		}
		rc := t.update(func(nv *nvState) { nv.auditAlg = alg })
		if rc == rcSuccess {
			t.audit = commandAudit{skip: true}
		}
		return rc
	}
	list := slices.Clone(t.nv.auditCommands)
	for _, cc := range set {
		if t.commands.find(cc) != nil && cc != uint32(tpm2.TPMCCShutdown) {
			list = append(list, cc)
		}
	}
	for _, cc := range drop {
		if cc != uint32(tpm2.TPMCCSetCommandCodeAuditStatus) {
			list = slices.DeleteFunc(list, func(x uint32) bool { return x == cc })
		}
	}
	slices.Sort(list)
	return t.update(func(nv *nvState) { nv.auditCommands = slices.Compact(list) })
}
