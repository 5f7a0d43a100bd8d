package signin

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// period of one-time codes, in seconds, and how many of them earlier or later are
// taken as well (RFC 6238 section 5.2 allows one).
const (
	period = 30
	around = 1
)

// oneTime checks a one-time code. A good one is good once (RFC 6238 section 5.2),
// and wrong ones are counted.
func (s *Service) oneTime(ctx context.Context, u store.User, code secret.Text) (result string, err error) {
	typed := strings.ReplaceAll(code.Reveal(), " ", "")
	wrong := prterr.AADSTS(aadsts.StrongAuthFailed, "the code is wrong: try the one that is shown now")
	if u.TOTPSecret.Empty() || len(typed) != 6 {
		return resultWrong, wrong
	}
	key := "otp|" + string(u.ID)
	if err := s.attempts.Try(ctx, key); err != nil {
		return resultLocked, err
	}
	now := s.clock.Now().Unix() / period
	for step := now - around; step <= now+around; step++ {
		opts := hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
		if ok, err := hotp.ValidateCustom(typed, uint64(max(step, 0)), u.TOTPSecret.Reveal(), opts); err != nil || !ok {
			continue
		}
		// Whoever has another secret now shows another code, which was not used before.
		digest := sha256.Sum256(append([]byte("otp|"+string(u.ID)+"|"+u.TOTPSecret.Reveal()+"|"), byte(step), byte(step>>8), byte(step>>16), byte(step>>24)))
		first, err := s.replays.Use(ctx, digest, time.Unix((step+around+1)*period, 0))
		if err != nil {
			return resultLocked, err
		}
		if first {
			s.attempts.Right(ctx, key)
			return resultSuccess, nil
		}
	}
	return resultWrong, wrong
}

// showing is the code that the user's app shows now.
func (s *Service) showing(u store.User) (secret.Text, error) {
	if u.TOTPSecret.Empty() {
		return secret.Text{}, prterr.New(prterr.NotFound, "the user has no one-time codes: set them with SetUserMethods")
	}
	code, err := totp.GenerateCode(u.TOTPSecret.Reveal(), s.clock.Now())
	if err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "the user's secret for one-time codes is not good")
	}
	return secret.NewText(code), nil
}
