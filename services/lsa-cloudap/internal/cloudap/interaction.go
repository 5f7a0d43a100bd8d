package cloudap

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

const (
	// pageLife is how long somebody may take at a page.
	pageLife = time.Hour
	// maxPages bounds the pages of one logon session, and of nobody's: with one more,
	// the oldest is forgotten.
	maxPages = 8
)

// Interaction is a page to show.
type Interaction struct {
	ID          secret.Text
	URL         string
	Headers     []Header
	RedirectURI string
}

// Header goes with the first request for the page, and nowhere else.
type Header struct {
	Name  string
	Value secret.Text
}

// interaction is what is kept of a page until it ends.
type interaction struct {
	purpose cloudapv1.PagePurpose
	// session that it was begun for; zero is nobody's.
	session sessionDigest
	// hint is the name that was on the screen; empty when there was none.
	hint ids.UPN
	// state is the plug-in's.
	state   []byte
	expires time.Time
	// number counts pages: the lower, the older.
	number uint64
}

// BeginInteraction makes a page for a user whose PRT cannot answer an application.
func (c *CloudAP) BeginInteraction(ctx context.Context, session secret.Text, claims string, signIn bool) (Interaction, error) {
	return c.interact(ctx, session, pageRequest{purpose: cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE, claims: claims, signIn: signIn})
}

// BeginConsent makes the page of an application at which the user of a session consents
// to what it wants of a resource.
func (c *CloudAP) BeginConsent(ctx context.Context, session secret.Text, app ids.ClientID, resource string) (Interaction, error) {
	return c.interact(ctx, session, pageRequest{purpose: cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT, app: app, resource: resource})
}

func (c *CloudAP) interact(ctx context.Context, session secret.Text, r pageRequest) (Interaction, error) {
	_, p, err := c.signedIn(session)
	if err != nil {
		return Interaction{}, err
	}
	r.hint = p.UPN
	return c.begin(ctx, digest(session), &p, r)
}

// BeginWebSignIn makes a page for LogonUI. Without a logon session the page gets no
// PRT, even if one is cached, and takes no web session that the browser still has:
// whoever stands before the lock screen has proven nothing.
func (c *CloudAP) BeginWebSignIn(ctx context.Context, purpose cloudapv1.PagePurpose, session secret.Text, hint ids.UPN) (Interaction, error) {
	r := pageRequest{purpose: purpose, hint: hint, signIn: session.Empty()}
	if session.Empty() {
		return c.begin(ctx, sessionDigest{}, nil, r)
	}
	if purpose == cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN {
		return Interaction{}, prterr.New(prterr.Invalid, "logon_session has no place in a sign-in to the device")
	}
	_, p, err := c.signedIn(session)
	if err != nil {
		return Interaction{}, err
	}
	if r.hint == "" {
		r.hint = p.UPN
	}
	return c.begin(ctx, digest(session), &p, r)
}

func (c *CloudAP) begin(ctx context.Context, session sessionDigest, signedIn *partition.Partition, r pageRequest) (Interaction, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.LogonTimeout)
	defer cancel()
	if signedIn != nil && !signedIn.Expired(c.cfg.Clock.Now()) {
		r.cached = signedIn
	}
	page, err := c.plugin.beginPage(ctx, r)
	if prterr.KindOf(err) == prterr.KeysLost && r.cached != nil {
		// The session key is lost; a page is how the user gets another.
		r.cached = nil
		page, err = c.plugin.beginPage(ctx, r)
	}
	if err != nil {
		return Interaction{}, err
	}
	raw := make([]byte, sessionBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	page.shown.ID = secret.NewText(base64.RawURLEncoding.EncodeToString(raw))
	return page.shown, c.remember(page.shown.ID, interaction{
		purpose: r.purpose, session: session, hint: r.hint, state: page.state, expires: c.cfg.Clock.Now().Add(pageLife),
	})
}

