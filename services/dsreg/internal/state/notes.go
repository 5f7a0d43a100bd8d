package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

const (
	notesName    = "diagnostics.json"
	notesVersion = 1
	// maxNote bounds each text of the notes, in bytes.
	maxNote = 1 << 10
)

// Attempt is how the last attempt to change the registration ended.
type Attempt struct {
	Time time.Time `json:"time"`
	// Type is join, register, sync, recover or migrate.
	Type string `json:"type"`
	// Phase is pre-check, discover, auth or join; empty after a success.
	Phase string `json:"phase,omitempty"`
	// Code is a Windows code; 0 after a success.
	Code uint32 `json:"code,omitempty"`
	// ServerCode and ServerMessage are what the identity provider said, our text or
	// what its answer was read as.
	ServerCode    string `json:"server_code,omitempty"`
	ServerMessage string `json:"server_message,omitempty"`
	// HTTPSStatus of the last answer, 0 when there was none.
	HTTPSStatus uint32 `json:"https_status,omitempty"`
	// RequestID is the trace id, 32 hexadecimal digits, or empty.
	RequestID string `json:"request_id,omitempty"`
	// Pending says that a hybrid join waits for the object of its computer.
	Pending bool `json:"pending,omitempty"`
	// LeftBehind is a device of this computer that stayed at the tenant and that no
	// key exists for; empty when there is none.
	LeftBehind string `json:"left_behind,omitempty"`
}

// Tenant is what the last discovery found.
type Tenant struct {
	ID           string        `json:"tenant_id"`
	Name         string        `json:"tenant_name,omitempty"`
	AuthCodeURL  string        `json:"auth_code_url,omitempty"`
	TokenURL     string        `json:"access_token_url,omitempty"`
	Join         TenantService `json:"join_service"`
	Key          TenantService `json:"key_service"`
	WebAuthn     TenantService `json:"webauthn_service"`
	DeviceManage TenantService `json:"device_management_service"`
}

// TenantService is one service of a tenant.
type TenantService struct {
	Version string `json:"version,omitempty"`
	URL     string `json:"url,omitempty"`
	ID      string `json:"resource_id,omitempty"`
}

// Notes are what is remembered for people who look for a fault. Nothing is decided by
// them, so they have a file of their own: one that is damaged is put aside, and does not
// stop the component as a damaged record does.
type Notes struct {
	Attempt *Attempt `json:"attempt,omitempty"`
	Tenant  *Tenant  `json:"tenant,omitempty"`
}

// Notebook keeps the notes on disk and in memory. It is safe for concurrent use.
type Notebook struct {
	path  string
	mu    sync.Mutex
	notes Notes
}

// OpenNotes reads the notes. The error says what was wrong with the file; the notebook
// is good all the same, and empty.
func OpenNotes(dir string) (*Notebook, error) {
	b := &Notebook{path: filepath.Join(dir, notesName)}
	data, err := durable.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, b.putAside(dir, err.Error())
	}
	var f struct {
		Version int `json:"version"`
		Notes
	}
	if err := json.Unmarshal(data, &f); err != nil || f.Version != notesVersion || !f.Notes.fit() {
		return b, b.putAside(dir, "it is not of the expected form")
	}
	b.notes = f.Notes
	return b, nil
}

// putAside keeps a file that cannot be used; the error it returns, never nil, names it and
// where it is now. One that cannot be moved is overwritten by the next notes.
func (b *Notebook) putAside(dir, reason string) error {
	var found durable.Quarantined
	q, err := durable.OpenQuarantine(filepath.Join(dir, "quarantine"), nil)
	if err == nil {
		found, err = q.Take(b.path, reason)
	}
	if err != nil {
		return fmt.Errorf("%s: %s, and could not be put aside: %w", b.path, reason, err)
	}
	return fmt.Errorf("%s: %s; it is now %s, and begins anew", b.path, reason, found.Path)
}

// Get is the notes.
func (b *Notebook) Get() Notes {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notes
}

// Change changes the notes. They are in memory even when the error says that they are
// not on disk.
func (b *Notebook) Change(change func(*Notes)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.notes)
	data, err := json.MarshalIndent(struct {
		Version int `json:"version"`
		Notes
	}{notesVersion, b.notes}, "", "  ")
	if err != nil {
		return fmt.Errorf("notes: %w", err)
	}
	return durable.WriteFile(b.path, data, nil)
}

// fit reports whether every text may be shown.
func (n Notes) fit() bool {
	var texts []string
	if a := n.Attempt; a != nil {
		texts = append(texts, a.Type, a.Phase, a.ServerCode, a.ServerMessage, a.RequestID, a.LeftBehind)
	}
	if t := n.Tenant; t != nil {
		texts = append(texts, t.ID, t.Name, t.AuthCodeURL, t.TokenURL)
		for _, s := range []TenantService{t.Join, t.Key, t.WebAuthn, t.DeviceManage} {
			texts = append(texts, s.Version, s.URL, s.ID)
		}
	}
	for _, s := range texts {
		if Shown(s) != s {
			return false
		}
	}
	return true
}

// Shown is a text of somebody else made fit for a screen: one printable line of at
// most 1 KiB.
func Shown(s string) string {
	out := make([]rune, 0, min(len(s), maxNote))
	n := 0
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			continue
		}
		if n += utf8.RuneLen(r); n > maxNote {
			break
		}
		out = append(out, r)
	}
	return string(out)
}
