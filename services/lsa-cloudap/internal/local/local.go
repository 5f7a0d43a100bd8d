// Package local is the accounts that the device has of its own: name, password and
// security identifier, known to nobody else.
//
// What lives here: the accounts, their file, the check of their passwords and the
// count of wrong ones. What never may: a password in clear, or anything of a tenant;
// no call leaves this room. The CloudAP framework is the one caller.
package local

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

const (
	// maxAccounts bounds the file and the memory.
	maxAccounts = 64
	// Windows codes of a refused sign-in.
	hresultLogonFailure  = 0x8007052E
	hresultAccountLocked = 0x80070775
)

// Name of an account: 1 to 20 characters of a-z, 0-9, - and _, as Windows bounds it.
type Name string

var namePattern = regexp.MustCompile(`^[a-z0-9_-]{1,20}$`)

// ParseName reads a name; upper case is folded.
func ParseName(s string) (Name, error) {
	n := strings.ToLower(s)
	if !namePattern.MatchString(n) {
		return "", errors.New("a local account's name is 1 to 20 characters of a-z, 0-9, - and _")
	}
	return Name(n), nil
}

// Account is one account without its password.
type Account struct {
	Name Name
	SID  sid.SID
}

// Config is what the room needs.
type Config struct {
	// Files is the state folder.
	Files *statefiles.Files
	// MaxWrong passwords in a row close an account for LockoutFor.
	MaxWrong   int
	LockoutFor time.Duration
}

// Accounts are the accounts. It is safe for concurrent use.
type Accounts struct {
	cfg Config
	// decoy costs what the hash of a real check costs.
	decoy partition.Verifier

	mu    sync.Mutex
	state state
}

// New reads the file, which may be missing. One that cannot be used is put aside, with
// an error that names it beside accounts that begin anew.
func New(cfg Config) (*Accounts, error) {
	if cfg.Files == nil || cfg.MaxWrong <= 0 || cfg.LockoutFor <= 0 {
		return nil, errors.New("local accounts: a field of Config is missing")
	}
	decoy, err := partition.NewVerifier(secret.NewText("nobody's"))
	if err != nil {
		return nil, err
	}
	a := &Accounts{cfg: cfg, decoy: decoy}
	a.state, err = load(cfg.Files)
	return a, err
}

// Put makes an account or gives it another password.
func (a *Accounts) Put(name Name, password secret.Text) (Account, error) {
	verifier, err := partition.NewVerifier(password)
	if err != nil {
		return Account{}, prterr.Wrap(prterr.Internal, err, "the password could not be prepared")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.state.clone()
	if next.machine.Zero() {
		next.machine, next.nextRID = sid.NewMachine(), sid.FirstRID+1
	}
	i := next.find(name)
	if i < 0 {
		if len(next.accounts) >= maxAccounts {
			return Account{}, prterr.New(prterr.Exhausted, "there are %d local accounts already: remove one", maxAccounts)
		}
		// A relative identifier is never given twice: what the old account left behind
		// would be the new one's.
		next.accounts = append(next.accounts, account{name: name, rid: next.nextRID})
		next.nextRID++
		i = len(next.accounts) - 1
	}
	next.accounts[i].verifier, next.accounts[i].wrong, next.accounts[i].lastWrongAt = verifier, 0, time.Time{}
	if err := a.save(next); err != nil {
		return Account{}, err
	}
	return next.account(i), nil
}

// Remove removes an account.
func (a *Accounts) Remove(name Name) (Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.state.find(name)
	if i < 0 {
		return Account{}, prterr.New(prterr.NotFound, "there is no local account of that name")
	}
	gone, next := a.state.account(i), a.state.clone()
	next.accounts = slices.Delete(next.accounts, i, i+1)
	return gone, a.save(next)
}

// List lists the accounts by name.
func (a *Accounts) List() []Account {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Account
	for i := range a.state.accounts {
		all = append(all, a.state.account(i))
	}
	slices.SortFunc(all, func(x, y Account) int { return cmp.Compare(x.Name, y.Name) })
	return all
}

// Owns reports whether an identifier is one that this device gives, to an account of
// today or to none: nobody else's word makes somebody of it.
func (a *Accounts) Owns(s sid.SID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.state.machine.Zero() && a.state.machine.Has(s)
}

// Removed reports whether an identifier was that of an account that is there no more. It
// never becomes false again, because no identifier is given twice: so an older copy of the
// file says nothing else. Of a device that lost its file nothing is known.
func (a *Accounts) Removed(s sid.SID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	rid, err := strconv.ParseUint(string(s[strings.LastIndexByte(string(s), '-')+1:]), 10, 32)
	if err != nil || a.state.machine.Zero() || !a.state.machine.Has(s) || rid <= sid.FirstRID || rid >= uint64(a.state.nextRID) {
		return false
	}
	return !slices.ContainsFunc(a.state.accounts, func(one account) bool { return uint64(one.rid) == rid })
}

// Has reports whether an account is there, and still the same one.
func (a *Accounts) Has(acc Account) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.state.find(acc.Name)
	return i >= 0 && a.state.account(i) == acc
}

// Check checks a password. A name that nobody has is the same error as a wrong
// password, and costs the same hash; it costs no write of a count, and is never locked,
// so names are no secret: Windows shows them on the sign-in screen. Wrong ones are counted on disk, so that neither
// patience nor a restart gives more guesses: what cannot be counted is not checked.
func (a *Accounts) Check(name Name, password secret.Text, now time.Time) (Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.state.find(name)
	if i < 0 {
		a.decoy.Matches(password)
		return Account{}, refused()
	}
	acc := a.state.accounts[i]
	if acc.wrong >= a.cfg.MaxWrong && now.Sub(acc.lastWrongAt) < a.cfg.LockoutFor {
		return Account{}, prterr.New(prterr.Exhausted, "too many wrong passwords: wait").WithHRESULT(hresultAccountLocked)
	}
	right := acc.verifier.Matches(password)
	next := a.state.clone()
	switch {
	case right && acc.wrong == 0:
		return a.state.account(i), nil
	case right:
		next.accounts[i].wrong, next.accounts[i].lastWrongAt = 0, time.Time{}
	default:
		if now.Sub(acc.lastWrongAt) >= a.cfg.LockoutFor {
			next.accounts[i].wrong = 0
		}
		next.accounts[i].wrong++
		next.accounts[i].lastWrongAt = now
	}
	if err := a.save(next); err != nil {
		return Account{}, err
	}
	if !right {
		return Account{}, refused()
	}
	return a.state.account(i), nil
}

// Forget drops the accounts, when their file turns out to be an older copy. What was
// written of it meanwhile goes too.
func (a *Accounts) Forget() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = state{}
	return a.cfg.Files.Remove(FileName)
}

// save writes, then switches; a.mu is held.
func (a *Accounts) save(next state) error {
	if err := next.write(a.cfg.Files); err != nil {
		return prterr.Wrap(prterr.Internal, err, "the local accounts could not be written: see the component's log")
	}
	a.state = next
	return nil
}

func refused() error {
	return prterr.New(prterr.Unauthenticated, "the user name or the password is wrong").WithHRESULT(hresultLogonFailure)
}
