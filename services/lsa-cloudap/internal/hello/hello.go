// Package hello is what CloudAP keeps of the Windows Hello key of one user: its name,
// and the secret with which the PIN reset service can help, wrapped for that service.
//
// What lives here: the record and its file. What never may: the PIN, anything that
// comes from the PIN or from a password, or a key; the tpm-agent has the key, and only
// its TPM can tell whether a PIN is right. The CloudAP framework is the one caller.
package hello

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
)

// Folder of the records in the state folder.
const Folder = "hello"

const (
	version = 1
	// maxWrapped bounds a wrapped secret, in bytes; RSA-2048 makes 256.
	maxWrapped = 1 << 10
	maxKeyID   = 256
)

// User is whose key it is.
type User struct {
	Tenant ids.TenantID
	User   ids.UserID
}

// Record is one key that is registered with the identity provider.
type Record struct {
	User
	UPN ids.UPN
	// KeyID is the kid of the key.
	KeyID string
	// WrappedReset is for the PIN reset service; empty when a forgotten PIN costs the key.
	WrappedReset []byte
	MadeAt       time.Time
}

type file struct {
	Version      int       `json:"version"`
	TenantID     string    `json:"tenant_id"`
	UserID       string    `json:"user_id"`
	UPN          string    `json:"user_principal_name"`
	KeyID        string    `json:"key_id"`
	WrappedReset []byte    `json:"wrapped_reset_secret,omitempty"`
	MadeAt       time.Time `json:"made_at"`
}

// Store keeps one file per user in one folder, each replaced as a whole.
type Store struct{ files *statefiles.Files }

// Open reads all records of the state folder, where there may be none. A file that
// cannot be used goes to quarantine, and an error says so.
func Open(files *statefiles.Files) (*Store, []Record, []error) {
	s := &Store{files: files}
	names, err := files.List(Folder)
	if err != nil {
		return s, nil, []error{err}
	}
	var all []Record
	var bad []error
	for _, name := range names {
		r, err := s.load(name)
		switch {
		case err == nil:
			all = append(all, r)
		case !errors.Is(err, fs.ErrNotExist):
			bad = append(bad, files.Reject(name, err.Error()))
		}
	}
	return s, all, bad
}

func (s *Store) load(name string) (Record, error) {
	data, err := s.files.Read(name)
	if err != nil {
		return Record{}, err
	}
	r, err := decode(data)
	if err == nil && FileName(r.User) != name {
		err = errors.New("it is of another user than its name says")
	}
	return r, err
}

// decode reads a file as from a stranger.
func decode(data []byte) (Record, error) {
	var f file
	if err := durable.DecodeJSON(data, &f); err != nil {
		return Record{}, err
	}
	if f.Version != version {
		return Record{}, fmt.Errorf("its version is not %d: it was written by another release", version)
	}
	tenant, err := ids.ParseTenant(f.TenantID)
	if err != nil {
		return Record{}, err
	}
	user, err := ids.ParseUser(f.UserID)
	if err != nil {
		return Record{}, err
	}
	upn, err := ids.ParseUPN(f.UPN)
	if err != nil {
		return Record{}, err
	}
	if f.KeyID == "" || len(f.KeyID) > maxKeyID || len(f.WrappedReset) > maxWrapped {
		return Record{}, errors.New("key_id is missing or too long, or wrapped_reset_secret is too long")
	}
	return Record{User: User{tenant, user}, UPN: upn, KeyID: f.KeyID, WrappedReset: f.WrappedReset, MadeAt: f.MadeAt}, nil
}

// Save writes a record; when it returns nil, the record survives a crash.
func (s *Store) Save(r Record) error {
	data, err := json.Marshal(file{
		Version: version, TenantID: string(r.Tenant), UserID: string(r.User.User), UPN: string(r.UPN),
		KeyID: r.KeyID, WrappedReset: r.WrappedReset, MadeAt: r.MadeAt.UTC(),
	})
	if err != nil {
		return fmt.Errorf("hello record: %w", err)
	}
	return s.files.Write(FileName(r.User), data)
}

// Remove forgets a record.
func (s *Store) Remove(u User) error { return s.files.Remove(FileName(u)) }

// FileName of a record in the state folder. It is safe to build: both parts of a User are GUIDs.
func FileName(u User) string {
	return Folder + "/" + string(u.Tenant) + "_" + string(u.User) + statefiles.Suffix
}
