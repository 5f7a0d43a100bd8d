package passkey

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// BeginRegistration makes the challenge of a new passkey for a user, who may have
// MaxKeys of them. Authenticators that hold one of the user's say so and make none.
func (s *Service) BeginRegistration(host string, u store.User) (json string, c Challenge, err error) {
	site, origin, err := s.site(host)
	if err != nil {
		return "", c, err
	}
	if len(u.Passkeys) >= MaxKeys {
		return "", c, prterr.New(prterr.Conflict, "you have %d passkeys, which is as many as there may be: remove one", MaxKeys)
	}
	p, err := party(site, origin)
	if err != nil {
		return "", c, prterr.Wrap(prterr.Internal, err, "a passkey cannot be registered")
	}
	who := account{User: u, site: site}
	var known []protocol.CredentialDescriptor
	for _, k := range who.WebAuthnCredentials() {
		known = append(known, k.Descriptor())
	}
	creation, session, err := p.BeginRegistration(who, webauthn.WithExclusions(known), webauthn.WithCredentialParameters(algorithms()))
	if err != nil {
		return "", c, prterr.Wrap(prterr.Internal, err, "a passkey cannot be registered")
	}
	json, err = options(creation.Response)
	return json, s.challenge(session, site, origin), err
}

// Register judges the answer to the challenge of a new passkey (section 7.1). What an
// attestation says is recorded and not demanded: whose authenticators are good is a
// question of policy that nobody has asked yet. ErrAnswer.
func (s *Service) Register(c Challenge, u store.User, name string, credential []byte) (store.Passkey, error) {
	if err := s.fresh(c); err != nil {
		return store.Passkey{}, err
	}
	if len(credential) > MaxAnswer {
		return store.Passkey{}, fmt.Errorf("%w: it is longer than %d bytes", ErrAnswer, MaxAnswer)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return store.Passkey{}, refusal(err)
	}
	p, err := party(c.Site, c.Origin)
	if err != nil {
		return store.Passkey{}, prterr.Wrap(prterr.Internal, err, "a passkey cannot be registered")
	}
	who := account{User: u, site: c.Site}
	got, err := p.CreateCredential(who, c.session(who.WebAuthnID()), parsed)
	if err != nil {
		return store.Passkey{}, refusal(err)
	}
	if slices.ContainsFunc(u.Passkeys, func(k store.Passkey) bool { return bytes.Equal(k.ID, got.ID) }) {
		return store.Passkey{}, fmt.Errorf("%w: the passkey is registered already", ErrAnswer)
	}
	k := store.Passkey{
		ID: got.ID, PublicKey: got.PublicKey, SignCount: got.Authenticator.SignCount, Name: name, Site: c.Site, AAGUID: got.Authenticator.AAGUID,
		Attestation: got.AttestationFormat, BackupEligible: got.Flags.BackupEligible, BackedUp: got.Flags.BackupState, Added: s.clock.Now().UTC(),
	}
	for _, t := range got.Transport {
		k.Transports = append(k.Transports, string(t))
	}
	return k, nil
}
