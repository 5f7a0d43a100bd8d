package tokencache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// version of the file's form. A file of another version is not read, and
// replaced by the next refresh token.
const version = 1

// ErrDamaged says that a file is there and cannot be used. The token is lost; a
// new one comes with the next PRT grant.
var ErrDamaged = errors.New("sealed refresh token file is damaged")

// file is what lies on disk. It says nothing about whose token it is: owner and
// app are bound into the sealed bytes by the TPM agent, so a file that was moved
// under another name does not open there.
type file struct {
	Version int    `json:"version"`
	Sealed  []byte `json:"sealed"`
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
	data, err := json.Marshal(file{Version: version, Sealed: s})
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

func (c *Cache) read(k RefreshKey) (apptoken.Sealed, error) {
	data, err := durable.ReadFile(c.path(k))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var f file
	if json.Unmarshal(data, &f) != nil || f.Version != version || len(f.Sealed) == 0 || len(f.Sealed) > apptoken.MaxSealed {
		return nil, ErrDamaged
	}
	return f.Sealed, nil
}

// path hides who and which app behind a hash. The parts are GUIDs and a kind
// without a line break, so no two keys join to one string.
func (c *Cache) path(k RefreshKey) string {
	name := strings.Join([]string{string(k.Owner.Tenant), string(k.Owner.User), string(k.Owner.Kind), string(k.Client)}, "\n")
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+".json")
}
