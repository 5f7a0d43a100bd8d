package tenant

import (
	"fmt"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

func (d *document) users(at string, f fileTenant, t *Tenant) error {
	names, userIDs := map[ids.UPN]bool{}, map[ids.UserID]bool{}
	for i, fu := range f.Users {
		here := fmt.Sprintf("%s.users[%d]", at, i)
		u, err := d.user(here, fu, t)
		if err != nil {
			return err
		}
		if names[u.UPN] || userIDs[u.ID] {
			return d.errorf(here+".upn", "or id stands twice in the tenant")
		}
		names[u.UPN], userIDs[u.ID] = true, true
		t.Users = append(t.Users, u)
	}
	return nil
}

func (d *document) user(at string, f fileUser, t *Tenant) (User, error) {
	u := User{
		DisplayName: f.DisplayName, Password: secret.NewText(f.Password), PasswordHash: secret.NewText(f.PasswordHash),
		Enabled: f.Enabled == nil || *f.Enabled, MayJoin: f.MayJoin == nil || *f.MayJoin, ImmutableID: f.ImmutableID,
		GivenName: f.GivenName, Surname: f.Surname, Mail: f.Mail, JobTitle: f.JobTitle,
		Administrator: f.Administrator, TOTPSecret: secret.NewText(f.TOTPSecret), MustChange: f.MustChange,
	}
	if err := d.methods(at, f, &u); err != nil {
		return u, err
	}
	var err error
	if u.ID, err = ids.ParseUser(f.ID); err != nil {
		return u, d.errorf(at+".id", "is not right: %v", err)
	}
	if u.UPN, err = ids.ParseUPN(f.UPN); err != nil {
		return u, d.errorf(at+".upn", "is not right: %v", err)
	}
	if field, problem := u.Problem(); problem != "" {
		return u, d.errorf(at+"."+field, "%s", problem)
	}
	home, ours := t.domain(u.UPN.Domain())
	if !ours {
		return u, d.errorf(at+".upn", "is not in a domain of its tenant: add the domain")
	}
	if home.Federated != nil {
		if f.Password != "" || f.PasswordHash != "" {
			return u, d.errorf(at+".password", "does not go with a federated domain: remove it")
		}
		if !short(f.ImmutableID) {
			return u, d.errorf(at+".immutable_id", "is not 1 to 256 characters, and a federated user needs it")
		}
		return u, nil
	}
	if (f.Password == "") == (f.PasswordHash == "") {
		return u, d.errorf(at+".password", "or password_hash must be there, and not both")
	}
	if len(f.Password) > 256 {
		return u, d.errorf(at+".password", "is longer than 256 bytes")
	}
	if f.PasswordHash != "" && !standardHash(f.PasswordHash) {
		return u, d.errorf(at+".password_hash", "is not of the form $argon2id$v=19$m=%d,t=%d,p=%d$salt$key", HashMemory, HashPasses, HashParallelism)
	}
	return u, nil
}

// Problem is what is wrong with what a directory shows of a person: the field and
// why; empty when nothing is.
func (u User) Problem() (field, problem string) {
	if !short(u.DisplayName) {
		return "display_name", "is not 1 to 256 characters"
	}
	for _, f := range []struct{ field, text string }{
		{"given_name", u.GivenName}, {"surname", u.Surname}, {"mail", u.Mail}, {"job_title", u.JobTitle}, {"immutable_id", u.ImmutableID},
	} {
		if len(f.text) > 256 {
			return f.field, "is longer than 256 characters"
		}
	}
	return "", ""
}

func standardHash(phc string) bool {
	p, _, _, err := argon2id.DecodeHash(phc)
	return err == nil && *p == argon2id.Params{
		Memory: HashMemory, Iterations: HashPasses, Parallelism: HashParallelism, SaltLength: HashSalt, KeyLength: HashKey,
	}
}

func (d *document) groups(at string, f fileTenant, t *Tenant) error {
	for i, fg := range f.Groups {
		here := fmt.Sprintf("%s.groups[%d]", at, i)
		if _, err := uuid.Parse(fg.ID); err != nil || len(fg.ID) != 36 {
			return d.errorf(here+".id", "is not a GUID of 36 characters")
		}
		if !short(fg.Name) {
			return d.errorf(here+".name", "is not 1 to 256 characters")
		}
		g := Group{ID: fg.ID, Name: fg.Name}
		for j, m := range fg.Members {
			upn, err := ids.ParseUPN(m)
			if err != nil {
				return d.errorf(fmt.Sprintf("%s.members[%d]", here, j), "is not right: %v", err)
			}
			if _, ours := t.domain(upn.Domain()); !ours {
				return d.errorf(fmt.Sprintf("%s.members[%d]", here, j), "is not in a domain of the tenant")
			}
			g.Members = append(g.Members, upn)
		}
		t.Groups = append(t.Groups, g)
	}
	return nil
}
