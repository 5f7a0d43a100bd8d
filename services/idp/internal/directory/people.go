package directory

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Users lists the users of a tenant, ordered by name.
func (d *Directory) Users(ctx context.Context, t ids.TenantID) ([]store.User, error) {
	if _, err := d.tenant(t); err != nil {
		return nil, err
	}
	users, err := d.store.Users(ctx, t)
	return users, named(err, "user")
}

// CreateUser adds a user to the tenant of the domain in the name. An empty id is
// drawn, an empty display name is the name before the @. A managed user needs a
// password, a federated one an immutable id.
func (d *Directory) CreateUser(ctx context.Context, u tenant.User) (ids.UserID, error) {
	home, ok := d.tenants.Home(u.UPN.Domain())
	if !ok {
		return "", prterr.New(prterr.Invalid, "user_principal_name is in no domain of a tenant here: use a domain of the tenant file")
	}
	if u.ID == "" {
		u.ID = ids.NewUser()
	}
	if u.DisplayName == "" {
		u.DisplayName, _, _ = strings.Cut(string(u.UPN), "@")
	}
	if field, problem := u.Problem(); problem != "" {
		return "", prterr.New(prterr.Invalid, "%s %s", field, problem)
	}
	var err error
	switch federated := home.Domain.Federated != nil; {
	case federated && !u.Password.Empty():
		return "", prterr.New(prterr.Invalid, "password does not go with a federated domain: remove it")
	case federated && u.ImmutableID == "":
		return "", prterr.New(prterr.Invalid, "immutable_id is missing: a federated user needs the one that the federation provider asserts")
	case federated:
		if _, err := d.store.UserByImmutableID(ctx, home.Tenant.ID, u.ImmutableID); err == nil {
			return "", prterr.New(prterr.Conflict, "immutable_id is another user's")
		}
	default:
		if u.PasswordHash, err = d.passwords.hash(ctx, u.Password); err != nil {
			return "", err
		}
	}
	return u.ID, named(d.store.AddUser(ctx, record(home.Tenant.ID, u)), "user")
}

// record is a user to begin with as the store keeps it. A password in clear does
// not get there.
func record(t ids.TenantID, u tenant.User) store.User {
	return store.User{
		PasswordEpoch: firstEpoch(), SessionEpoch: firstEpoch(),
		ID: u.ID, Tenant: t, UPN: u.UPN, DisplayName: u.DisplayName, PasswordHash: u.PasswordHash,
		Enabled: u.Enabled, MayJoin: u.MayJoin, ImmutableID: u.ImmutableID,
		GivenName: u.GivenName, Surname: u.Surname, Mail: u.Mail, JobTitle: u.JobTitle,
		Administrator: u.Administrator, TOTPSecret: u.TOTPSecret, MustChange: u.MustChange,
		Phone: u.Phone, DefaultMethod: u.DefaultMethod, Risk: u.Risk, Push: recordAuthenticators(u),
	}
}

// firstEpoch is where the counters of a new user begin: somewhere in 2^40. A user who is
// made again, under the name of a deleted one and even with the same object id, does not
// meet the counters that are sealed into what the deleted one still holds.
func firstEpoch() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[3:]) // never fails: crypto/rand ends the process instead
	return binary.BigEndian.Uint64(b[:])
}

// recordAuthenticators gives those of the tenant file ids that a start does not
// change.
func recordAuthenticators(u tenant.User) []store.Authenticator {
	var out []store.Authenticator
	for i, a := range u.Authenticators {
		id := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "authenticator|%s|%d", u.ID, i)).String()
		out = append(out, store.Authenticator{ID: id, Name: a.Name, PhoneSignIn: a.PhoneSignIn})
	}
	return out
}

// DeleteUser removes a user. What the user holds names an object that is gone,
// and is refused as AADSTS50034 wherever it shows up. Devices stay.
func (d *Directory) DeleteUser(ctx context.Context, upn ids.UPN) error {
	u, err := d.store.UserByUPN(ctx, upn)
	if err != nil {
		return named(err, "user")
	}
	// First the mark and then the deed: the other way round, a start after a crash
	// in between would bring the user back.
	if home, ok := d.tenants.Tenant(u.Tenant); ok && slices.ContainsFunc(home.Users, func(o tenant.User) bool { return o.UPN == upn }) {
		if err := d.bury(ctx, "user/"+string(upn)); err != nil {
			return err
		}
	}
	return named(d.store.DeleteUser(ctx, u.Tenant, u.ID), "user")
}

// RevokeSessions makes everything that a user got before worthless: PRTs, refresh
// tokens, sessions of browsers. AADSTS50173 from here on.
func (d *Directory) RevokeSessions(ctx context.Context, upn ids.UPN) error {
	return d.changeUser(ctx, upn, func(u *store.User) error {
		u.SessionEpoch++
		return nil
	})
}

// buried is the kind of documents that say what was removed of the tenant file,
// so that a store that outlives the process does not get it back from the file.
const buried = "removed"

func (d *Directory) bury(ctx context.Context, what string) error {
	if err := d.store.PutDocument(ctx, buried, what, nil); err != nil {
		return prterr.Wrap(prterr.Internal, err, "the directory cannot be changed")
	}
	return nil
}

func (d *Directory) isBuried(ctx context.Context, what string) (bool, error) {
	_, err := d.store.Document(ctx, buried, what)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// tenant finds a tenant that an operator named.
func (d *Directory) tenant(t ids.TenantID) (*tenant.Tenant, error) {
	home, ok := d.tenants.Tenant(t)
	if !ok {
		return nil, prterr.New(prterr.NotFound, "tenant_id names no tenant here")
	}
	return home, nil
}
