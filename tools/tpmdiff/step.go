package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Tags, and the session that is a password (Part 2, 6.9 and 7.4).
const (
	tagNoSessions = 0x8001
	tagSessions   = 0x8002
	rsPW          = 0x40000009
)

// piece is a part of a command: bytes, or what an earlier step got back.
type piece struct {
	lit   []byte
	step  int    // of the earlier step, when field is set
	field string // of its response
}

func lit(b ...[]byte) piece             { return piece{lit: cat(b...)} }
func from(step int, field string) piece { return piece{step: step, field: field} }
func handle(h uint32) piece             { return lit(u32(h)) }

// auth is one entry of the authorization area.
type auth struct {
	session piece
	nonce   []byte
	attrs   byte
	value   []byte // a password, or with hmac the authValue
	hmac    bool   // of the session over the command, instead of value itself
}

// step is one command of a sequence, for any TPM: handles and blobs are named,
// not given.
type step struct {
	id      int
	cc      uint32
	note    string // how it was made wrong
	tag     uint16
	handles []piece
	auths   []auth
	params  []piece
	cycle   bool // no command: an orderly power cycle
	free    bool // the answer comes from a key that the TPM made, so it is its own
}

// world is one TPM and what it gave back so far.
type world struct {
	tpm    target
	got    map[string][]byte // "step.field"
	nonces map[string][]byte // of the TPM, by session handle
	sent   [][]byte
	rsps   [][]byte
}

func newWorld(t target) *world {
	return &world{tpm: t, got: map[string][]byte{}, nonces: map[string][]byte{}}
}

func (w *world) value(p piece) []byte {
	if p.field == "" {
		return p.lit
	}
	return w.got[fmt.Sprintf("%d.%s", p.step, p.field)]
}

// handleValue is a piece as a handle; one that was never got is no handle at all.
func (w *world) handleValue(p piece) []byte {
	if b := w.value(p); len(b) == 4 {
		return b
	}
	return u32(0x80ffffff)
}

// encode makes the command for this TPM.
func (w *world) encode(s *step) []byte {
	var handles, params []byte
	for _, h := range s.handles {
		handles = append(handles, w.handleValue(h)...)
	}
	for _, p := range s.params {
		params = append(params, w.value(p)...)
	}
	var area []byte
	for _, a := range s.auths {
		session, value := w.handleValue(a.session), a.value
		if a.hmac {
			value = w.mac(s, a, session, params)
		}
		area = append(area, cat(session, b2(a.nonce), u8(a.attrs), b2(value))...)
	}
	if s.tag == tagSessions || len(s.auths) > 0 {
		handles = append(handles, u32(uint32(len(area)))...)
		handles = append(handles, area...)
	}
	body := append(handles, params...)
	return cat(u16(s.tag), u32(uint32(10+len(body))), u32(s.cc), body)
}

// mac is the HMAC of an unbound, unsalted session (Part 1, 19.6.5): its key is
// the authValue alone.
func (w *world) mac(s *step, a auth, session, params []byte) []byte {
	cp := sha256.New()
	cp.Write(u32(s.cc))
	for _, h := range s.handles {
		cp.Write(w.name(w.handleValue(h)))
	}
	cp.Write(params)
	m := hmac.New(sha256.New, bytes.TrimRight(a.value, "\x00"))
	m.Write(cat(cp.Sum(nil), a.nonce, w.nonces[string(session)], u8(a.attrs)))
	return m.Sum(nil)
}

// name asks the TPM for the Name of an entity, which changes nothing in it.
func (w *world) name(h []byte) []byte {
	var cc uint32
	switch h[0] {
	case 0x80, 0x81:
		cc = ccReadPublic
	case 0x01:
		cc = ccNVReadPublic
	default:
		return h
	}
	rsp, err := w.tpm.Send(cat(u16(tagNoSessions), u32(14), u32(cc), h))
	if err != nil || len(rsp) < 10 {
		return nil
	}
	r := reader{b: rsp[10:]}
	r.sized()
	return r.sized()
}

// outcome is what a TPM answered to a step.
type outcome struct {
	rc     uint32
	handle []byte
	params []byte
}

// run sends a step. The error is that of a TPM that is gone.
func (w *world) run(s *step) (outcome, error) {
	if s.cycle {
		w.nonces = map[string][]byte{}
		return outcome{}, w.tpm.Cycle()
	}
	cmd := w.encode(s)
	rsp, err := w.tpm.Send(cmd)
	w.sent, w.rsps = append(w.sent, cmd), append(w.rsps, rsp)
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", w.tpm.Name(), err)
	}
	if len(rsp) < 10 || int(binary.BigEndian.Uint32(rsp[2:])) != len(rsp) {
		return outcome{}, fmt.Errorf("%s answered %x", w.tpm.Name(), rsp)
	}
	o := outcome{rc: binary.BigEndian.Uint32(rsp[6:])}
	if o.rc != 0 {
		return o, nil
	}
	r := reader{b: rsp[10:]}
	if layoutOf(s.cc).handle {
		o.handle = r.take(4)
	}
	if binary.BigEndian.Uint16(rsp) == tagSessions {
		o.params = r.take(int(r.u32()))
		for _, a := range s.auths {
			nonce := r.sized()
			r.take(1)
			r.sized()
			w.nonces[string(w.handleValue(a.session))] = nonce
		}
	} else {
		o.params = r.b
	}
	if r.bad {
		return outcome{}, fmt.Errorf("%s answered %x", w.tpm.Name(), rsp)
	}
	return o, nil
}

// keep remembers what a step got, for those that name it.
func (w *world) keep(s *step, o outcome, fields map[string][]byte) {
	put := func(field string, b []byte) { w.got[fmt.Sprintf("%d.%s", s.id, field)] = b }
	if o.handle != nil {
		put("handle", o.handle)
	}
	for name, b := range fields {
		put(name, b)
		put(name+"2b", b2(b)) // as a TPM2B, the way it goes into another command
	}
	if s.cc == ccStartAuthSession {
		w.nonces[string(o.handle)] = fields["nonce"]
	}
}
