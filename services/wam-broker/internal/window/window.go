// Package window is where the token broker's sign-in window gets its pages: a
// plug-in puts one up for the user of a logon session, the window of that session
// fetches it and says where it ended.
//
// What lives here: the queues, one page at a time for each session, and their
// bounds. What never may: a look into a page or its end, a token, a provider's
// protocol; the plug-in knows what a page is for. The framework's edge serves the
// window, and plug-ins ask here for one.
package window

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
)

// Bounds.
const (
	// maxSessions bounds the logon sessions that pages and windows wait for.
	maxSessions = 64
	// maxWaiting bounds the requests of one session that wait for a page.
	maxWaiting = 8
	// pollTime is how long a window waits for a page before it asks again.
	pollTime = 50 * time.Second
	// maxFinal bounds the address that a page ended at, in bytes.
	maxFinal = 64 << 10
	// maxID bounds the name of a page, in bytes.
	maxID = 256
)

// hresultCancelled is ERROR_CANCELLED as an HRESULT (MS-ERREF): the user closed the
// window.
const hresultCancelled = 0x800704C7

// Config is what a desk needs.
type Config struct {
	Clock clock.Clock
}

// Desk is where pages are put up and fetched. It is safe for use by many at once.
type Desk struct {
	clock clock.Clock
	mu    sync.Mutex
	// by session, under its hash: the session itself is a capability.
	by map[[sha256.Size]byte]*session
}

// session is one user before whom a window opens.
type session struct {
	// turn holds one token: whoever takes it may put up a page.
	turn chan struct{}
	// users counts those who hold or wait for anything here; without any it goes.
	users, waiting int
	// up is the page that waits, or is shown.
	up *page
	// news is closed when a page was put up, and made anew.
	news chan struct{}
}

// page is one page from being put up to its end.
type page struct {
	interaction *authorityv1.Interaction
	client      string
	taken       bool
	final       chan string
}

// New makes a desk without pages.
func New(cfg Config) *Desk {
	return &Desk{clock: clock.Or(cfg.Clock), by: map[[sha256.Size]byte]*session{}}
}

// Turn is the right to put up a page in a session. There is one at a time.
type Turn struct {
	desk *Desk
	of   *session
	key  [sha256.Size]byte
	// Waited is true when another page went before: what was missing then may be
	// there by now.
	Waited bool
}

// Take waits for the turn of a session. Too many who wait are prterr.Exhausted.
func (d *Desk) Take(ctx context.Context, of secret.Text) (*Turn, error) {
	key, s, err := d.enter(of)
	if err != nil {
		return nil, err
	}
	t := &Turn{desk: d, of: s, key: key}
	select {
	case <-s.turn:
		return t, nil
	default:
		t.Waited = true
	}
	if err := d.wait(s, 1); err != nil {
		d.leave(key, s)
		return nil, err
	}
	defer func() { _ = d.wait(s, -1) }()
	select {
	case <-s.turn:
		return t, nil
	case <-ctx.Done():
		d.leave(key, s)
		return nil, tooLong(ctx)
	}
}

// End gives the turn to the next.
func (t *Turn) End() {
	t.of.turn <- struct{}{}
	t.desk.leave(t.key, t.of)
}

// Show puts a page up and waits for its end. The user who closes the window is
// prterr.Denied with ERROR_CANCELLED; nobody who answers in time is Deadline.
func (t *Turn) Show(ctx context.Context, i *authorityv1.Interaction, client string) (secret.Text, error) {
	p := &page{interaction: i, client: client, final: make(chan string, 1)}
	t.desk.mu.Lock()
	t.of.up = p
	close(t.of.news)
	t.of.news = make(chan struct{})
	t.desk.mu.Unlock()
	defer func() {
		t.desk.mu.Lock()
		defer t.desk.mu.Unlock()
		t.of.up = nil
	}()
	select {
	case final := <-p.final:
		if final == "" {
			return secret.Text{}, prterr.New(prterr.Denied, "the user closed the sign-in window").WithHRESULT(hresultCancelled)
		}
		return secret.NewText(final), nil
	case <-ctx.Done():
		return secret.Text{}, tooLong(ctx)
	}
}

func tooLong(ctx context.Context) error {
	return prterr.Wrap(prterr.Deadline, ctx.Err(), "nobody answered the sign-in page in time")
}

// Await waits for a page of a session, at most a minute; nil says that there was
// none. A page is handed out once.
func (d *Desk) Await(ctx context.Context, of secret.Text) (*authorityv1.Interaction, string, error) {
	key, s, err := d.enter(of)
	if err != nil {
		return nil, "", err
	}
	defer d.leave(key, s)
	over := d.clock.NewTimer(pollTime)
	defer over.Stop()
	for {
		d.mu.Lock()
		p, news := s.up, s.news
		// A window that was closed takes no page away from the next one.
		if p != nil && !p.taken && ctx.Err() == nil {
			p.taken = true
			d.mu.Unlock()
			return p.interaction, p.client, nil
		}
		d.mu.Unlock()
		select {
		case <-news:
		case <-over.C():
			return nil, "", nil
		case <-ctx.Done():
			return nil, "", nil
		}
	}
}

// Finish says where a page of a session ended; empty is a window that was closed.
// A page that is not shown there is prterr.NotFound.
func (d *Desk) Finish(of secret.Text, id, final string) error {
	if id == "" || len(id) > maxID {
		return prterr.New(prterr.Invalid, "interaction_id is not 1 to %d bytes: use the one of the page", maxID)
	}
	if len(final) > maxFinal {
		return prterr.New(prterr.Invalid, "final_uri is longer than %d bytes", maxFinal)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.by[sha256.Sum256([]byte(of.Reveal()))]
	if s == nil || s.up == nil || !s.up.taken || subtle.ConstantTimeCompare([]byte(s.up.interaction.GetInteractionId()), []byte(id)) != 1 {
		return prterr.New(prterr.NotFound, "no such page is shown in this session")
	}
	s.up.final <- final
	s.up = nil // a second end of the same page has nobody to tell
	return nil
}

// enter finds the session, and keeps it until leave.
func (d *Desk) enter(of secret.Text) (key [sha256.Size]byte, s *session, err error) {
	key = sha256.Sum256([]byte(of.Reveal()))
	d.mu.Lock()
	defer d.mu.Unlock()
	if s = d.by[key]; s == nil {
		if len(d.by) == maxSessions {
			return key, nil, prterr.New(prterr.Exhausted, "too many sign-in windows and pages wait: try again")
		}
		s = &session{turn: make(chan struct{}, 1), news: make(chan struct{})}
		s.turn <- struct{}{}
		d.by[key] = s
	}
	s.users++
	return key, s, nil
}

func (d *Desk) leave(key [sha256.Size]byte, s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(d.by, key)
	}
}

// wait counts those who wait for the turn.
func (d *Desk) wait(s *session, by int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if by > 0 && s.waiting == maxWaiting {
		return prterr.New(prterr.Exhausted, "too many requests wait for the sign-in window of this session: try again")
	}
	s.waiting += by
	return nil
}