// remember keeps a page, and forgets what is over or too many.
func (c *CloudAP) remember(id secret.Text, i interaction) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return closing()
	}
	now := c.cfg.Clock.Now()
	var same []sessionDigest
	for d, other := range c.pages {
		switch {
		case !now.Before(other.expires):
			delete(c.pages, d)
		case other.session == i.session:
			same = append(same, d)
		}
	}
	if len(same) >= maxPages {
		delete(c.pages, slices.MinFunc(same, func(a, b sessionDigest) int { return cmp.Compare(c.pages[a].number, c.pages[b].number) }))
	}
	c.pageNumber++
	i.number = c.pageNumber
	c.pages[digest(id)] = i
	return nil
}

// take gives a page back once. A stranger's guess, another session's page and one
// with another purpose are the same error, and use nothing up.
func (c *CloudAP) take(id secret.Text, session *sessionDigest, purposes ...cloudapv1.PagePurpose) (interaction, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.pages[digest(id)]
	if !ok || !c.cfg.Clock.Now().Before(i.expires) || !slices.Contains(purposes, i.purpose) || session != nil && i.session != *session {
		return interaction{}, prterr.New(prterr.Denied, "interaction_id is unknown, was used or is over, or is for something else: begin again")
	}
	delete(c.pages, digest(id))
	return i, nil
}

// dropPages forgets the pages of a session that ended. CloudAP.mu is held.
func (c *CloudAP) dropPages(session sessionDigest) {
	for d, i := range c.pages {
		if i.session == session {
			delete(c.pages, d)
		}
	}
}

// CompleteInteraction takes the end of a page and puts the new PRT in the partition of
// its kind. When that is another one than the session's, as after a sign-in with a
// security key in a session of a password, the session goes over to it: what its apps
// get from here on is what was proven, and the other PRT stays as it was. A page for
// consent changes nothing here: it only ends well or not.
func (c *CloudAP) CompleteInteraction(ctx context.Context, session, id, final secret.Text) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.LogonTimeout)
	defer cancel()
	e, p, err := c.signedIn(session)
	if err != nil {
		return err
	}
	own := digest(session)
	i, err := c.take(id, &own, cloudapv1.PagePurpose_PAGE_PURPOSE_UPGRADE, cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT)
	if err != nil {
		return err
	}
	if i.purpose == cloudapv1.PagePurpose_PAGE_PURPOSE_CONSENT {
		return c.plugin.endConsent(ctx, pageEnd{state: i.state, final: final})
	}
	target, err := c.upgraded(ctx, e, p, proof{page: &pageEnd{state: i.state, final: final}})
	if err != nil {
		return err
	}
	c.cfg.Log.InfoContext(ctx, "the PRT was replaced at a sign-in page", "user", e.key.User, "kind", target.key.Kind)
	return c.moveSession(session, target)
}

// upgraded obtains the PRT that the end of a page is for, and says in which partition it
// is now.
func (c *CloudAP) upgraded(ctx context.Context, e *entry, p partition.Partition, end proof) (_ *entry, err error) {
	ended := c.acquiring(ctx, p.UPN, end)
	defer func() { ended(err) }()
	got, err := c.authenticate(ctx, "", end)
	if err != nil {
		return nil, err
	}
	if !sameUser(got.key, e.key) {
		return nil, prterr.New(prterr.Denied, "another user signed in at the page: nothing was changed")
	}
	target := c.entryOf(ctx, got)
	return target, c.adopt(ctx, target, got, nil, c.afterPage(ctx, target, got))
}

// afterPage is what changes in a partition beside the PRT that a page brought. The
// password of a page is not seen here, so the hash of the one that was typed on this
// device stays only while the PRT that it brought is good: when the password was
// changed, the old one would open the new PRT.
func (c *CloudAP) afterPage(ctx context.Context, e *entry, got issued) func(*partition.Partition) {
	old, there := e.snapshot()
	ended := there && !old.Verifier.Empty() && c.plugin.validate(ctx, old) != nil
	return func(p *partition.Partition) {
		p.UPN = got.upn
		if ended && p.SamePRT(old) {
			p.Verifier = partition.Verifier{}
		}
	}
}
