package securityinfo

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// maxName bounds what a person calls a method, in bytes.
const maxName = 64

// Begin is what to register.
type Begin struct {
	Kind methods.Method
	// Phone is +CC NUMBER, for text messages and calls.
	Phone string
	// Name that the person gives it, or empty.
	Name string
}

// Begun is what the person needs to prove it, by kind.
type Begun struct {
	// Registration comes back with the proof.
	Registration secret.Text
	// URI has the secret of one-time codes (Key URI Format).
	URI secret.Text
	// Options is JSON, PublicKeyCredentialCreationOptionsJSON.
	Options string
	// ActivationCode pairs an authenticator.
	ActivationCode secret.Text
}

// Begin begins to register a method.
func (s *Service) Begin(ctx context.Context, c Call, b Begin) (Begun, error) {
	p, err := s.whoChanges(ctx, c)
	if err != nil {
		s.refused(ctx, p, err)
		return Begun{}, err
	}
	if len(b.Name) > maxName || strings.ContainsFunc(b.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Begun{}, prterr.New(prterr.Invalid, "display_name is longer than %d bytes, or has characters that do not print", maxName)
	}
	if problem := addable(p.User, b.Kind); problem != "" {
		return Begun{}, prterr.New(prterr.Conflict, "%s", problem)
	}
	r := s.begin(p, b.Kind, b.Name)
	var out Begun
	switch b.Kind {
	case methods.SoftwareOATH:
		out.URI, err = s.oneTimeCodes(p, r)
	case methods.SMS, methods.Voice:
		err = s.phone(ctx, p, r, b.Phone)
	case methods.Push:
		out.ActivationCode, err = s.cfg.Pairing.Begin(ctx, p.User, slices.Contains(p.AMR, "mfa"))
		r.Code = out.ActivationCode.Reveal()
	case methods.FIDO2:
		out.Options, r.Passkey, err = s.cfg.Passkeys.BeginRegistration(c.Host, p.User)
	default:
		err = prterr.New(prterr.Invalid, "kind is not one of %s, %s, %s, %s and %s", methods.SoftwareOATH, methods.Push, methods.SMS, methods.Voice, methods.FIDO2)
	}
	if err == nil {
		out.Registration, err = s.seal(r)
	}
	if err != nil {
		return Begun{}, err
	}
	return out, nil
}

// oneTimeCodes draws a secret, 160 bits as RFC 4226 section 4 recommends, and writes
// it as apps read it.
func (s *Service) oneTimeCodes(p person, r *registration) (secret.Text, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: strings.ReplaceAll(p.Tenant.DisplayName, ":", " "), AccountName: string(p.User.UPN), SecretSize: 20,
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1, Rand: rand.Reader,
	})
	if err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "a secret for one-time codes cannot be made")
	}
	r.Secret = key.Secret()
	return secret.NewText(key.URL()), nil
}

// phone sends a code to a number, or has it spoken there.
func (s *Service) phone(ctx context.Context, p person, r *registration, number string) error {
	if problem := tenant.PhoneProblem(number); problem != "" || number == "" {
		return prterr.New(prterr.Invalid, "phone_number is not +CC NUMBER, such as +1 5550100")
	}
	// One's own token lets one make telephones ring: as often as codes may be wrong.
	if err := s.cfg.Attempts.Try(ctx, "security-info-call|"+string(p.User.ID)); err != nil {
		return err
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "a code cannot be made")
	}
	r.Phone, r.Code = number, fmt.Sprintf("%06d", n.Int64())
	channel := outbox.SMS
	if r.Kind == methods.Voice {
		channel = outbox.Voice
	}
	s.cfg.Outbox.Send(outbox.Message{
		User: p.User.UPN, Channel: channel, Phone: number, Text: secret.NewText("Use code " + r.Code + " to add this telephone to your account."),
	})
	return nil
}

// refused logs a change that was not allowed, when it is known whose it was.
func (s *Service) refused(ctx context.Context, p person, err error) {
	if p.User.ID != "" {
		s.done(ctx, p, "", err)
	}
}
