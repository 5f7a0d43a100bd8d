package softtpm

import (
	"bytes"
	"crypto/hmac"

	"github.com/google/go-tpm/tpm2"
)

// checkPolicy compares the state of a policy session with what the entity
// wants (Part 1, 19.7), in the order of the checks that TPMs have in common.
//
//nolint:cyclop // one case a demand
func (c *call) checkPolicy(s *session, e entity, need role) rcode {
	want := c.t.policyOf(e)
	switch {
	case c.cmd.code == tpm2.TPMCCPolicySecret && !s.needAuth && !s.needPassword:
		return rcMode // a policy that needs no secret proves none
	case s.pcrs && s.pcrUpdates != c.t.pcrs.updates:
		return rcPCRChanged
	case !hmac.Equal(s.digest, want.digest), s.alg != want.alg:
		return rcPolicyFail
	case s.expires != 0 && s.expires < c.t.time():
		return rcExpired
	case s.command != 0 && s.command != uint32(c.cmd.code):
		return rcPolicyCC
	case s.command == 0 && need != roleUser:
		return rcPolicyFail // admin and dup must be named by PolicyCommandCode
	case s.locality != 0 && (s.locality > 31 || s.locality&1 == 0):
		return rcLocality // commands come from locality zero
	case s.presence:
		return rcPP
	case s.bindTo != bindNothing && !hmac.Equal(s.binding, c.bindingHash(s)):
		return rcPolicyFail
	case s.written != writtenAny && (e.index == nil || e.index.has(nvWritten) != (s.written == writtenYes)):
		return rcPolicyFail
	}
	return rcSuccess
}

// bindingHash computes what a session is bound to of the command at hand; nil
// if the command has no such thing.
func (c *call) bindingHash(s *session) []byte {
	h := s.hash.New()
	switch s.bindTo {
	case bindCpHash:
		return c.cpHash(s)
	case bindNames:
		h.Write(c.handleNames())
		return h.Sum(nil)
	case bindTemplate:
		switch c.cmd.code {
		case tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded:
		default:
			return nil
		}
		r := reader{b: c.params}
		r.sized()
		template := r.sized()
		if r.bad {
			return nil
		}
		h.Write(template)
		return h.Sum(nil)
	default:
		return nil
	}
}

// bind binds a policy session to one hash. A session has one binding of one
// kind; asking for the same again is no error where again says so.
func (s *session) bind(kind bindKind, hash []byte, again bool) rcode {
	same := again && s.bindTo == kind && bytes.Equal(s.binding, hash)
	if s.bindTo != bindNothing && !same {
		return rcCPHash
	}
	s.bindTo, s.binding = kind, bytes.Clone(hash)
	return rcSuccess
}

// policyBinding is the common part of the commands that bind a session to a
// hash given by the caller.
func policyBinding(c *call, kind bindKind, again bool) rcode {
	hash := c.in.sized(maxDigest)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	switch {
	case kind == bindTemplate && s.bindTo == bindTemplate && !bytes.Equal(s.binding, hash):
		return rcValue.param(1) // the other kinds answer CPHASH
	case kind == bindTemplate && s.bindTo != bindNothing && s.bindTo != bindTemplate:
		return rcCPHash
	case len(hash) != s.hash.Size():
		return rcSize.param(1)
	}
	if rc := s.bind(kind, hash, again); rc != rcSuccess {
		return rc
	}
	s.extend(code(c.cmd.code), hash)
	return rcSuccess
}

// policyCpHash is TPM2_PolicyCpHash (Part 3, 23.13).
func policyCpHash(c *call) rcode { return policyBinding(c, bindCpHash, true) }

// policyNameHash is TPM2_PolicyNameHash (Part 3, 23.14).
func policyNameHash(c *call) rcode { return policyBinding(c, bindNames, false) }

// policyTemplate is TPM2_PolicyTemplate (Part 3, 23.21).
func policyTemplate(c *call) rcode { return policyBinding(c, bindTemplate, true) }

// policyDuplicationSelect is TPM2_PolicyDuplicationSelect (Part 3, 23.15): the
// object may be duplicated, to this parent alone.
func policyDuplicationSelect(c *call) rcode {
	object, parent, include := c.in.sized(maxName), c.in.sized(maxName), c.in.yesNo()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	if s.bindTo != bindNothing {
		return rcCPHash
	}
	if s.command != 0 {
		return rcCommandCode
	}
	h := s.hash.New()
	h.Write(object)
	h.Write(parent)
	s.bindTo, s.binding, s.command = bindNames, h.Sum(nil), uint32(tpm2.TPMCCDuplicate)
	flag := byte(1)
	if !include {
		object, flag = nil, 0
	}
	s.extend(code(tpm2.TPMCCPolicyDuplicationSelect), object, parent, []byte{flag})
	return rcSuccess
}

// policyNvWritten is TPM2_PolicyNvWritten (Part 3, 23.20).
func policyNvWritten(c *call) rcode {
	set := c.in.yesNo()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	s := c.entities[0].session
	rule, flag := writtenNo, byte(0)
	if set {
		rule, flag = writtenYes, 1
	}
	if s.written != writtenAny && s.written != rule {
		return rcValue.param(1)
	}
	s.written = rule
	s.extend(code(tpm2.TPMCCPolicyNvWritten), []byte{flag})
	return rcSuccess
}
