// Package offline is the device's policy on how long somebody may sign in without the
// identity provider.
//
// What lives here: the limit, the break-glass time that lifts it, and the highest time
// that this device has seen. What never may: a name or a credential of a user; whether
// a credential is right was judged before. The CloudAP framework is the one caller.
//
// A clock that goes back must not give more time. Whoever sets it to a moment before
// the highest one that was seen makes the age of the last contact unknown, so nobody
// gets in from the cache until the clock is right again, the identity provider can be
// asked, or an administrator opens break-glass. A clock that is held still cannot be
// told from a device that was switched off: that takes a clock which the holder of the
// device cannot set.
package offline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
)

// FileName is where the state is in the state folder.
const FileName = "offline.json"

const (
	version = 1
	// slack is how far back a clock may be set, as by a time server.
	slack = 5 * time.Minute
	// keepEvery is how far the highest time may be ahead of the file: a sign-in a
	// minute later is not worth a write.
	keepEvery = time.Minute
	// MaxBreakGlass bounds one break-glass.
	MaxBreakGlass = 30 * 24 * time.Hour
	// MaxLifetime bounds the limit itself.
	MaxLifetime = 400 * 24 * time.Hour
	// hresultNoLogonServers is ERROR_NO_LOGON_SERVERS: there is nobody to ask, and the
	// cache does not do.
	hresultNoLogonServers = 0x8007051F
)

// unknown is the highest time of a device that lost what it knew: no clock reaches it, so
// that only the identity provider or an administrator ends it.
func unknown() time.Time { return time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC) }

// Config is what the room needs.
type Config struct {
	// Files is the state folder.
	Files *statefiles.Files
	// Lifetime is how long after the last contact somebody signs in from the cache; 0 is
	// without a limit, and then nothing is kept.
	Lifetime time.Duration
	// Seen is a time that has been for certain, such as that of the last PRT; it stands
	// in for a file that is not there.
	Seen time.Time
}

// Policy is safe for concurrent use.
type Policy struct {
	cfg Config
	mu  sync.Mutex
	now kept // in memory
	old kept // on disk
	// lost says that it was noticed that the file is not the one that was written last.
	lost bool
}

// kept is what a restart must not forget.
type kept struct{ highest, breakGlass time.Time }

type file struct {
	Version    int       `json:"version"`
	HighWater  time.Time `json:"high_water"`
	BreakGlass time.Time `json:"break_glass_until,omitzero"`
}

// New reads the file, which may be missing. One that cannot be used is put aside, with
// an error that names it beside a policy that goes on without it: without break-glass, and with the highest time
// that Config.Seen knows of.
func New(cfg Config) (*Policy, error) {
	if cfg.Files == nil || cfg.Lifetime < 0 || cfg.Lifetime > MaxLifetime {
		return nil, fmt.Errorf("offline policy: Files is missing, or Lifetime is not 0 to %v", MaxLifetime)
	}
	p := &Policy{cfg: cfg}
	var err error
	p.old, err = load(cfg.Files)
	if p.now = p.old; p.now.highest.IsZero() {
		p.now.highest = cfg.Seen
	}
	return p, err
}

// forget drops what was read, once the file turns out to be an older copy, or to have been
// removed: else that would be how to set the clock back. There is no break-glass, and
// nobody comes in until the identity provider or an administrator was there. p.mu is held.
func (p *Policy) forget() error {
	if p.lost || !p.cfg.Files.Lost(FileName) {
		return nil
	}
	p.old, p.now = kept{}, kept{highest: unknown()}
	if err := p.write(p.now); err != nil {
		return err
	}
	p.lost = true
	return nil
}

// Lifetime is the limit, 0 when there is none.
func (p *Policy) Lifetime() time.Duration { return p.cfg.Lifetime }

