package passkey

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Begin makes the challenge of a sign-in on a host. Without a user the authenticator
// finds the passkey itself; with one, whose first factor is proven, the options list
// the user's own.
func (s *Service) Begin(host string, of *store.User) (json string, c Challenge, err error) {
	site, origin, err := s.site(host)
	if err != nil {
		return "", c, err
	}
	p, err := party(site, origin)
	if err != nil {
		return "", c, prterr.Wrap(prterr.Internal, err, "passkeys cannot be asked for")
	}
	var assertion *protocol.CredentialAssertion
	var session *webauthn.SessionData
	if of == nil {
		assertion, session, err = p.BeginDiscoverableLogin(asText())
	} else {
		a := account{User: *of, site: site}
		if len(a.WebAuthnCredentials()) == 0 {
			return "", c, prterr.New(prterr.NotFound, "the user has no passkey for this host: use another method")
		}
		assertion, session, err = p.BeginLogin(a, asText())
	}
	if err != nil {
		return "", c, prterr.Wrap(prterr.Internal, err, "passkeys cannot be asked for")
	}
	json, err = options(assertion.Response)
	return json, s.challenge(session, site, origin), err
}

// asText makes the challenge of a sign-in a text of 52 letters and digits with 256 bits
// of chance: clients without a browser read it as a text and take its bytes (a challenge
// is any bytes, section 13.4.3).
func asText() webauthn.LoginOption { return webauthn.WithChallenge([]byte(rand.Text() + rand.Text())) }

// Answer is an authenticator's answer that was read and not judged yet.
type Answer struct {
	parsed *protocol.ParsedCredentialAssertionData
}

// Read reads the JSON of an answer. ErrAnswer.
func Read(credential []byte) (a Answer, err error) {
	if len(credential) > MaxAnswer {
		return Answer{}, fmt.Errorf("%w: it is longer than %d bytes", ErrAnswer, MaxAnswer)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return Answer{}, refusal(err)
	}
	return Answer{parsed}, nil
}

// Handle of the user that the answer names; empty when it names none. It is not
// proven yet.
func (a Answer) Handle() []byte { return a.parsed.Response.UserHandle }

// Verify judges an answer to a challenge by one of the passkeys of a user, and returns
// the passkey as it is after it: with the counter of the answer (section 7.2). A
// counter that does not go forward is the sign of a copy and is refused (section
// 6.1.1). ErrAnswer.
func (s *Service) Verify(c Challenge, u store.User, a Answer) (store.Passkey, error) {
	if err := s.fresh(c); err != nil {
		return store.Passkey{}, err
	}
	who := account{User: u, site: c.Site}
	p, err := party(c.Site, c.Origin)
	if err != nil {
		return store.Passkey{}, prterr.Wrap(prterr.Internal, err, "the passkey cannot be checked")
	}
	got, err := p.ValidateLogin(who, c.session(who.WebAuthnID()), a.parsed)
	if err != nil {
		return store.Passkey{}, refusal(err)
	}
	if got.Authenticator.CloneWarning {
		return store.Passkey{}, fmt.Errorf("%w: its counter is not past the last one, so the passkey may have been copied", ErrAnswer)
	}
	i := slices.IndexFunc(u.Passkeys, func(k store.Passkey) bool { return k.Site == c.Site && bytes.Equal(k.ID, got.ID) })
	if i < 0 {
		return store.Passkey{}, ErrAnswer
	}
	k := u.Passkeys[i]
	k.SignCount, k.BackedUp, k.Used = got.Authenticator.SignCount, got.Flags.BackupState, s.clock.Now().UTC()
	return k, nil
}

// refusal keeps what the library says about an answer, for the log.
func refusal(err error) error {
	var known *protocol.Error
	if errors.As(err, &known) {
		return fmt.Errorf("%w: %s", ErrAnswer, known.Details)
	}
	return fmt.Errorf("%w: it cannot be read", ErrAnswer)
}
