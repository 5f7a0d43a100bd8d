// Package status says how sign-in on a device is, and why it fails: in the words and the
// order of dsregcmd /status, for people who know those, and after them what this system
// knows beyond.
//
// What lives here: facts as the components' own contracts tell them, one table of fields
// that makes text and JSON of them, the health check, and the reasons behind a failure.
// What never may: a fact of its own, a secret, or a call that changes anything. A
// component that does not answer is named, with the reason, and nothing else fails for
// it. The commands status, why, partitions and events use it, and the flow scripts.
package status

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// askTime bounds each question to a component; live tests have a time of their own there.
const askTime = 20 * time.Second

// StaleAfter is the age at which a PRT should have been renewed (the refresh cycle), with
// some minutes for the renewal itself.
const StaleAfter = 4*time.Hour + 10*time.Minute

// Door is the operator's way to the components of one device. A nil connection is a
// component that the device does not have.
type Door struct {
	Dsreg, LSA, Broker, TPM grpc.ClientConnInterface
}

// Missing is a component that did not answer.
type Missing struct {
	Component, Reason string
}

// Facts are what the components say. A nil message is of a component that did not answer.
type Facts struct {
	// Now is the device's time.
	Now time.Time
	// State is what device registration knows by itself, Registration all that it can
	// find out.
	State        *dsregv1.GetDeviceStateResponse
	Registration *dsregv1.DescribeRegistrationResponse
	SSO          *lsav1.GetSSOStateResponse
	Accounts     *wamv1.GetAccountStateResponse
	Provider     *tpmv1.DescribeProviderResponse
	// NoBroker and NoTPM say that the device has none, or nobody asked it.
	NoBroker, NoTPM bool
	// Live says that live tests were asked for.
	Live bool
	// User to show; empty shows the one who last got a PRT or failed to.
	User    string
	Missing []Missing
	// AppFailures are the broker's events of applications that got no token, the oldest first.
	AppFailures []*eventv1.Event
}

// Ask says what to find out.
type Ask struct {
	// Live makes the tests that need the network and the TPM.
	Live bool
	// User principal name to show, or empty.
	User string
	// Now is the device's time; zero is the machine's.
	Now time.Time
}

// Gather asks all components at once.
func Gather(ctx context.Context, d Door, a Ask) Facts {
	f := Facts{Now: a.Now, Live: a.Live, User: a.User, NoBroker: d.Broker == nil, NoTPM: d.TPM == nil}
	if f.Now.IsZero() {
		f.Now = time.Now()
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	ask := func(component string, conn grpc.ClientConnInterface, question func(context.Context) error) {
		if conn == nil {
			return
		}
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, askTime)
			defer cancel()
			if err := question(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				f.Missing = append(f.Missing, Missing{component, reason(err)})
			}
		})
	}
	ask("dsreg", d.Dsreg, func(ctx context.Context) (err error) {
		if f.State, err = dsregv1.NewDeviceStateServiceClient(d.Dsreg).GetDeviceState(ctx, &dsregv1.GetDeviceStateRequest{}); err != nil {
			f.State = nil
			return err
		}
		f.Registration, err = dsregv1.NewDiagnosticsServiceClient(d.Dsreg).DescribeRegistration(ctx, &dsregv1.DescribeRegistrationRequest{Live: a.Live})
		if err != nil {
			f.Registration = nil
			return prterr.New(prterr.Unavailable, "it does not tell the details: %s", reason(err))
		}
		if f.Registration.GetState() != nil {
			f.State = f.Registration.GetState() // with the self-test that was just made
		}
		return nil
	})
	ask("lsa-cloudap", d.LSA, func(ctx context.Context) (err error) {
		if f.SSO, err = lsav1.NewSSOStateServiceClient(d.LSA).GetSSOState(ctx, &lsav1.GetSSOStateRequest{Prerequisites: true}); err != nil {
			f.SSO = nil
		}
		return err
	})
	ask("wam-broker", d.Broker, func(ctx context.Context) (err error) {
		if f.Accounts, err = wamv1.NewAccountStateServiceClient(d.Broker).GetAccountState(ctx, &wamv1.GetAccountStateRequest{}); err != nil {
			f.Accounts = nil
			return err
		}
		f.AppFailures, err = appFailures(ctx, d.Broker)
		return err
	})
	ask("tpm-agent", d.TPM, func(ctx context.Context) (err error) {
		if f.Provider, err = tpmv1.NewProviderServiceClient(d.TPM).DescribeProvider(ctx, &tpmv1.DescribeProviderRequest{}); err != nil {
			f.Provider = nil
		}
		return err
	})
	all.Wait()
	slices.SortFunc(f.Missing, func(a, b Missing) int { return strings.Compare(a.Component, b.Component) })
	return f
}