// Check decides about somebody whose last contact with the identity provider was then.
// An error is a refusal that says why.
func (p *Policy) Check(now, contact time.Time) error {
	if p.cfg.Lifetime == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.forget(); err != nil {
		return err
	}
	p.see(now)
	if err := p.keep(); err != nil {
		return err
	}
	switch {
	// By the highest time, so that a clock set back does not prolong it.
	case p.now.highest.Before(p.now.breakGlass):
		return nil
	case p.now.highest.Equal(unknown()):
		return refuse("what this device remembered of its time offline is lost or was changed: connect to the network, or ask an administrator for break-glass")
	case now.Before(p.now.highest.Add(-slack)), now.Before(contact.Add(-slack)):
		return refuse("the clock of this device was set back, so it is not known how long it was offline: set the clock or connect to the network")
	case now.Sub(contact) >= p.cfg.Lifetime:
		return refuse("this device was offline for longer than its policy allows (%v): connect to the network, or ask an administrator for break-glass", p.cfg.Lifetime)
	}
	return nil
}

func refuse(format string, args ...any) error {
	return prterr.New(prterr.Denied, format, args...).WithHRESULT(hresultNoLogonServers)
}

// Online notes a time at which the identity provider was there and took somebody. From
// here on that is the highest time, even if a clock was once wrong in the other direction.
func (p *Policy) Online(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.highest = now
	if p.cfg.Lifetime != 0 && !p.lost && p.cfg.Files.Lost(FileName) {
		p.lost, p.now, p.old = true, kept{highest: now}, kept{}
	}
	if p.cfg.Lifetime == 0 || p.old.highest.Sub(now).Abs() < keepEvery {
		return nil
	}
	return p.write(p.now)
}

// Open lifts the limit for a while.
func (p *Policy) Open(now time.Time, d time.Duration) (time.Time, error) {
	switch {
	case d <= 0 || d > MaxBreakGlass:
		return time.Time{}, prterr.New(prterr.Invalid, "for: must be more than zero and at most 30 days")
	case p.cfg.Lifetime == 0:
		return time.Time{}, prterr.New(prterr.Conflict, "this device's policy sets no limit to lift (setting offline-lifetime)")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// An administrator is there and says what time it is: a clock that was wrong
	// before, in either direction, is right from here on.
	next := kept{highest: now, breakGlass: now.Add(d)}
	err := p.write(next)
	if err == nil {
		p.lost = p.cfg.Files.Lost(FileName)
	}
	return next.breakGlass, err
}

// Close ends that before its time.
func (p *Policy) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now.breakGlass.IsZero() {
		return nil
	}
	return p.write(kept{highest: p.now.highest})
}

// BreakGlassUntil is the end of a break-glass that is open at this time, else zero.
func (p *Policy) BreakGlassUntil(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.now.breakGlass) && p.now.highest.Before(p.now.breakGlass) {
		return p.now.breakGlass
	}
	return time.Time{}
}

// see raises the highest time; p.mu is held.
func (p *Policy) see(t time.Time) {
	if t.After(p.now.highest) {
		p.now.highest = t
	}
}

// keep writes the highest time when the file is behind. What cannot be written refuses:
// a full disk and a clock would else be a way round the limit. p.mu is held.
func (p *Policy) keep() error {
	if p.now.highest.Sub(p.old.highest) < keepEvery {
		return nil
	}
	return p.write(p.now)
}

func (p *Policy) write(next kept) error {
	data, err := json.Marshal(file{Version: version, HighWater: next.highest.UTC(), BreakGlass: next.breakGlass.UTC()})
	if err == nil {
		err = p.cfg.Files.Write(FileName, data)
	}
	if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the state of the offline policy could not be written: see the component's log")
	}
	p.now, p.old = next, next
	return nil
}

func load(files *statefiles.Files) (kept, error) {
	data, err := files.Read(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return kept{}, nil
	}
	if err != nil {
		return kept{}, files.Reject(FileName, err.Error())
	}
	var f file
	if err := durable.DecodeJSON(data, &f); err != nil {
		return kept{}, files.Reject(FileName, err.Error())
	}
	if f.Version != version {
		return kept{}, files.Reject(FileName, fmt.Sprintf("its version is not %d", version))
	}
	return kept{highest: f.HighWater, breakGlass: f.BreakGlass}, nil
}
