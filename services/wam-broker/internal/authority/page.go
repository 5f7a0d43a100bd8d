package authority

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/account"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

const (
	// pageLife is how long somebody may take at a page.
	pageLife = time.Hour
	// maxPages bounds the pages of one account: with one more, the oldest is forgotten.
	maxPages = 8
	// idBytes is how many random bytes the name of a page has.
	idBytes = 32
)

// pageID is the SHA-256 of the name of a page. Only digests are kept and looked up: how
// long a look-up takes says nothing about a page that is not already known.
type pageID [sha256.Size]byte

// page is what is kept of a page until it ends.
type page struct {
	of account.ID
	// session that it was begun for.
	session [sha256.Size]byte
	state   signinpage.State
	// consent is a page of an application: nothing comes of it but the consent.
	consent bool
	expires time.Time
	// number counts pages: the lower, the older.
	number uint64
}

// BeginInteraction makes a page for the account, which is asked for the claims of the
// request; signIn demands a sign-in there.
func (u *User) BeginInteraction(ctx context.Context, r apptoken.Request, signIn bool) (*authorityv1.Interaction, error) {
	return u.begin(ctx, r, signinpage.Request{Claims: r.Claims, SignIn: signIn})
}

// BeginConsent makes the page of the app of a request at which the user consents to
// what it wants.
func (u *User) BeginConsent(ctx context.Context, r apptoken.Request) (*authorityv1.Interaction, error) {
	return u.begin(ctx, r, signinpage.Request{Client: string(r.Client), Resource: string(r.Resource), Consents: true})
}

// begin makes a page. One that is to sign in, or for an account whose PRT is of no use,
// gets a proof of the device and none of a user.
func (u *User) begin(ctx context.Context, r apptoken.Request, ask signinpage.Request) (*authorityv1.Interaction, error) {
	a := u.authority
	e, err := a.find(u.id)
	if err != nil {
		return nil, err
	}
	rec := e.snapshot()
	ask.Tenant, ask.Hint = u.id.Tenant, rec.UPN
	var with *prt.Cached
	if p := rec.PRT; p != nil && !p.Expired(a.cfg.Clock.Now()) && p.Validity != account.KeysLost {
		c := rec.Cached()
		with = &c
	}
	made, err := a.cfg.Protocol.BeginPage(ctx, with, ask)
	if prterr.KindOf(err) == prterr.KeysLost && with != nil {
		// The session key is lost; a page is how the user gets another.
		made, err = a.cfg.Protocol.BeginPage(ctx, nil, ask)
	}
	if err != nil {
		return nil, u.noted(ctx, e, err)
	}
	raw := make([]byte, idBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	id := base64.RawURLEncoding.EncodeToString(raw)
	err = a.remember(id, page{
		of: u.id, session: sha256.Sum256([]byte(r.Session.Reveal())), state: made.State, consent: ask.Consents, expires: a.cfg.Clock.Now().Add(pageLife),
	})
	return &authorityv1.Interaction{
		InteractionId: id, Url: made.URL, RedirectUri: made.State.Redirect,
		Headers: []*authorityv1.Header{{Name: made.HeaderName, Value: made.Header.Reveal()}},
	}, err
}

// remember keeps a page, and forgets what is over or too many.
func (a *Authority) remember(id string, p page) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return closing()
	}
	now := a.cfg.Clock.Now()
	var same []pageID
	for d, other := range a.pages {
		switch {
		case !now.Before(other.expires):
			delete(a.pages, d)
		case other.of == p.of:
			same = append(same, d)
		}
	}
	if len(same) >= maxPages {
		delete(a.pages, slices.MinFunc(same, func(x, y pageID) int { return cmp.Compare(a.pages[x].number, a.pages[y].number) }))
	}
	a.pageNumber++
	p.number = a.pageNumber
	a.pages[sha256.Sum256([]byte(id))] = p
	return nil
}

// take gives a page back once. A stranger's guess and a page of another account or
// session are the same error, and use nothing up.
func (a *Authority) take(id string, of account.ID, session secret.Text) (page, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := pageID(sha256.Sum256([]byte(id)))
	p, ok := a.pages[d]
	if !ok || !a.cfg.Clock.Now().Before(p.expires) || p.of != of || p.session != sha256.Sum256([]byte(session.Reveal())) {
		return page{}, prterr.New(prterr.Denied, "interaction_id is unknown, was used or is over, or is for something else: begin again")
	}
	delete(a.pages, d)
	return p, nil
}

// dropPages forgets the pages of an account. Authority.mu is held.
func (a *Authority) dropPages(of account.ID) {
	for d, p := range a.pages {
		if p.of == of {
			delete(a.pages, d)
		}
	}
}

// CompleteInteraction takes the end of a page and puts the new PRT in the place of the
// old one. A page at which another user signed in changes nothing; one for consent
// changes nothing either, it only ends well or not: its code is the application's.
func (u *User) CompleteInteraction(ctx context.Context, session secret.Text, id string, final secret.Text) error {
	a := u.authority
	e, err := a.find(u.id)
	if err != nil {
		return err
	}
	p, err := a.take(id, u.id, session)
	if err != nil {
		return err
	}
	code, err := p.state.Code(final)
	if p.consent {
		return err
	}
	var got prt.Issued
	if err == nil {
		got, err = a.cfg.Protocol.AtPage(ctx, p.state, code, u.id.Tenant, "")
	}
	if err != nil {
		return u.noted(ctx, e, err)
	}
	if got.Tenant != u.id.Tenant || got.User != u.id.User {
		return prterr.New(prterr.Denied, "another user signed in at the page: nothing was changed")
	}
	a.cfg.Points.Reached("answer-received")
	fresh, err := a.protect(ctx, got, nil)
	if err != nil {
		return u.noted(ctx, e, err)
	}
	if err := a.install(e, got, fresh, nil); err != nil {
		return err
	}
	a.cfg.Log.InfoContext(ctx, "the PRT of a work account was replaced at a sign-in page", "user", u.id.User, "kind", got.Kind)
	return nil
}
