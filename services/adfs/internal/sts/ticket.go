package sts

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
)

// ticketLife is that of a ticket-granting ticket, as domains have it by default
// (MaxTicketAge of the Kerberos policy).
const ticketLife = 10 * time.Hour

// Ticket stands for a ticket-granting ticket: who was let in, and until when.
type Ticket struct {
	User  org.User
	Until time.Time
}

// Ticket lets a user in to a computer of the domain. A name of another domain is
// NotFound, whatever the password: that tells nothing of a user. A wrong password and a
// user who does not exist are one error at one cost, Unauthenticated.
func (s *STS) Ticket(ctx context.Context, name string, password secret.Text) (Ticket, error) {
	upn, err := ids.ParseUPN(name)
	switch {
	case err != nil:
		return Ticket{}, prterr.New(prterr.Invalid, "user_principal_name: %v", err)
	case upn.Domain() != s.org.Domain():
		return Ticket{}, prterr.New(prterr.NotFound, "user_principal_name is not of the domain %s", s.org.Domain())
	}
	user, err := s.org.Authenticate(ctx, name, password)
	if errors.Is(err, org.ErrRefused) {
		s.log.WarnContext(ctx, "ticket refused")
		return Ticket{}, prterr.New(prterr.Unauthenticated, FailedAuthentication)
	}
	if err != nil {
		return Ticket{}, err
	}
	s.log.InfoContext(ctx, "ticket given", "sid", user.SID)
	return Ticket{User: user, Until: s.clock.Now().Add(ticketLife)}, nil
}
