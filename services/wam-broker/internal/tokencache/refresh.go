package tokencache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// version of the file's form. A file of another version is not read, and makes way
// for the next refresh token.
const version = 1

// ErrDamaged says that a file cannot be used. The token is lost; a new one comes with
// the next PRT grant. The file is in quarantine, unless that is full.
var ErrDamaged = errors.New("sealed refresh token file is damaged")

// file is what lies on disk. It says nothing about whose token it is: owner and
// app are bound into the sealed bytes by the TPM agent, so a file that was moved
// under another name does not open there.
type file struct {
	Version int    `json:"version"`
	Sealed  []byte `json:"sealed"`
	// Membership of the device that the token was given to; empty in files of an earlier
	// release and where it is not known, and then the tpm-agent alone finds out.
	Membership ids.MembershipID `json:"membership_id,omitempty"`
}

// Refresh returns the sealed refresh token, nil when there is none.
func (c *Cache) Refresh(k RefreshKey) (apptoken.Sealed, error) {
	c.refreshMu.Lock()
	defer c.refreshMu.Unlock()
	return c.read(k)
}

// PutRefresh keeps a sealed refresh token; when it returns nil, it is on disk.
func (c *Cache) PutRefresh(k RefreshKey, s apptoken.Sealed) error {
	if len(s) == 0 || len(s) > apptoken.MaxSealed {
		return fmt.Errorf("sealed refresh token is not 1 to %d bytes", apptoken.MaxSealed)
	}
	data, err := json.Marshal(file{Version: version, Sealed: s, Membership: k.Owner.Membership})
	if err != nil {
		return fmt.Errorf("sealed refresh token: %w", err)
	}
	c.refreshMu.Lock()
	defer c.refreshMu.Unlock()
	return durable.WriteFile(c.path(k), data, c.points)
}

// DropRefresh removes the sealed refresh token if it is still the one that was
// used: another request of the same app may have brought a good one meanwhile.
func (c *Cache) DropRefresh(k RefreshKey, used apptoken.Sealed) error {
	c.refreshMu.Lock()
	defer c.refreshMu.Unlock()
	now, err := c.read(k)
	if err == nil && !bytes.Equal(now, used) {
		return nil
	}
	return durable.Remove(c.path(k))
}

// RemoveRefresh removes a sealed refresh token, whichever it is: its account has gone.
func (c *Cache) RemoveRefresh(k RefreshKey) error {
	c.refreshMu.Lock()
	defer c.refreshMu.Unlock()
	return durable.Remove(c.path(k))
}

func (c *Cache) read(k RefreshKey) (apptoken.Sealed, error) {
	data, err := durable.ReadFile(c.path(k))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, c.reject(c.path(k), err.Error())
	}
	var f file
	switch {
	case json.Unmarshal(data, &f) != nil:
		return nil, c.reject(c.path(k), "it is not whole JSON of the expected form")
	case f.Version != version:
		return nil, c.reject(c.path(k), fmt.Sprintf("its version is not %d: it was written by another release", version))
	case len(f.Sealed) == 0 || len(f.Sealed) > apptoken.MaxSealed:
		return nil, c.reject(c.path(k), "sealed is empty or too long")
	}
	if f.Membership != "" && k.Owner.Membership != "" && f.Membership != k.Owner.Membership {
		return nil, nil // of a membership that has ended: the next one takes its place
	}
	return f.Sealed, nil
}

// reject puts a file aside that cannot be used, and says so; it returns ErrDamaged.
func (c *Cache) reject(path, reason string) error {
	found, err := c.quarantine.Take(path, reason)
	e := eventlog.Event{
		Channel: eventlog.AADOperational, ID: statefiles.EventQuarantined, Level: eventlog.Warning,
		Message: "a file of the token cache cannot be used and was put aside",
		Fields:  []eventlog.Field{{Name: "file", Value: path}, {Name: "reason", Value: reason}, {Name: "now", Value: found.Path}},
	}
	if err != nil {
		e.Message = "a file of the token cache cannot be used and could not be put aside: the next one of its name takes its place"
		e.Fields[2] = eventlog.Field{Name: "why", Value: err.Error()}
	}
	c.events.Add(context.Background(), e)
	return fmt.Errorf("%w: %s", ErrDamaged, reason)
}

// path hides who and which app behind a hash. The membership is not in it, so that no file
// of a former one is left over. The parts are GUIDs and a kind
// without a line break, so no two keys join to one string.
func (c *Cache) path(k RefreshKey) string {
	parts := []string{string(k.Owner.Tenant), string(k.Owner.User), string(k.Owner.Kind), string(k.Client)}
	if k.Owner.SID != "" {
		parts = append(parts, string(k.Owner.SID))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+".json")
}
