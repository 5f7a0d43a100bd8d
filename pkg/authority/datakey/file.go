package datakey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

const fileVersion = 1

// record is the file of one user.
type record struct {
	Version  int    `json:"version"`
	TenantID string `json:"tenant_id"`
	UserID   string `json:"user_id"`
	// DataKey is wrapped: the tpm-agent opens it together with the identity provider.
	DataKey []byte `json:"data_key"`
}

func (u user) name() string { return string(u.tenant) + "_" + string(u.id) + ".json" }

// read is the wrapped key of a user, nil when there is none that can be read; before
// says that there has been one.
func (k *Keys) read(ctx context.Context, u user) (wrapped []byte, before bool) {
	raw, err := durable.ReadFile(filepath.Join(k.cfg.Dir, u.name()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err == nil {
		if wrapped, err = parse(raw, u); err == nil {
			return wrapped, true
		}
	}
	if k.cfg.Reject != nil {
		err = k.cfg.Reject(u.name(), err.Error())
	}
	k.cfg.Log.WarnContext(ctx, "the file of a data key is not used", "error", err)
	return nil, true
}

func parse(raw []byte, u user) ([]byte, error) {
	var r record
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, errors.New("it is not the file of a data key")
	}
	switch {
	case r.Version != fileVersion:
		return nil, fmt.Errorf("it is of version %d", r.Version)
	case r.TenantID != string(u.tenant) || r.UserID != string(u.id):
		return nil, errors.New("it is of another user")
	case len(r.DataKey) == 0 || len(r.DataKey) > maxWrapped:
		return nil, errors.New("its key is empty or too long")
	}
	return r.DataKey, nil
}

func (k *Keys) write(u user, wrapped []byte) error {
	raw, err := json.Marshal(record{fileVersion, string(u.tenant), string(u.id), wrapped})
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(k.cfg.Dir, u.name()), raw, k.cfg.Points)
}
