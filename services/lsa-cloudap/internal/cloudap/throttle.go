package cloudap

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/retryhint"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// personTries is how often somebody at the keyboard may try within the time for which the
// identity provider asked to be left alone. The renewal clock does not try at all. A person
// may: it is their only way to a first PRT, the hint may have been meant for something
// else, and Windows does not keep them from it. But whoever holds down Enter must not make
// the provider's trouble greater.
const personTries = 3

// named is a user by name, with a kind of credential: who tries before it is known whose
// partition that is.
type named struct {
	upn  ids.UPN
	kind partition.Kind
}

// whoseRenewal is for whom a renewal asks: the same as a sign-in of that user, so that
// both have one hint.
func whoseRenewal(p partition.Partition) named { return named{p.UPN, attemptKind(p.Kind)} }

// trying begins an attempt to obtain a PRT, unless that was tried often enough under a
// hint: then it fails with the answer of before, and the attempt of before stays the last
// one. The caller ends it, and gets the error with the time to wait in its text.
func (c *CloudAP) trying(ctx context.Context, upn ids.UPN, cred proof) (ended func(error) error, err error) {
	who := named{upn, cred.kind()}
	if err := c.hints.Try(who, c.cfg.Clock.Now(), personTries); err != nil {
		return nil, retryhint.Told(err)
	}
	kept := c.acquiring(ctx, upn, cred)
	return func(err error) error {
		kept(err)
		c.hints.Learn(who, err, c.cfg.Clock.Now())
		return retryhint.Told(err)
	}, nil
}
