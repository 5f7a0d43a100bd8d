package signin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/outbox"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	textKind = "text_code"
	// textLife is how long a code of a text message is good.
	textLife = 5 * time.Minute
)

// sent is a code that went to a telephone, for one sign-in.
type sent struct {
	Tenant ids.TenantID `json:"t"`
	Code   string       `json:"c"`
}

// text sends a code to the telephone of a user. A new one takes the place of the
// old. Messages that lead to nothing are counted, so that nobody's telephone is
// flooded (AADSTS50053).
func (s *Service) text(ctx context.Context, st *flowstate.State, u store.User) error {
	if err := s.attempts.Try(ctx, askedKey(methods.IDSMS, u.ID)); err != nil {
		return err
	}
	code, err := drawCode()
	if err != nil {
		return err
	}
	data, err := json.Marshal(sent{Tenant: u.Tenant, Code: code.Reveal()})
	if err != nil {
		return fmt.Errorf("code of a text message: %w", err)
	}
	p := store.Pending{Kind: textKind, Key: st.ID, User: u.ID, Expires: s.clock.Now().Add(textLife), Data: data}
	if err := s.putPending(ctx, p); err != nil {
		return err
	}
	s.outbox.Send(outbox.Message{
		User: u.UPN, Channel: outbox.SMS, Phone: u.Phone, Text: secret.NewText("Use verification code " + code.Reveal() + " for " + s.organization(u.Tenant) + " authentication."),
	})
	return nil
}

// drawCode is six digits.
func drawCode() (secret.Text, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return secret.Text{}, fmt.Errorf("code of a text message: %w", err)
	}
	return secret.NewText(fmt.Sprintf("%06d", n.Int64())), nil
}

// textCode checks the code of a text message: the one of this sign-in, once. Wrong
// ones are counted by user, over all of the user's sign-ins.
func (s *Service) textCode(ctx context.Context, st *flowstate.State, u store.User, code secret.Text) (result string, err error) {
	typed := secret.NewText(strings.ReplaceAll(code.Reveal(), " ", ""))
	wrong := prterr.AADSTS(aadsts.StrongAuthFailed, "the code is wrong: use the one of the newest message")
	if len(typed.Reveal()) != 6 {
		return resultWrongText, wrong
	}
	key := "text|" + string(u.ID)
	if err := s.attempts.Try(ctx, key); err != nil {
		return resultLocked, err
	}
	p, c, err := waitingAs[sent](ctx, s, textKind, st.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return resultTextOver, prterr.AADSTS(aadsts.StrongAuthFailed, "the code is too old or was used: ask for another message")
	case err != nil:
		return "", err
	case !typed.Equal(secret.NewText(c.Code)), p.User != u.ID, c.Tenant != u.Tenant:
		return resultWrongText, wrong
	}
	// Of several who type it at once, one has it.
	if err := s.waiting.DeletePending(ctx, textKind, st.ID); err != nil {
		return resultTextOver, prterr.AADSTS(aadsts.StrongAuthFailed, "the code was used already: ask for another message")
	}
	s.attempts.Right(ctx, key)
	s.attempts.Right(ctx, askedKey(methods.IDSMS, u.ID))
	return resultSuccess, nil
}
