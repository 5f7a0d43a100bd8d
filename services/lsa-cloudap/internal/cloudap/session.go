package cloudap

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
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

// openSession makes a logon session and starts the renewal clock with the first.
func (c *CloudAP) openSession(e *entry) (secret.Text, error) {
	raw := make([]byte, sessionBytes)
	if _, err := rand.Read(raw); err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "no random bytes")
	}
	session := secret.NewText(base64.RawURLEncoding.EncodeToString(raw))
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing:
		return secret.Text{}, closing()
	case c.entries[e.key] != e:
		return secret.Text{}, prterr.New(prterr.Conflict, "the account was replaced meanwhile: sign in again")
	case len(c.sessions) >= maxSessions:
		return secret.Text{}, prterr.New(prterr.Exhausted, "too many logon sessions: sign out of some")
	}
	c.attach(digest(session), e)
	return session, nil
}

// attach and detach are the two ends of a session's use of a partition; CloudAP.mu is
// held.
func (c *CloudAP) attach(d sessionDigest, e *entry) {
	c.sessions[d] = e
	e.sessions++
	if e.sessions == 1 {
		e.stop = make(chan struct{})
		c.running.Add(1)
		go c.keep(e, e.stop)
	}
}

func (c *CloudAP) detach(d sessionDigest, e *entry) {
	delete(c.sessions, d)
	if e.sessions--; e.sessions == 0 {
		e.stopKeeper()
	}
}

// moveSession lets a session use another partition of the same user from here on.
func (c *CloudAP) moveSession(session secret.Text, to *entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := digest(session)
	from := c.sessions[d]
	switch {
	case c.closing:
		return closing()
	case from == nil:
		return noSession()
	case c.entries[to.key] != to || from.key.Tenant != to.key.Tenant || from.key.User != to.key.User:
		return prterr.New(prterr.Conflict, "the account was replaced meanwhile: sign in again")
	}
	c.detach(d, from)
	c.attach(d, to)
	return nil
}

// Logoff ends a logon session, and with the last one the renewal clock.
func (c *CloudAP) Logoff(session secret.Text) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := digest(session)
	e := c.sessions[d]
	if e == nil {
		return noSession()
	}
	c.detach(d, e)
	c.dropPages(d)
	return nil
}

// bySession finds whom a caller acts for.
func (c *CloudAP) bySession(session secret.Text) (*entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.sessions[digest(session)]
	if e == nil {
		return nil, noSession()
	}
	return e, nil
}

func noSession() error {
	return prterr.New(prterr.Unauthenticated, "logon_session is unknown or has ended: sign in")
}

func closing() error { return prterr.New(prterr.Unavailable, "the component is shutting down") }
