package tenant

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
)

// Lifetimes when the file does not say: those observed on the public service.
const (
	defaultPRT          = 14 * 24 * time.Hour
	defaultAccessToken  = time.Hour
	defaultRefreshToken = 90 * 24 * time.Hour
	// maxLifetime bounds what a file may ask for.
	maxLifetime = 400 * 24 * time.Hour
)

// Password hashes have these parameters and no other, so that every check of a
// password costs the same, whoever it is for: 7 MiB, five passes, one lane.
const (
	HashMemory      = 7 * 1024 // KiB
	HashPasses      = 5
	HashParallelism = 1
	HashSalt        = 16
	HashKey         = 32
)

// Parse reads a tenant file of at most 1 MiB. Every error names line and field.
func Parse(data []byte) (*Set, error) {
	d, err := read(data)
	if err != nil {
		return nil, err
	}
	if len(d.root.Tenants) == 0 {
		return nil, errors.New("tenant file: tenants is empty: name at least one")
	}
	s := &Set{byID: map[ids.TenantID]*Tenant{}, homes: map[string]Home{}}
	for i, ft := range d.root.Tenants {
		t, err := d.tenant(fmt.Sprintf("$.tenants[%d]", i), ft)
		if err != nil {
			return nil, err
		}
		if err := s.add(d, fmt.Sprintf("$.tenants[%d]", i), t); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add keeps ids and domains unique over all tenants; with the domains go the user
// names.
func (s *Set) add(d *document, at string, t *Tenant) error {
	if _, twice := s.byID[t.ID]; twice {
		return d.errorf(at+".id", "stands twice in the file")
	}
	for i, dom := range t.Domains {
		if _, twice := s.homes[dom.Name]; twice {
			return d.errorf(fmt.Sprintf("%s.domains[%d].name", at, i), "stands twice in the file")
		}
		s.homes[dom.Name] = Home{Tenant: t, Domain: dom}
	}
	s.byID[t.ID] = t
	s.tenants = append(s.tenants, t)
	return nil
}

func (d *document) tenant(at string, f fileTenant) (*Tenant, error) {
	t := &Tenant{DisplayName: f.DisplayName, Resources: f.Resources}
	var err error
	if t.ID, err = ids.ParseTenant(f.ID); err != nil {
		return nil, d.errorf(at+".id", "is not right: %v", err)
	}
	if !short(f.DisplayName) {
		return nil, d.errorf(at+".display_name", "is not 1 to 256 characters")
	}
	if t.Profile, err = profile.Lookup(profile.Name(f.Profile)); err != nil {
		return nil, d.errorf(at+".profile", "is not right: %v", err)
	}
	for _, part := range []func(string, fileTenant, *Tenant) error{d.domains, d.lifetimes, d.users, d.resources, d.applications} {
		if err := part(at, f, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func short(s string) bool { return s != "" && len(s) <= 256 }

func (d *document) domains(at string, f fileTenant, t *Tenant) error {
	if len(f.Domains) == 0 {
		return d.errorf(at+".domains", "is empty: name at least one")
	}
	for i, fd := range f.Domains {
		here := fmt.Sprintf("%s.domains[%d]", at, i)
		// A domain is right when a user name in it is.
		upn, err := ids.ParseUPN("x@" + fd.Name)
		if err != nil {
			return d.errorf(here+".name", "is not a domain name")
		}
		dom := Domain{Name: upn.Domain()}
		if _, twice := t.domain(dom.Name); twice {
			return d.errorf(here+".name", "stands twice in the tenant")
		}
		if fd.Federated != nil {
			if dom.Federated, err = d.federation(here+".federated", *fd.Federated); err != nil {
				return err
			}
		}
		t.Domains = append(t.Domains, dom)
	}
	return nil
}

func (d *document) federation(at string, f fileFederation) (*Federation, error) {
	fed := &Federation{Issuer: f.Issuer, MexURL: f.MexURL}
	if !short(f.Issuer) {
		return nil, d.errorf(at+".issuer", "is not 1 to 256 characters")
	}
	if u, err := url.Parse(f.MexURL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, d.errorf(at+".mex_url", "is not an https address")
	}
	if f.Certificate == "" {
		return fed, nil
	}
	block, rest := pem.Decode([]byte(f.Certificate))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, d.errorf(at+".certificate", "is not one PEM certificate")
	}
	var err error
	if fed.Certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, d.errorf(at+".certificate", "is not an X.509 certificate")
	}
	return fed, nil
}

func (d *document) lifetimes(at string, f fileTenant, t *Tenant) error {
	for _, l := range []struct {
		field, text string
		into        *time.Duration
		standard    time.Duration
	}{
		{"prt", f.Lifetimes.PRT, &t.Lifetimes.PRT, defaultPRT},
		{"access_token", f.Lifetimes.AccessToken, &t.Lifetimes.AccessToken, defaultAccessToken},
		{"refresh_token", f.Lifetimes.RefreshToken, &t.Lifetimes.RefreshToken, defaultRefreshToken},
	} {
		*l.into = l.standard
		if l.text == "" {
			continue
		}
		v, err := time.ParseDuration(l.text)
		if err != nil || v < time.Minute || v > maxLifetime {
			return d.errorf(at+".lifetimes."+l.field, "is not a duration from 1m to 9600h, such as 336h")
		}
		*l.into = v
	}
	return nil
}

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
	}
	var err error
	if u.ID, err = ids.ParseUser(f.ID); err != nil {
		return u, d.errorf(at+".id", "is not right: %v", err)
	}
	if u.UPN, err = ids.ParseUPN(f.UPN); err != nil {
		return u, d.errorf(at+".upn", "is not right: %v", err)
	}
	if !short(f.DisplayName) {
		return u, d.errorf(at+".display_name", "is not 1 to 256 characters")
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

func (t *Tenant) domain(name string) (Domain, bool) {
	for _, d := range t.Domains {
		if d.Name == name {
			return d, true
		}
	}
	return Domain{}, false
}

func standardHash(phc string) bool {
	p, _, _, err := argon2id.DecodeHash(phc)
	return err == nil && *p == argon2id.Params{
		Memory: HashMemory, Iterations: HashPasses, Parallelism: HashParallelism, SaltLength: HashSalt, KeyLength: HashKey,
	}
}
