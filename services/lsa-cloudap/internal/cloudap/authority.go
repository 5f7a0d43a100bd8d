package cloudap

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// TokenRequest is what an app-token request depends on.
type TokenRequest struct {
	Client      ids.ClientID
	Resource    string
	RedirectURI string
	Nonce       string
	// RefreshToken of the app, sealed; nil redeems the PRT.
	RefreshToken []byte
}

// Cookie is a PRT cookie.
type Cookie struct {
	Name  string
	Value secret.Text
}

// Account is who is signed in under a logon session.
type Account struct {
	partition.Partition
	SID sid.SID
	// NoPRT is true in a session without a PRT; of the partition there are only the
	// names then.
	NoPRT bool
}

// Account describes who is signed in under a logon session.
func (c *CloudAP) Account(name secret.Text) (Account, error) {
	s, err := c.find(name)
	if err != nil {
		return Account{}, err
	}
	if s.entry == nil {
		return Account{Partition: partition.Partition{UPN: s.upn, DisplayName: s.name}, SID: s.sid, NoPRT: true}, nil
	}
	p, ok := s.entry.snapshot()
	if !ok {
		return Account{}, noSession()
	}
	return Account{Partition: p, SID: s.sid}, nil
}

// SignTokenRequest signs an app-token request. A new PRT is asked for only when
// the PRT itself is redeemed and is older than the refresh cycle.
func (c *CloudAP) SignTokenRequest(ctx context.Context, session secret.Text, r TokenRequest) (string, error) {
	e, p, err := c.usable(session)
	if err != nil {
		return "", err
	}
	newPRT := r.RefreshToken == nil && p.Age(c.cfg.Clock.Now()) >= c.cfg.RenewEvery
	signed, err := c.signUnlocked(ctx, p, r, newPRT)
	return signed, e.used(err, r.RefreshToken != nil)
}

// OpenTokenAnswer opens the answer to such a request. The answer passes as it
// is: the framework has no business with app tokens.
func (c *CloudAP) OpenTokenAnswer(ctx context.Context, session secret.Text, client ids.ClientID, answer string) (*tpmv1.OpenTokenAnswerResponse, error) {
	e, p, err := c.signedIn(session)
	if err != nil {
		return nil, err
	}
	now := p
	for _, p.SealedKey = range e.openers(c.cfg.Clock.Now()) {
		var opened *tpmv1.OpenTokenAnswerResponse
		opened, err = c.openUnlocked(ctx, p, now, client, answer)
		// Only "this does not open" is worth a second key.
		if k := prterr.KindOf(err); k != prterr.Invalid && k != prterr.Denied {
			return opened, err
		}
	}
	return nil, err
}

// OfferPRT adopts a PRT that came with an app-token answer, once the identity
// provider has taken it as one of this user under this session key. Until it is
// on disk, and whenever anything fails, the old PRT stays.
func (c *CloudAP) OfferPRT(ctx context.Context, session, prt secret.Text, life time.Duration) error {
	c.settleCache(ctx)
	e, p, err := c.signedIn(session)
	if err != nil {
		return err
	}
	sealed, offered := p.SealedKey, p.Offering(prt)
	if p.SamePRT(offered) {
		return nil
	}
	if err := c.plugin.validate(ctx, offered); err != nil {
		// Of the PRT that is cached an offered one says nothing, of its user it may.
		if code, ok := blocks(err); ok {
			c.block(ctx, c.ofUser(e.key), code)
		}
		c.cfg.Log.WarnContext(ctx, "offered PRT refused, the old one stays", "user", e.key.User, "kind", prterr.KindOf(err))
		return err
	}
	protected, err := c.tpm.protectPRT(ctx, e.key, prt)
	if err != nil {
		return err
	}
	now := c.cfg.Clock.Now()
	err = c.replace(e, func(p *partition.Partition) error {
		if !bytes.Equal(p.SealedKey, sealed) {
			return prterr.New(prterr.Conflict, "the PRT was renewed meanwhile: the newer one stays")
		}
		p.SetPRT(prt, protected)
		p.ObtainedAt, p.ExpiresAt = now, now.Add(life)
		accepted(p, now)
		return nil
	})
	if err == nil {
		c.cfg.Points.Reached("memory-switched")
		c.welcome(ctx, e)
	}
	return err
}

// CreateCookie makes a PRT cookie for one sign-in page (browser SSO, step C). It
// trusts nobody's check of the URL but its own.
func (c *CloudAP) CreateCookie(ctx context.Context, session secret.Text, signInURI string) (Cookie, error) {
	e, p, err := c.usable(session)
	if err != nil {
		return Cookie{}, err
	}
	nonce, err := c.cfg.SignInPages.Nonce(signInURI)
	if err != nil {
		return Cookie{}, prterr.New(prterr.Invalid, "%v", err)
	}
	cookie, err := c.plugin.createCookie(ctx, p, nonce)
	return cookie, e.used(err, false)
}

// tpmAgent begins the address of a call to the tpm-agent, in the form of prterr.Where.
const tpmAgent = "grpc://tpm-agent/"

// used looks at how a use of the PRT ended. With a refresh token it may be that one which
// is denied.
func (e *entry) used(err error, withToken bool) error {
	if !withToken {
		err = damaged(err)
	}
	if prterr.KindOf(err) == prterr.KeysLost {
		e.note(err)
	}
	return err
}

// damaged makes of a tpm-agent that denies the use of the pair in the cache one that has
// lost its key: the pair was damaged on its way or at rest, and is never taken again.
func damaged(err error) error {
	var e *prterr.Error
	if !errors.As(err, &e) || e.Kind != prterr.Denied || !strings.HasPrefix(e.Where.URI, tpmAgent) {
		return err
	}
	return prterr.Wrap(prterr.KeysLost, err, "the tpm-agent does not take the PRT's session key from the cache: sign in again").WithHRESULT(hresultBadKeyset)
}

func (c *CloudAP) signedIn(session secret.Text) (*entry, partition.Partition, error) {
	e, err := c.bySession(session)
	if err != nil {
		return nil, partition.Partition{}, err
	}
	p, ok := e.snapshot()
	if !ok {
		return nil, partition.Partition{}, noSession()
	}
	return e, p, nil
}

// usable is signedIn with a PRT that has not expired and that was not refused for good.
func (c *CloudAP) usable(session secret.Text) (*entry, partition.Partition, error) {
	e, p, err := c.signedIn(session)
	switch {
	case err != nil:
	case p.Expired(c.cfg.Clock.Now()) || p.Validity == partition.Ended:
		err = signInAgain()
	case p.Validity == partition.Revoked:
		err = prterr.New(prterr.Interaction, "the identity provider refuses the PRT for good, as after a change of the password: sign in again").WithHRESULT(hresultInteraction)
	}
	return e, p, err
}

// Session reads a logon session as a caller gave it.
func Session(s string) (secret.Text, error) {
	if !artefact.Opaque(s, artefact.MaxName) {
		return secret.Text{}, noSession()
	}
	return secret.NewText(s), nil
}
