// Package cloudap is the CloudAP framework: cached PRTs by user and credential,
// logon sessions, and the clock that renews.
//
// What lives here: who may sign in from the cache, when a PRT is renewed, and the
// order in which file and memory change. What never may: the identity provider's
// protocol, which is the plug-in's, or a key in clear; the tpm-agent imports a
// session key and gives back a blob. The RPC edge (internal/server) calls it.
//
// A partition is replaced as a whole: import the new session key, write the file,
// then switch in memory. Whatever fails or dies in between, the old pair of PRT
// and session key is still there and still good.
package cloudap

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/authority/lastattempt"
	"github.com/lockstep-sso/lockstep/pkg/authority/prtmeter"
	"github.com/lockstep-sso/lockstep/pkg/authority/retryhint"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/signinurl"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/local"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/offline"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

const (
	// instrumentation names this room's tracer.
	instrumentation = "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
	// closeWait is how long Close lets renewals finish before it cuts them off.
	closeWait = 10 * time.Second
)

// Config is what the framework needs; the door has filled in the defaults.
type Config struct {
	// StateDir is the folder of this service's state.
	StateDir string
	// Plugin is the connection to the plug-in, TPM the one to the tpm-agent, Dsreg the
	// one to device registration.
	Plugin, TPM, Dsreg grpc.ClientConnInterface
	// Domain is the connection to the domain controller; nil when there is none.
	Domain grpc.ClientConnInterface
	Clock  clock.Clock
	// RenewEvery is the age at which a PRT is renewed.
	RenewEvery time.Duration
	// RenewAfterSignIn: a renewal that met no network waits for the next sign-in.
	RenewAfterSignIn bool
	// CallTimeout bounds a call, LogonTimeout a sign-in.
	CallTimeout, LogonTimeout time.Duration
	// MaxWrongPasswords in a row close cached sign-in for LockoutFor.
	MaxWrongPasswords int
	LockoutFor        time.Duration
	// OfflineLifetime is how long after the last contact with the identity provider the
	// cache lets in; 0 is without a limit.
	OfflineLifetime time.Duration
	SignInPages     *signinurl.List
	// SignInURL is the base address of the issuer, to be shown.
	SignInURL string
	Hello     HelloPolicy
	// RefuseUnverified keeps everybody from signing in from a cache that could not be
	// checked against the record of the tpm-agent.
	RefuseUnverified bool
	// Events is the component's event log; nil keeps none.
	Events         *eventlog.Log
	Log            *slog.Logger
	TracerProvider trace.TracerProvider
	// Meter counts what becomes of PRTs; nil counts nothing.
	Meter  *prtmeter.Meter
	Points durable.Points
}

// CloudAP is the framework.
type CloudAP struct {
	cfg    Config
	plugin plugin
	tpm    tpm
	// dataKeys are what refresh tokens of apps rest under.
	dataKeys *datakey.Keys
	// recovery of lost device keys.
	recovery recovery
	domain   domain
	// files is the state folder, store and helloStore what is in it.
	files *statefiles.Files
	store *partition.Store
	// helloStore keeps the records of Windows Hello keys; helloWork is held while one
	// is made, destroyed or replaced, and taken before mu.
	helloStore *hello.Store
	helloWork  sync.Mutex
	// offline is the policy on signing in without the identity provider.
	offline *offline.Policy
	// locals are the accounts of the device's own.
	locals *local.Accounts
	tracer trace.Tracer
	// attempts that failed, for diagnosis.
	attempts *lastattempt.Book
	// hints are whose sign-in the identity provider wants to be left alone with.
	hints retryhint.Hints[named]

	// life ends when Close gives up waiting; running counts keepers and renewals.
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	// questions ends when Close begins: nobody waits for an answer of dsreg any more.
	questions    context.Context
	endQuestions context.CancelFunc

	// mu guards what follows, and is taken before an entry's own lock.
	mu       sync.Mutex
	closing  bool
	entries  map[partition.Key]*entry
	sessions map[sessionDigest]*session
	// hellos are the Windows Hello keys of this device's users.
	hellos map[hello.User]hello.Record
	// pages are those that did not end yet, by the digest of their name.
	pages      map[sessionDigest]interaction
	pageNumber uint64
}

