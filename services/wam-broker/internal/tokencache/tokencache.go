// Package tokencache is the broker's own cache of tokens.
//
// What lives here: access tokens, in memory only; refresh tokens, on disk, in
// the form in which the TPM agent sealed them. What never may: a refresh token
// that can be read, an access token on disk, a user's or an app's name in a
// file name. The plug-in calls it. Each key holds the user's object id as the
// authority of the PRT told it, so one user's request cannot reach another's entry.
//
// Nothing guards the files against older copies, because those gain nothing: the agent
// opens one for its user and app alone, under a session that is open now, and the identity
// provider decides whether it is still good.
package tokencache

import (
	"errors"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

const (
	// Margin is the life an access token must still have to be handed out: an
	// app gets no token that ends on its way to the resource.
	Margin = 5 * time.Minute
	// maxAccess bounds the access tokens in memory; at some 2 KiB each that is
	// 20 MiB.
	maxAccess = 10_000
)

// AccessKey names an access token.
type AccessKey struct {
	Owner    apptoken.Owner
	Client   ids.ClientID
	Resource apptoken.Resource
}

// RefreshKey names an app's refresh token. It holds no resource: one refresh
// token is good for every resource of its app.
type RefreshKey struct {
	Owner  apptoken.Owner
	Client ids.ClientID
}

// Config is what a cache needs.
type Config struct {
	// Dir holds the sealed refresh tokens, one file each.
	Dir string
	// Quarantine takes files of it that cannot be used.
	Quarantine *durable.Quarantine
	// Events gets findings; nil keeps none.
	Events *eventlog.Log
	// Clock tells when an access token ends; nil is the real one.
	Clock clock.Clock
	// Points is told the moments of a write at which a crash would matter.
	Points durable.Points
}

// Cache keeps tokens. It is safe for use by many goroutines.
type Cache struct {
	dir        string
	quarantine *durable.Quarantine
	events     *eventlog.Log
	clock      clock.Clock
	points     durable.Points

	accessMu sync.Mutex
	access   *lru[AccessKey, apptoken.Grant]

	// refreshMu makes "read, compare, remove" one action.
	refreshMu sync.Mutex
}

// New opens the cache. Nothing is read until it is asked for.
func New(cfg Config) (*Cache, error) {
	if cfg.Dir == "" || cfg.Quarantine == nil {
		return nil, errors.New("token cache: Dir and Quarantine are needed")
	}
	return &Cache{
		dir: cfg.Dir, quarantine: cfg.Quarantine, events: cfg.Events, clock: clock.Or(cfg.Clock), points: cfg.Points,
		access: newLRU[AccessKey, apptoken.Grant](maxAccess),
	}, nil
}

// Access returns an access token with more than Margin of life left.
func (c *Cache) Access(k AccessKey) (apptoken.Grant, bool) {
	now := c.clock.Now()
	c.accessMu.Lock()
	defer c.accessMu.Unlock()
	g, ok := c.access.get(k)
	if !ok {
		return apptoken.Grant{}, false
	}
	if g.ExpiresAt.Sub(now) <= Margin {
		c.access.drop(k) // the clock never goes back, so it will not be used again
		return apptoken.Grant{}, false
	}
	return g, true
}

// DropAccess forgets the access tokens of the owners that gone picks.
func (c *Cache) DropAccess(gone func(apptoken.Owner) bool) {
	c.accessMu.Lock()
	defer c.accessMu.Unlock()
	for k := range c.access.items {
		if gone(k.Owner) {
			c.access.drop(k)
		}
	}
}

// PutAccess keeps an access token, in memory only.
func (c *Cache) PutAccess(k AccessKey, g apptoken.Grant) {
	c.accessMu.Lock()
	defer c.accessMu.Unlock()
	c.access.put(k, g)
}
