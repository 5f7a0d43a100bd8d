package cloudap

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/local"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

const (
	sessionBytes = 32
	// maxSessions bounds memory; a device has a handful.
	maxSessions = 1024
)

// sessionDigest is the SHA-256 of a logon session. Only digests are kept and
// looked up: how long a look-up takes says nothing about a session that is not
// already known, because nobody can steer a digest.
type sessionDigest [sha256.Size]byte

func digest(session secret.Text) sessionDigest { return sha256.Sum256([]byte(session.Reveal())) }

// session is an open logon session: somebody of this device, with a partition behind
// or without one. It is guarded by CloudAP.mu.
type session struct {
	sid sid.SID
	// entry is the partition that the session uses; nil while it has no PRT.
	entry *entry
	// was is the partition that the session used until the membership of the device that it
	// was of had ended, or zero.
	was partition.Key
	// local is the account of the device's own that is signed in, or empty.
	local local.Name
	// upn and name are of who is signed in, where no partition says it.
	upn  ids.UPN
	name string
	// pending is the wait for the PRT of somebody whom the domain let in, or nil.
	pending *pending
}

// openSession makes a logon session and starts the renewal clock with the first of its
// partition.
func (c *CloudAP) openSession(s *session) (secret.Text, error) {
	raw := make([]byte, sessionBytes)
	if _, err := rand.Read(raw); err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "no random bytes")
	}
	name := secret.NewText(base64.RawURLEncoding.EncodeToString(raw))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing:
		return secret.Text{}, closing()
	case s.entry != nil && c.entries[s.entry.key] != s.entry:
		return secret.Text{}, replacedMeanwhile()
	case len(c.sessions) >= maxSessions:
		return secret.Text{}, prterr.New(prterr.Exhausted, "too many logon sessions: sign out of some")
	}
	c.sessions[digest(name)] = s
	if s.entry != nil {
		c.attach(s, s.entry)
	}
	if s.pending != nil {
		c.running.Add(1)
		go c.await(s, s.pending)
	}
	return name, nil
}

// attach and detach are the two ends of a session's use of a partition; CloudAP.mu is
// held.
func (c *CloudAP) attach(s *session, e *entry) {
	s.entry = e
	e.sessions++
	if e.sessions == 1 {
		e.stop = make(chan struct{})
		c.running.Add(1)
		go c.keep(e, e.stop)
	}
}

func (c *CloudAP) detach(s *session) {
	e := s.entry
	if s.entry = nil; e == nil {
		return
	}
	if e.sessions--; e.sessions == 0 {
		e.stopKeeper()
	}
}

// drop ends a session; CloudAP.mu is held.
func (c *CloudAP) drop(d sessionDigest) {
	s := c.sessions[d]
	delete(c.sessions, d)
	s.pending.stop()
	c.detach(s)
	c.dropPages(d)
}

// moveSession lets a session use another partition of the same user from here on.
func (c *CloudAP) moveSession(name secret.Text, to *entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[digest(name)]
	switch {
	case c.closing:
		return closing()
	case s == nil:
		return noSession()
	case s.entry == to:
		return nil
	case c.entries[to.key] != to || !s.isOf(to.key):
		return replacedMeanwhile()
	}
	s.was = partition.Key{}
	c.detach(s)
	c.attach(s, to)
	return nil
}

// isOf reports whether a session is, or was, one of the user of a partition; CloudAP.mu is
// held.
func (s *session) isOf(k partition.Key) bool {
	if s.entry != nil {
		return sameUser(s.entry.key, k)
	}
	return sameUser(s.was, k)
}

func sameUser(a, b partition.Key) bool { return a.Tenant == b.Tenant && a.User == b.User }

// Logoff ends a logon session, with the last one of a partition its renewal clock, and
// with the last one of a user the use of their data key.
func (c *CloudAP) Logoff(name secret.Text) error {
	c.mu.Lock()
	d := digest(name)
	s := c.sessions[d]
	if s == nil {
		c.mu.Unlock()
		return noSession()
	}
	e := s.entry
	c.drop(d)
	c.mu.Unlock()
	if e != nil {
		c.lockDataKey(e.key)
	}
	return nil
}

// find copies a session.
func (c *CloudAP) find(name secret.Text) (session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[digest(name)]
	if s == nil {
		return session{}, noSession()
	}
	return *s, nil
}

// bySession finds whose PRT a caller acts with.
func (c *CloudAP) bySession(name secret.Text) (*entry, error) {
	s, err := c.find(name)
	switch {
	case err != nil:
		return nil, err
	case s.entry == nil:
		return nil, noPRT()
	}
	return s.entry, nil
}

// sidOf is who the user of a partition is on this device.
func sidOf(p partition.Partition) sid.SID {
	if p.SID != "" {
		return p.SID
	}
	s, _ := sid.OfUser(p.User) // a partition's user is a GUID
	return s
}

func noSession() error {
	return prterr.New(prterr.Unauthenticated, "logon_session is unknown or has ended: sign in")
}

// noPRT is the answer to who needs a PRT in a session of a local account, or in one
// whose PRT is still to come.
func noPRT() error {
	return prterr.New(prterr.Interaction, "there is no PRT in this session").WithHRESULT(hresultInteraction)
}

func replacedMeanwhile() error {
	return prterr.New(prterr.Conflict, "the account was replaced meanwhile: sign in again")
}

func closing() error { return prterr.New(prterr.Unavailable, "the component is shutting down") }