// New reads the cache from disk. A file that cannot be used is named and put aside:
// its user signs in as for the first time, the others are not affected.
func New(cfg Config) (*CloudAP, error) {
	if cfg.StateDir == "" || cfg.Plugin == nil || cfg.TPM == nil || cfg.Dsreg == nil || cfg.Clock == nil || cfg.SignInPages == nil ||
		cfg.Log == nil || cfg.TracerProvider == nil {
		return nil, errors.New("cloudap: a field of Config is missing")
	}
	files, err := statefiles.Open(statefiles.Config{
		Dir: cfg.StateDir, Folders: []string{partition.Folder, hello.Folder}, Names: []string{local.FileName, offline.FileName}, Records: statefiles.NewRemoteRecords(cfg.TPM),
		Clock: cfg.Clock, Events: cfg.Events, Log: cfg.Log, Points: cfg.Points,
	})
	if err != nil {
		return nil, err
	}
	store, all, bad := partition.Open(files)
	for _, err := range bad {
		cfg.Log.Error("cached PRT is not used", "error", err)
	}
	hellos, records, bad := hello.Open(files)
	for _, err := range bad {
		cfg.Log.Error("Windows Hello key is not used", "error", err)
	}
	locals, limit, err := openOwn(cfg, files, all)
	if err != nil {
		return nil, err
	}
	dataKeys, err := newDataKeys(cfg, files)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	questions, endQuestions := context.WithCancel(life)
	c := &CloudAP{
		cfg: cfg, plugin: newPlugin(cfg.Plugin), tpm: newTPM(cfg.TPM, cfg.CallTimeout), dataKeys: dataKeys, recovery: newRecovery(cfg.Dsreg),
		domain: newDomain(cfg.Domain, cfg.CallTimeout), files: files, store: store, locals: locals, offline: limit,
		helloStore: hellos, hellos: map[hello.User]hello.Record{}, pages: map[sessionDigest]interaction{},
		tracer: cfg.TracerProvider.Tracer(instrumentation), life: life, end: end, questions: questions, endQuestions: endQuestions,
		attempts: lastattempt.Open(files, lastattempt.Config{Clock: cfg.Clock, Log: cfg.Log, Points: cfg.Points}),
		entries:  map[partition.Key]*entry{}, sessions: map[sessionDigest]*session{},
	}
	for _, p := range all {
		c.entries[p.Key] = newEntry(p)
	}
	for _, r := range records {
		c.hellos[r.User] = r
	}
	return c, nil
}

// openOwn reads what the device has of its own: its accounts and its offline policy.
func openOwn(cfg Config, files *statefiles.Files, all []partition.Partition) (*local.Accounts, *offline.Policy, error) {
	locals, err := local.New(local.Config{Files: files, MaxWrong: cfg.MaxWrongPasswords, LockoutFor: cfg.LockoutFor})
	switch {
	case locals == nil:
		return nil, nil, err
	case err != nil:
		cfg.Log.Error("local accounts are not used", "error", err)
	}
	var seen time.Time
	for _, p := range all {
		if p.LastOnlineAt.After(seen) {
			seen = p.LastOnlineAt
		}
	}
	limit, err := offline.New(offline.Config{Files: files, Lifetime: cfg.OfflineLifetime, Seen: seen})
	switch {
	case limit == nil:
		return nil, nil, err
	case err != nil:
		cfg.Log.Error("the state of the offline policy is not used", "error", err)
	}
	return locals, limit, nil
}

// Close ends all logon sessions and waits for renewals under way: for ten seconds
// politely, then by cancelling their calls. Nothing is lost either way.
func (c *CloudAP) Close() error {
	c.mu.Lock()
	c.closing = true
	users := map[partition.Key]bool{}
	for d, s := range c.sessions {
		if s.entry != nil {
			users[s.entry.key] = true
		}
		c.drop(d)
	}
	clear(c.pages)
	c.mu.Unlock()
	c.endQuestions()
	for k := range users {
		c.lockDataKey(k)
	}

	done := make(chan struct{})
	go func() { c.running.Wait(); close(done) }()
	grace := time.NewTimer(closeWait)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
	}
	c.end()
	<-done
	return nil
}

// byUPN finds the cached partition of a user name and a kind: the newest, should a
// crash have left the one of a deleted account of the same name.
func (c *CloudAP) byUPN(upn ids.UPN, kind partition.Kind) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found *entry
	var newest time.Time
	for _, e := range c.entries {
		if p, ok := e.snapshot(); ok && p.UPN == upn && p.Kind == kind && (found == nil || p.ObtainedAt.After(newest)) {
			found, newest = e, p.ObtainedAt
		}
	}
	return found
}

// entryFor finds or makes the entry of a partition. A new one is empty, and
// therefore invisible to sign-in, until the first PRT is on disk.
func (c *CloudAP) entryFor(k partition.Key) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil {
		e = newEntry(partition.Partition{Key: k})
		c.entries[k] = e
	}
	return e
}

// retireOthers forgets partitions that other accounts had under the same name:
// the name means another user now, so their sessions end too. The same user's PRTs of
// other kinds stay.
func (c *CloudAP) retireOthers(kept *entry, upn ids.UPN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.entries {
		p, ok := e.snapshot()
		if !ok || p.UPN != upn || k.Tenant == kept.key.Tenant && k.User == kept.key.User {
			continue
		}
		c.retire(e)
	}
	for u, r := range c.hellos {
		if r.UPN == upn && (u.Tenant != kept.key.Tenant || u.User != kept.key.User) {
			_ = c.forgetHello(u) // logged there; the record names a user who is no more
		}
	}
}

// retire forgets a partition and ends its sessions. CloudAP.mu is held.
func (c *CloudAP) retire(e *entry) {
	e.writing.Lock()
	defer e.writing.Unlock()
	c.retireHeld(e)
}

// retireHeld is retire; the entry's writing is held too.
func (c *CloudAP) retireHeld(e *entry) {
	delete(c.entries, e.key)
	for d, s := range c.sessions {
		if s.entry == e {
			c.drop(d)
		}
	}
	if !c.closing {
		c.running.Go(func() { c.lockDataKey(e.key) })
	}
	if err := e.retire(func() error { return c.store.Remove(e.key) }); err != nil {
		c.cfg.Log.Error("old partition could not be removed", "user", e.key.User, "kind", e.key.Kind, "error", err)
	}
}
