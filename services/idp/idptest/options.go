package idptest

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/clock"
)

// The tenant that is served when nothing else is said.
const (
	defaultTenant = "6babcaad-604b-40ac-a9d7-9fd97c0b779f"
	defaultDomain = "contoso.test"
	defaultUser   = "alice@contoso.test"
	defaultSecret = "correct horse battery staple"
)

// User is a user to begin with. Only UPN and Password are needed.
type User struct {
	// UPN is a name of the domain contoso.test.
	UPN, Password string
	// ID is a GUID; empty makes one.
	ID string
	// DisplayName is the name before the @ when it is empty.
	DisplayName string
	// Administrator may make bulk enrolment packages.
	Administrator bool
	// NoJoin keeps the user from registering devices.
	NoJoin bool
	// TOTPSecret is base32, for one-time codes; Push is an app that approves.
	TOTPSecret string
	Push       bool
	// PhoneSignIn lets that app sign in without a password; it needs Push.
	PhoneSignIn bool
	// Phone is +CC NUMBER, for text messages and calls, which Admin.Messages reads.
	Phone string
}

// authenticator writes the app down as a tenant file has it.
func (u User) authenticator(one map[string]any) {
	if u.PhoneSignIn {
		one["authenticators"] = []any{map[string]any{"name": "Authenticator app", "phone_sign_in": true}}
		return
	}
	one["push"] = u.Push
}

// Option changes what New starts.
type Option func(*config)

// WithTenants serves a tenant file in place of the one tenant that is made here;
// WithUser and WithProfile cannot be used with it.
func WithTenants(file []byte) Option { return func(c *config) { c.yaml = file } }

// WithUser adds a user. The first one takes the place of alice@contoso.test.
func WithUser(u User) Option { return func(c *config) { c.users = append(c.users, u) } }

// WithProfile chooses 2020, today or strict.
func WithProfile(name string) Option { return func(c *config) { c.profile = name } }

// WithClock gives the tenant a clock that others share.
func WithClock(clk *clock.Lab) Option { return func(c *config) { c.clock = clk } }

// WithLog shows what the provider and its host log.
func WithLog(log *slog.Logger) Option { return func(c *config) { c.log = log } }

type config struct {
	yaml     []byte
	users    []User
	profile  string
	clock    *clock.Lab
	log      *slog.Logger
	password string
}

func configure(opts []Option) (config, error) {
	var c config
	for _, o := range opts {
		o(&c)
	}
	if c.clock == nil {
		c.clock = clock.NewLab()
	}
	if c.yaml != nil {
		if len(c.users) > 0 || c.profile != "" {
			return c, errors.New("WithTenants stands for the whole file: put users and profile into it")
		}
		return c, nil
	}
	if len(c.users) == 0 {
		c.users = []User{{UPN: defaultUser, Password: defaultSecret, DisplayName: "Alice Adams"}}
	}
	c.password = c.users[0].Password
	var err error
	c.yaml, err = c.file()
	return c, err
}

// file is the tenant file of the options. The provider reads it as it reads
// everybody's, and its errors are those of a tenant file.
func (c *config) file() ([]byte, error) {
	profile := c.profile
	if profile == "" {
		profile = "today"
	}
	var users []map[string]any
	for _, u := range c.users {
		one := map[string]any{"id": u.ID, "upn": u.UPN, "display_name": u.DisplayName, "password": u.Password}
		if u.ID == "" {
			one["id"] = uuid.NewString()
		}
		if u.DisplayName == "" {
			one["display_name"], _, _ = strings.Cut(u.UPN, "@")
		}
		one["administrator"], one["may_join"] = u.Administrator, !u.NoJoin
		u.authenticator(one)
		if u.Phone != "" {
			one["phone"] = u.Phone
		}
		if u.TOTPSecret != "" {
			one["totp_secret"] = u.TOTPSecret
		}
		users = append(users, one)
	}
	text, err := yaml.Marshal(map[string]any{"tenants": []any{map[string]any{
		"id": defaultTenant, "display_name": "Contoso", "profile": profile,
		"domains": []any{map[string]any{"name": defaultDomain}}, "users": users,
	}}})
	if err != nil {
		return nil, fmt.Errorf("tenant file of the options: %w", err)
	}
	return text, nil
}