// reason is what an error says to people.
func reason(err error) string {
	var e *prterr.Error
	if errors.As(err, &e) {
		return line(e.Msg)
	}
	return line(err.Error())
}

// line keeps a text on one line of printable characters.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // control characters, also the second set of them, and marks that turn the direction
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.TrimSpace(s)
}

// user is everything about one user of the device.
type user struct {
	upn string
	// state is nil when lsa-cloudap has none.
	state *lsav1.UserState
	// partitions, the newest PRT first.
	partitions []*lsav1.PartitionState
	// acquire and refresh are the newest failures of all partitions.
	acquire, refresh *authorityv1.Attempt
	accounts         []*wamv1.AccountState
	// seen is the newest moment of all of it.
	seen time.Time
}

// users of the device, who last got a PRT or failed to first.
func (f Facts) users() []*user {
	byName := map[string]*user{}
	of := func(upn string) *user {
		if byName[upn] == nil {
			byName[upn] = &user{upn: upn}
		}
		return byName[upn]
	}
	for _, p := range f.SSO.GetPartitions() {
		u := of(p.GetUserPrincipalName())
		u.partitions = append(u.partitions, p)
		u.acquire, u.refresh = newer(u.acquire, p.GetLastAcquire()), newer(u.refresh, p.GetLastRefresh())
		u.saw(p.GetPrtUpdateTime().AsTime())
	}
	for _, a := range f.SSO.GetAttempts() {
		u := of(a.GetUserIdentity())
		u.acquire = newer(u.acquire, a)
	}
	for _, s := range f.SSO.GetUsers() {
		of(s.GetUserPrincipalName()).state = s
	}
	for _, a := range f.Accounts.GetAccounts() {
		if name := a.GetAccount().GetUserPrincipalName(); name != "" {
			u := of(name)
			u.accounts = append(u.accounts, a)
			u.saw(a.GetPrtUpdateTime().AsTime())
		}
	}
	all := make([]*user, 0, len(byName))
	for _, u := range byName {
		slices.SortFunc(u.partitions, func(a, b *lsav1.PartitionState) int {
			return cmp.Or(b.GetPrtUpdateTime().AsTime().Compare(a.GetPrtUpdateTime().AsTime()), strings.Compare(a.GetCredentialKind(), b.GetCredentialKind()))
		})
		for _, a := range []*authorityv1.Attempt{u.acquire, u.refresh} {
			u.saw(a.GetTime().AsTime())
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *user) int { return cmp.Or(b.seen.Compare(a.seen), strings.Compare(a.upn, b.upn)) })
	return all
}

func (u *user) saw(t time.Time) {
	if t.After(u.seen) {
		u.seen = t
	}
}

// chosen is the user to show; one without anything when nobody was ever here.
func (f Facts) chosen() *user {
	all := f.users()
	for _, u := range all {
		if f.User == "" || strings.EqualFold(u.upn, f.User) {
			return u
		}
	}
	return &user{upn: f.User}
}

// judged is the user whose PRT a check judges. Whoever stands before the device may type
// any name: one that has nothing here says nothing about the device while another has.
func (f Facts) judged() *user {
	if f.User == "" {
		for _, u := range f.users() {
			if len(u.partitions) > 0 || len(u.accounts) > 0 || u.state.GetBlockedCode() != 0 {
				return u
			}
		}
	}
	return f.chosen()
}

// newer is the later of two attempts, either of which may be nil.
func newer(a, b *authorityv1.Attempt) *authorityv1.Attempt {
	if b == nil || a != nil && a.GetTime().AsTime().After(b.GetTime().AsTime()) {
		return a
	}
	return b
}

// prt is the partition whose PRT the user has: the newest good one, else the newest.
func (u *user) prt(now time.Time) (p *lsav1.PartitionState, good bool) {
	for _, p := range u.partitions {
		if usable(p.GetValidity(), p.GetPrtExpiryTime().AsTime(), now) {
			return p, true
		}
	}
	if len(u.partitions) > 0 {
		return u.partitions[0], false
	}
	return nil, false
}

// usable reports whether a PRT can still be used as far as the device knows.
func usable(v authorityv1.PRTValidity, expiry, now time.Time) bool {
	return now.Before(expiry) && (v == authorityv1.PRTValidity_PRT_VALIDITY_UNSPECIFIED || v == authorityv1.PRTValidity_PRT_VALIDITY_GOOD)
}
