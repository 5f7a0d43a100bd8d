package pageagent

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" // RFC 6238 with SHA-1 is what authenticators do
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// codeOf gets a code: from the person's own authenticator, or from wherever it was
// sent.
func (v *visit) codeOf(ctx context.Context, method string) (secret.Text, error) {
	p := &v.cfg.Person
	if method == SoftwareOATH && !p.TOTP.Empty() {
		return totp(p.TOTP, v.cfg.Clock.Now())
	}
	if p.Code == nil {
		return secret.Text{}, prterr.New(prterr.Interaction, "the page asks for a code that the person does not have: %s", method)
	}
	code, err := p.Code(ctx, method)
	if err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Interaction, err, "the person got no code: %s", method)
	}
	return code, nil
}

// totp is the code of RFC 6238 at a time.
func totp(base secret.Text, at time.Time) (secret.Text, error) {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(base.Reveal()), "="))
	if err != nil {
		return secret.Text{}, prterr.New(prterr.Invalid, "the secret of one-time codes is not base32")
	}
	mac := hmac.New(sha1.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(at.Unix()/30)))
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return secret.NewText(fmt.Sprintf("%06d", n%1000000)), nil
}
