package keystore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

const (
	helloVersion = 1
	helloSuffix  = ".hello"
	// userTries is how many wrong PINs a user has before the agent refuses without
	// asking the TPM, and userRecovery is what heals one. The TPM has one count for
	// all keys with a PIN, so guesses of one user must end well below its limit, or
	// they would lock out the others.
	userTries    = 10
	userRecovery = 10 * time.Minute
)

// HelloUser is whose Hello key is meant.
type HelloUser struct {
	Tenant ids.TenantID
	User   ids.UserID
}

func (u HelloUser) owner() Owner { return Owner{Tenant: u.Tenant, User: u.User} }

// helloKey is the Hello key of a user as it rests on disk. It holds nothing that
// comes from the PIN: what opens the key is derived from the PIN and the agent's
// secret, and only the TPM can tell whether it is right.
type helloKey struct {
	Version int          `json:"version"`
	Tenant  ids.TenantID `json:"tenant"`
	User    ids.UserID   `json:"user"`
	// Set is the registration that the key goes with, and Root as in the key set.
	Set string `json:"set"`
	Key blob   `json:"key"`
	// Reset is the object whose authorisation allows a new PIN, empty without a PIN
	// reset service.
	Reset blob `json:"reset"`
	// Generation is what the TPM's counter for this user said at the last change; 0 is a
	// key without one.
	Generation uint64 `json:"generation,omitempty"`
	// Wrong PINs that are not healed yet, the last one at WrongAt.
	Wrong   int       `json:"wrong,omitempty"`
	WrongAt time.Time `json:"wrong_at,omitzero"`
}

// helloLock serialises the use of Hello keys: the count of wrong PINs is read,
// written and acted on in one go. Taken after Store.mu, never before it.
type helloLock struct{ mu sync.Mutex }

func (s *Store) helloPath(u HelloUser) string {
	sum := sha256.Sum256([]byte(string(u.Tenant) + "\x00" + string(u.User)))
	return filepath.Join(s.cfg.Dir, hex.EncodeToString(sum[:16])+helloSuffix)
}

// readHello is the key of a user under a set; errNoHello when there is none.
func (s *Store) readHello(set *keySet, u HelloUser) (*helloKey, error) {
	path := s.helloPath(u)
	k, err := readHelloFile(path)
	if err != nil {
		return nil, err
	}
	if k.Tenant != u.Tenant || k.User != u.User {
		return nil, fmt.Errorf("hello key %s is of another user: restore it, or remove it and set up Hello again", path)
	}
	if k.Set != set.ID {
		return nil, tpmio.KeysLost("the Hello key is of a former registration of this device")
	}
	return k, nil
}

func readHelloFile(path string) (*helloKey, error) {
	var k helloKey
	err := readStrict(path, &k)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoHello()
	}
	if err != nil {
		return nil, fmt.Errorf("hello key %s: restore it, or remove it and set up Hello again: %w", path, err)
	}
	if k.Version != helloVersion {
		return nil, fmt.Errorf("hello key %s has version %d: it was written by another version of the agent", path, k.Version)
	}
	return &k, nil
}

func errNoHello() error {
	return prterr.New(prterr.NotFound, "user: there is no Hello key for this user on this device: set one up")
}

func (s *Store) writeHello(k *helloKey) error {
	k.Version = helloVersion
	b, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("hello key: %w", err)
	}
	return durable.WriteFile(s.helloPath(HelloUser{k.Tenant, k.User}), b, s.cfg.Points)
}

// dropHello removes the Hello keys that go with a set. A file that cannot be read
// stays: it may be of another set, and its key works with no other anyhow.
func (s *Store) dropHello(set string) error {
	s.hello.mu.Lock()
	defer s.hello.mu.Unlock()
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("agent folder: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), helloSuffix) {
			continue
		}
		path := filepath.Join(s.cfg.Dir, e.Name())
		if k, err := readHelloFile(path); err == nil && k.Set == set {
			if err := durable.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// heal counts down what time has healed.
func (k *helloKey) heal(now time.Time) {
	healed := int(now.Sub(k.WrongAt) / userRecovery)
	if k.Wrong == 0 || healed <= 0 {
		return
	}
	k.Wrong, k.WrongAt = max(k.Wrong-healed, 0), k.WrongAt.Add(time.Duration(healed)*userRecovery)
}

// count takes one try before the TPM is asked, so that neither a crash nor a
// restart gives one for nothing. A clock that was set back heals nothing.
func (s *Store) count(k *helloKey) error {
	now := s.cfg.Clock.Now()
	k.heal(now)
	if k.Wrong >= userTries {
		wait := max(k.WrongAt.Add(userRecovery).Sub(now).Round(time.Second), time.Second)
		return prterr.New(prterr.Exhausted, "pin: too many wrong PINs of this user: wait %v, or reset the PIN", wait).WithHRESULT(tpmio.HRESULTLockout)
	}
	if k.Wrong == 0 {
		k.WrongAt = now
	}
	k.Wrong++
	return s.writeHello(k)
}
