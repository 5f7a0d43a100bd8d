package org

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	maxFile  = 1 << 20 // bytes
	maxName  = 256     // bytes
	maxUsers = 1000    // a password in clear costs a hash at start, some 20 ms each
)

type file struct {
	Issuer   string      `yaml:"issuer"`
	Domain   string      `yaml:"domain"`
	Audience string      `yaml:"audience"`
	BaseURL  string      `yaml:"base_url"`
	Replies  []string    `yaml:"reply_urls"`
	Users    []fileEntry `yaml:"users"`
}

type fileEntry struct {
	UPN          string `yaml:"upn"`
	Password     string `yaml:"password"`
	PasswordHash string `yaml:"password_hash"`
	ImmutableID  string `yaml:"immutable_id"`
	DisplayName  string `yaml:"display_name"`
}

func parse(raw []byte) (file, error) {
	var f file
	if len(raw) > maxFile {
		return f, invalid("the file is longer than %d bytes", maxFile)
	}
	err := decode(raw, &f)
	if err == nil {
		return f, nil
	}
	// The library's own text quotes lines of the file, passwords included: only
	// the place is told.
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil && y.GetToken().Position != nil {
		return f, invalid("line %d is not valid YAML, or has a field that is unknown, doubled or of the wrong type", y.GetToken().Position.Line)
	}
	return f, invalid("the file is not valid YAML")
}

// decode keeps the library's panics, which some malformed files cause (a tag in
// front of a scalar where a list belongs), from being ours: a bad file is an error.
func decode(raw []byte, into *file) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("a value has another form than its field")
		}
	}()
	return yaml.UnmarshalWithOptions(raw, into, yaml.Strict())
}

func (o *Organisation) addUsers(entries []fileEntry) error {
	if len(entries) == 0 || len(entries) > maxUsers {
		return invalid("users has %d entries: 1 to %d are served", len(entries), maxUsers)
	}
	seen := make(map[ImmutableID]bool, len(entries))
	for i, e := range entries {
		a, err := o.account(i, e)
		if err != nil {
			return err
		}
		if _, twice := o.users[a.UPN]; twice {
			return invalid("users[%d].upn stands twice", i)
		}
		if seen[a.ImmutableID] {
			return invalid("users[%d].immutable_id stands twice: two users would be one in the cloud", i)
		}
		seen[a.ImmutableID] = true
		o.users[a.UPN] = a
	}
	return nil
}

func (o *Organisation) account(i int, e fileEntry) (*account, error) {
	upn, err := ids.ParseUPN(e.UPN)
	if err != nil {
		return nil, invalid("users[%d].upn: %v", i, err)
	}
	if upn.Domain() != o.domain {
		return nil, invalid("users[%d].upn is not of the domain %s", i, o.domain)
	}
	if guid, err := base64.StdEncoding.Strict().DecodeString(e.ImmutableID); err != nil || len(guid) != 16 {
		return nil, invalid("users[%d].immutable_id is not the base64 of 16 bytes", i)
	}
	if (e.Password == "") == (e.PasswordHash == "") {
		return nil, invalid("users[%d] needs exactly one of password and password_hash", i)
	}
	hash := phc(e.PasswordHash)
	if e.Password != "" {
		hash, err = hashPassword(secret.NewText(e.Password))
	} else {
		err = hash.check()
	}
	if err != nil {
		return nil, invalid("users[%d]: %v", i, err)
	}
	name := e.DisplayName
	if name == "" {
		name, _, _ = strings.Cut(string(upn), "@")
	}
	if len(name) > maxName {
		return nil, invalid("users[%d].display_name is longer than %d bytes", i, maxName)
	}
	return &account{User: User{UPN: upn, ImmutableID: ImmutableID(e.ImmutableID), DisplayName: name, SID: sidOf(ImmutableID(e.ImmutableID), o.domain)}, hash: hash}, nil
}
