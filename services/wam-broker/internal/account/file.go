package account

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	prt "github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
)

// version of the file format. A file of another version is not read.
const version = 1

// file is the JSON form of a Record.
type file struct {
	Version     int       `json:"version"`
	SID         string    `json:"sid"`
	TenantID    string    `json:"tenant_id"`
	UserID      string    `json:"user_id"`
	UPN         string    `json:"user_principal_name"`
	DisplayName string    `json:"display_name"`
	Default     time.Time `json:"default_since,omitzero"`
	AddedAt     time.Time `json:"added_at"`
	PRT         *filePRT  `json:"prt,omitempty"`
	Clients     []string  `json:"clients,omitempty"`
}

type filePRT struct {
	Kind       string    `json:"credential_kind"`
	Sealed     []byte    `json:"sealed_prt"`
	Hash       string    `json:"prt_sha256"`
	SealedKey  []byte    `json:"sealed_session_key"`
	ObtainedAt time.Time `json:"obtained_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Validity   Validity  `json:"validity"`
	Factor     Factor    `json:"second_factor,omitempty"`
}

// encode writes a record.
func encode(r Record) ([]byte, error) {
	f := file{
		Version: version, SID: string(r.SID), TenantID: string(r.Tenant), UserID: string(r.User), UPN: string(r.UPN),
		DisplayName: r.DisplayName, Default: r.DefaultSince.UTC(), AddedAt: r.AddedAt.UTC(),
	}
	for _, c := range r.Clients {
		f.Clients = append(f.Clients, string(c))
	}
	if p := r.PRT; p != nil {
		f.PRT = &filePRT{
			Kind: p.Kind, Sealed: p.Sealed, Hash: hex.EncodeToString(p.Hash[:]), SealedKey: p.SealedKey, ObtainedAt: p.ObtainedAt.UTC(), ExpiresAt: p.ExpiresAt.UTC(),
			Validity: p.Validity, Factor: p.Factor,
		}
	}
	return json.Marshal(f)
}

// decode reads a file as from a stranger. Errors name the member and never quote its
// value.
func decode(data []byte) (Record, error) {
	var f file
	if err := durable.DecodeJSON(data, &f); err != nil {
		return Record{}, err
	}
	if f.Version != version {
		return Record{}, fmt.Errorf("its version is not %d: it was written by another release", version)
	}
	r := Record{DisplayName: f.DisplayName, DefaultSince: f.Default, AddedAt: f.AddedAt}
	var errs [4]error
	r.SID, errs[0] = sid.Parse(f.SID)
	r.Tenant, errs[1] = ids.ParseTenant(f.TenantID)
	r.User, errs[2] = ids.ParseUser(f.UserID)
	r.UPN, errs[3] = ids.ParseUPN(f.UPN)
	if err := errors.Join(errs[:]...); err != nil {
		return Record{}, errors.New("sid, tenant_id, user_id or user_principal_name is malformed")
	}
	if len(f.DisplayName) > artefact.MaxName || len(f.Clients) > MaxClients {
		return Record{}, errors.New("display_name or clients is too long")
	}
	for _, c := range f.Clients {
		client, err := ids.ParseClient(c)
		if err != nil {
			return Record{}, errors.New("clients has one that is no GUID")
		}
		r.Clients = append(r.Clients, client)
	}
	if f.PRT == nil {
		return r, nil
	}
	var err error
	r.PRT, err = f.PRT.read()
	return r, err
}

func (f *filePRT) read() (*PRT, error) {
	hash, err := hex.DecodeString(f.Hash)
	switch {
	case err != nil || len(hash) != sha256.Size:
		return nil, errors.New("prt: prt_sha256 is not 64 hexadecimal digits")
	case len(f.Sealed) == 0 || len(f.Sealed) > artefact.MaxSealedPRT:
		return nil, errors.New("prt: sealed_prt is empty or too long")
	case !slices.Contains(prt.Kinds(), f.Kind):
		return nil, errors.New("prt: credential_kind is not known")
	case len(f.SealedKey) == 0 || len(f.SealedKey) > artefact.MaxSealedKey:
		return nil, errors.New("prt: sealed_session_key is empty or too long")
	case f.ObtainedAt.IsZero() || !f.ExpiresAt.After(f.ObtainedAt):
		return nil, errors.New("prt: expires_at is not after obtained_at")
	case !slices.Contains([]Validity{Good, Revoked, DeviceInvalid, KeysLost}, f.Validity):
		return nil, errors.New("prt: validity is not known")
	case !slices.Contains([]Factor{"", NoFactor, HasFactor}, f.Factor):
		return nil, errors.New("prt: second_factor is not known")
	}
	return &PRT{
		Kind: f.Kind, Sealed: f.Sealed, Hash: [sha256.Size]byte(hash), SealedKey: f.SealedKey, ObtainedAt: f.ObtainedAt, ExpiresAt: f.ExpiresAt, Validity: f.Validity, Factor: f.Factor,
	}, nil
}

// FileName of an account hides whose it is. The parts are of fixed alphabets
// without a line break, so no two accounts join to one text.
func (id ID) FileName() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(id.SID), string(id.Tenant), string(id.User)}, "\n")))
	return Folder + "/" + hex.EncodeToString(sum[:]) + statefiles.Suffix
}
