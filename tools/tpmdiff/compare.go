package main

import (
	"bytes"
	"errors"
	"fmt"
)

// divergence is a step to which two TPMs answered differently.
type divergence struct {
	target  string // the TPM that softtpm is compared with
	command string
	soft    string // response code in hexadecimal, or the field that differs
	ref     string
	note    string
	detail  string
}

func (d divergence) group() string {
	return fmt.Sprintf("%s | %s | %s | %s", d.target, d.command, d.soft, d.ref)
}

// compare says how the outcomes of a step differ; nil: they do not.
func compare(s *step, known bool, soft, ref outcome) (*divergence, error) {
	l := layoutOf(s.cc)
	d := &divergence{command: l.name, note: s.note}
	if soft.rc != ref.rc {
		d.soft, d.ref = fmt.Sprintf("%#x", soft.rc), fmt.Sprintf("%#x", ref.rc)
		return d, nil
	}
	if soft.rc != 0 || s.cycle {
		return nil, nil
	}
	if !bytes.Equal(soft.handle, ref.handle) {
		d.soft, d.ref, d.detail = "handle", "handle", fmt.Sprintf("%x, %x", soft.handle, ref.handle)
		return d, nil
	}
	ours, err := split(l, soft.params)
	if err != nil {
		return nil, fmt.Errorf("soft: %w", err)
	}
	theirs, err := split(l, ref.params)
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	if s.cc == ccGetCapability && s.note != "" {
		return nil, nil // it asks for something else, which need not agree
	}
	for i, f := range l.fields {
		if s.free && f.how == same || i == 0 && s.encrypted() || f.how == attest && s.encrypted() {
			f.how = length
		}
		a, b := visible(f, ours[f.name], known), visible(f, theirs[f.name], known)
		if !bytes.Equal(a, b) {
			d.soft, d.ref = f.name, f.name
			if s.cc == ccGetCapability { // which one was asked for
				d.soft = fmt.Sprintf("%x", s.params[0].lit[:min(8, len(s.params[0].lit))])
				d.ref = d.soft
			}
			d.detail = fmt.Sprintf("%x, %x", ours[f.name], theirs[f.name])
			return d, nil
		}
	}
	return nil, nil
}

// encrypted says that a session may have encrypted the first field, or decrypted
// the first parameter, with a key of its own nonces.
func (s *step) encrypted() bool {
	for _, a := range s.auths {
		if a.attrs&0x60 != 0 {
			return true
		}
	}
	return false
}

// pair runs steps on the TPM that is judged and on the one it is compared with.
type pair struct {
	soft, ref *world
	known     map[int]bool // steps that loaded a key from outside
	trace     []traced
}

// traced is a step as it was, for a report.
type traced struct {
	name, note string
	soft, ref  string // command and response
	codes      [2]uint32
}

func newPair(soft, ref target) (*pair, error) {
	for _, t := range []target{soft, ref} {
		if err := t.Renew(); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name(), err)
		}
		if err := setLimits(t); err != nil {
			return nil, err
		}
	}
	return &pair{soft: newWorld(soft), ref: newWorld(ref), known: map[int]bool{}}, nil
}

// setLimits gives the lockout of a new or cleared TPM limits that do not depend
// on its maker, as an owner does first of all.
func setLimits(t target) error {
	cmd := cat(u16(tagSessions), u32(0), u32(ccLockParams), u32(rhLockout), u32(9), u32(rsPW), u16(0), u8(1), u16(0), u32(32), u32(1000), u32(1000))
	copy(cmd[2:], u32(uint32(len(cmd))))
	rsp, err := t.Send(cmd)
	if err := succeeded("DictionaryAttackParameters", rsp, err); err != nil {
		return fmt.Errorf("%s: %w", t.Name(), err)
	}
	return nil
}

// do runs one step on both. ok says that both did it.
func (p *pair) do(s *step) (d *divergence, ok bool, err error) {
	a, err := p.soft.run(s)
	if err != nil {
		return nil, false, err
	}
	b, err := p.ref.run(s)
	if err != nil {
		return nil, false, err
	}
	t := traced{name: layoutOf(s.cc).name, note: s.note, codes: [2]uint32{a.rc, b.rc}}
	if !s.cycle {
		last := len(p.soft.sent) - 1
		t.soft = fmt.Sprintf("%x -> %x", p.soft.sent[last], p.soft.rsps[last])
		t.ref = fmt.Sprintf("%x -> %x", p.ref.sent[last], p.ref.rsps[last])
	}
	p.trace = append(p.trace, t)
	known := len(s.handles) > 0 && s.handles[0].field != "" && p.known[s.handles[0].step]
	if d, err = compare(s, known, a, b); err != nil {
		return nil, false, err
	}
	if d != nil {
		d.target = p.ref.tpm.Name()
	}
	if a.rc != 0 || b.rc != 0 || s.cycle {
		return d, a.rc == 0 && b.rc == 0, nil
	}
	for id := range p.known { // another object has the handle now
		if a.handle != nil && bytes.Equal(p.soft.value(from(id, "handle")), a.handle) {
			delete(p.known, id)
		}
	}
	switch s.cc {
	case ccLoadExternal:
		p.known[s.id] = true
	case ccClear:
		if err := errors.Join(setLimits(p.soft.tpm), setLimits(p.ref.tpm)); err != nil {
			return nil, false, err
		}
	}
	ours, err := split(layoutOf(s.cc), a.params)
	if err != nil {
		return nil, false, err
	}
	theirs, err := split(layoutOf(s.cc), b.params)
	if err != nil {
		return nil, false, err
	}
	p.soft.keep(s, a, ours)
	p.ref.keep(s, b, theirs)
	return d, true, nil
}
