// Package passkey holds the ceremonies of WebAuthn (W3C, Web Authentication Level 3,
// sections 7.1 and 7.2): challenges for authenticators and the check of their answers.
//
// What lives here: which sites passkeys are for, what is demanded of an
// authenticator, and the verdict on its answer. What never may: who may sign in, a
// store, a challenge that was given out; whoever begins a ceremony seals the
// Challenge and brings it back. The sign-in room calls it for sign-ins, the room of
// the security information for registrations.
//
// A passkey counts as more than one factor, so an authenticator must verify its user
// every time (UV), and credentials are discoverable, so that the page of a sign-in
// says nothing about which names have one (section 14.6.2).
package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// Life is how long an authenticator may take to answer.
	Life = 5 * time.Minute
	// MaxAnswer bounds the JSON of an answer, in bytes: attestation certificates are
	// the largest part of it.
	MaxAnswer = 64 << 10
	// MaxKeys bounds the passkeys of a user.
	MaxKeys = 16
	// relyingParty is how authenticators show us.
	relyingParty = "Lockstep"
	// local is the site of whoever reaches the front by no name of the cloud.
	local = "localhost"
)

// ErrAnswer is the one error for an answer that is not good, whatever is wrong with
// it. What is wrong is wrapped, for the log.
var ErrAnswer = errors.New("the authenticator's answer is not good")

// Hosts are the names under which pages are served that passkeys work on: those of
// the sign-in host in the worldwide cloud, and localhost. A passkey belongs to one of
// them, because it is the relying party id and browsers hold them apart.
func Hosts() []string {
	return []string{"login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net", local}
}

// Config of the ceremonies.
type Config struct {
	// Hosts are the sites; nil is Hosts().
	Hosts []string
	// Clock must be set.
	Clock clock.Clock
}

// Service makes challenges and judges answers. It is safe for concurrent use.
type Service struct {
	sites map[string]bool
	first string
	clock clock.Clock
}

// New makes the service.
func New(cfg Config) *Service {
	hosts := cfg.Hosts
	if hosts == nil {
		hosts = Hosts()
	}
	s := &Service{sites: map[string]bool{}, first: hosts[0], clock: cfg.Clock}
	for _, h := range hosts {
		s.sites[h] = true
	}
	return s
}

// Challenge is a ceremony under way. It is sealed by whoever began it.
type Challenge struct {
	// Value is base64url of 32 random bytes for a registration, of a random text for a
	// sign-in.
	Value string `json:"v"`
	// Site is the relying party id, Origin the one origin that may answer.
	Site   string `json:"s"`
	Origin string `json:"o"`
	// Made is when, in seconds since 1970.
	Made int64 `json:"m"`
}

// Digest names the challenge to a memory of what was used.
func (c Challenge) Digest() [sha256.Size]byte { return sha256.Sum256([]byte("passkey|" + c.Value)) }

// Ends is when it is over.
func (c Challenge) Ends() time.Time { return time.Unix(c.Made, 0).Add(Life) }

// site finds the relying party of a host as the edge saw it: a name of the list, never
// another that a client chose. An address is no relying party (section 5.1.2), and
// whoever comes by one is on this machine's laboratory: localhost.
func (s *Service) site(authority string) (id, origin string, err error) {
	authority = strings.ToLower(authority)
	name, port := authority, ""
	if h, p, err := net.SplitHostPort(authority); err == nil {
		name, port = h, ":"+p
	}
	name = strings.Trim(name, "[]")
	switch {
	case name == "":
		name = s.first
	case net.ParseIP(name) != nil:
		name = local
	}
	if port == ":443" {
		port = ""
	}
	if !s.sites[name] {
		return "", "", prterr.New(prterr.Invalid, "passkeys do not work on this host: open the page under the name of the sign-in host, or localhost")
	}
	return name, "https://" + name + port, nil
}

// party is the library set up for a site.
func party(site, origin string) (*webauthn.WebAuthn, error) {
	resident := true
	return webauthn.New(&webauthn.Config{
		RPID: site, RPDisplayName: relyingParty, RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferDirectAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &resident, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: Life, TimeoutUVD: Life},
			Registration: webauthn.TimeoutConfig{Timeout: Life, TimeoutUVD: Life},
		},
		// Clients may send outputs that nobody asked for; they decide nothing (section 9).
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
}

// algorithms that keys may be of, the preferred first.
func algorithms() []protocol.CredentialParameter {
	var out []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		out = append(out, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	return out
}

// session is what the library has to know of a challenge. Its times are not used:
// Open looked at ours.
func (c Challenge) session(user []byte) webauthn.SessionData {
	return webauthn.SessionData{
		Challenge: c.Value, RelyingPartyID: c.Site, Origin: c.Origin, UserID: user, UserVerification: protocol.VerificationRequired, CredParams: algorithms(),
	}
}

// fresh says whether a challenge may still be answered.
func (s *Service) fresh(c Challenge) error {
	now := s.clock.Now()
	if c.Value == "" || !s.sites[c.Site] || now.After(c.Ends()) || now.Before(time.Unix(c.Made, 0).Add(-time.Minute)) {
		return ErrAnswer
	}
	return nil
}

func (s *Service) challenge(session *webauthn.SessionData, site, origin string) Challenge {
	return Challenge{Value: session.Challenge, Site: site, Origin: origin, Made: s.clock.Now().Unix()}
}

// options is the JSON that PublicKeyCredential.parse...OptionsFromJSON takes.
func options(o any) (string, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "the options of a passkey cannot be written")
	}
	return string(raw), nil
}

// KeyID is the text that names a passkey among a user's: base64url of its id.
func KeyID(k store.Passkey) string { return base64.RawURLEncoding.EncodeToString(k.ID) }
