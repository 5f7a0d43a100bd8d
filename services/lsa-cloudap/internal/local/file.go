package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// FileName is where the accounts are in the state folder.
const (
	FileName = "local.json"
	version  = 1
)

// state is what is in the file.
type state struct {
	machine  sid.Machine
	nextRID  uint32
	accounts []account
}

type account struct {
	name        Name
	rid         uint32
	verifier    partition.Verifier
	wrong       int
	lastWrongAt time.Time
}

type file struct {
	Version  int           `json:"version"`
	Machine  sid.Machine   `json:"machine"`
	NextRID  uint32        `json:"next_rid"`
	Accounts []fileAccount `json:"accounts"`
}

type fileAccount struct {
	Name        string    `json:"name"`
	RID         uint32    `json:"rid"`
	Verifier    string    `json:"password_verifier"`
	Wrong       int       `json:"wrong_passwords"`
	LastWrongAt time.Time `json:"last_wrong_at,omitzero"`
}

func (s state) clone() state {
	s.accounts = slices.Clone(s.accounts)
	return s
}

func (s state) find(n Name) int {
	return slices.IndexFunc(s.accounts, func(a account) bool { return a.name == n })
}

func (s state) account(i int) Account {
	return Account{Name: s.accounts[i].name, SID: s.machine.Account(s.accounts[i].rid)}
}

func (s state) write(files *statefiles.Files) error {
	f := file{Version: version, Machine: s.machine, NextRID: s.nextRID, Accounts: []fileAccount{}}
	for _, a := range s.accounts {
		f.Accounts = append(f.Accounts, fileAccount{
			Name: string(a.name), RID: a.rid, Verifier: a.verifier.PHC().Reveal(), Wrong: a.wrong, LastWrongAt: a.lastWrongAt.UTC(),
		})
	}
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return files.Write(FileName, data)
}

// load reads a file as from a stranger. Errors name the member and never quote its
// value.
func load(files *statefiles.Files) (state, error) {
	data, err := files.Read(FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	var s state
	if err == nil {
		s, err = decode(data)
	}
	if err != nil {
		return state{}, files.Reject(FileName, err.Error())
	}
	return s, nil
}

func decode(data []byte) (state, error) {
	var f file
	if err := durable.DecodeJSON(data, &f); err != nil {
		return state{}, err
	}
	switch {
	case f.Version != version:
		return state{}, fmt.Errorf("its version is not %d: it was written by another release", version)
	case f.Machine.Zero() || f.NextRID <= sid.FirstRID:
		return state{}, errors.New("machine or next_rid is missing or out of bounds")
	case len(f.Accounts) > maxAccounts:
		return state{}, fmt.Errorf("it has more than %d accounts", maxAccounts)
	}
	s := state{machine: f.Machine, nextRID: f.NextRID}
	for _, fa := range f.Accounts {
		a, err := fa.read()
		switch {
		case err != nil:
			return state{}, err
		case a.rid < sid.FirstRID || a.rid >= s.nextRID || s.find(a.name) >= 0 ||
			slices.ContainsFunc(s.accounts, func(o account) bool { return o.rid == a.rid }):
			return state{}, errors.New("name or rid of an account stands twice, or rid is out of bounds")
		}
		s.accounts = append(s.accounts, a)
	}
	return s, nil
}

func (f fileAccount) read() (account, error) {
	name, err := ParseName(f.Name)
	if err != nil || string(name) != f.Name {
		return account{}, errors.New("name of an account is malformed")
	}
	verifier, err := partition.ParseVerifier(secret.NewText(f.Verifier))
	if err != nil {
		return account{}, err
	}
	if f.Wrong < 0 {
		return account{}, errors.New("wrong_passwords is negative")
	}
	return account{name: name, rid: f.RID, verifier: verifier, wrong: f.Wrong, lastWrongAt: f.LastWrongAt}, nil
}
