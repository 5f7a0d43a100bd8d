package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
)

// everyTime in place of a duration demands a sign-in now.
const everyTime = "every_time"

// The three members of a policy file, and of a tenant in a tenant file.
type filePolicies struct {
	Policies  []filePolicy   `yaml:"policies"`
	Strengths []fileStrength `yaml:"strengths"`
	Locations []fileLocation `yaml:"locations"`
}

type filePolicy struct {
	ID                string     `yaml:"id"`
	Name              string     `yaml:"name"`
	State             string     `yaml:"state"`
	IncludeUsers      []string   `yaml:"include_users"`
	ExcludeUsers      []string   `yaml:"exclude_users"`
	IncludeResources  []string   `yaml:"include_resources"`
	ExcludeResources  []string   `yaml:"exclude_resources"`
	UserActions       []string   `yaml:"user_actions"`
	AuthContexts      []string   `yaml:"auth_contexts"`
	Clients           []string   `yaml:"clients"`
	ClientApps        []string   `yaml:"client_apps"`
	Platforms         []string   `yaml:"platforms"`
	ExcludePlatforms  []string   `yaml:"exclude_platforms"`
	IncludeLocations  []string   `yaml:"include_locations"`
	ExcludeLocations  []string   `yaml:"exclude_locations"`
	SignInRisks       []string   `yaml:"sign_in_risks"`
	Flows             []string   `yaml:"flows"`
	DeviceFilter      fileFilter `yaml:"device_filter"`
	Grant             string     `yaml:"grant"`
	Grants            fileGrants `yaml:"grants"`
	SignInFrequency   string     `yaml:"sign_in_frequency"`
	TokenProtection   bool       `yaml:"token_protection"`
	PersistentBrowser string     `yaml:"persistent_browser"`
}

type fileFilter struct {
	Mode string `yaml:"mode"`
	Rule string `yaml:"rule"`
}

type fileGrants struct {
	Operator string   `yaml:"operator"`
	Controls []string `yaml:"controls"`
	Strength string   `yaml:"strength"`
}

type fileStrength struct {
	Name         string     `yaml:"name"`
	Combinations [][]string `yaml:"combinations"`
}

type fileLocation struct {
	Name    string   `yaml:"name"`
	Ranges  []string `yaml:"ranges"`
	Trusted bool     `yaml:"trusted"`
}

// Rulebook is what a policy file holds.
type Rulebook struct {
	Policies  []Policy
	Strengths []methods.Strength
	Locations []Location
}

// ParsePolicies reads a policy file: YAML of at most 1 MiB with the members
// policies, strengths and locations of a tenant file, each of which may be missing.
// Every error names line and field.
func ParsePolicies(data []byte) (Rulebook, error) {
	var root filePolicies
	d, err := readInto(data, "policy file", &root)
	if err != nil {
		return Rulebook{}, err
	}
	var t Tenant
	if err := d.rulebook("$", root, &t); err != nil {
		return Rulebook{}, err
	}
	return Rulebook{Policies: t.Policies, Strengths: t.Strengths, Locations: t.Locations}, nil
}

// readInto reads one YAML document into a value, strictly.
func readInto(data []byte, what string, into any) (_ *document, err error) {
	d := &document{what: what}
	if d.body, err = parseOne(data); err != nil {
		return nil, named(what, err)
	}
	// The library panics on some malformed files (a tag in front of a scalar where a
	// list belongs): a bad file is an error, whoever finds it.
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%s: not valid YAML: a value has another form than its field", what)
		}
	}()
	if err := yaml.NodeToValue(d.body, into, yaml.Strict()); err != nil {
		return nil, named(what, readable(err))
	}
	return d, nil
}

func named(what string, err error) error {
	return errors.New(what + ": " + err.Error())
}

// rulebook reads the three members. Strengths and locations come first, because
// policies name them.
func (d *document) rulebook(at string, f filePolicies, t *Tenant) error {
	if err := d.strengths(at, f.Strengths, t); err != nil {
		return err
	}
	if err := d.locations(at, f.Locations, t); err != nil {
		return err
	}
	for i, fp := range f.Policies {
		here := fmt.Sprintf("%s.policies[%d]", at, i)
		p, err := d.policy(here, fp)
		if err != nil {
			return err
		}
		if field, problem := t.PolicyProblem(p); problem != "" {
			return d.errorf(here+"."+field, "%s", problem)
		}
		if slices.ContainsFunc(t.Policies, func(o Policy) bool { return o.ID == p.ID }) {
			return d.errorf(here+".id", "stands twice in the tenant")
		}
		t.Policies = append(t.Policies, p)
	}
	return nil
}

func (d *document) policy(here string, f filePolicy) (Policy, error) {
	p := Policy{
		ID: strings.ToLower(f.ID), Name: f.Name, State: State(f.State), Flows: f.Flows,
		IncludeUsers: f.IncludeUsers, ExcludeUsers: f.ExcludeUsers, IncludeResources: f.IncludeResources, ExcludeResources: f.ExcludeResources,
		UserActions: as[UserAction](f.UserActions), AuthContexts: f.AuthContexts, ClientApps: as[ClientApp](f.ClientApps),
		Platforms: as[Platform](f.Platforms), ExcludePlatforms: as[Platform](f.ExcludePlatforms),
		IncludeLocations: f.IncludeLocations, ExcludeLocations: f.ExcludeLocations, SignInRisks: as[Risk](f.SignInRisks),
		DeviceFilter: DeviceFilter(f.DeviceFilter), Grant: Grant(f.Grant),
		Grants:          Grants{Operator: f.Grants.Operator, Controls: as[Grant](f.Grants.Controls), Strength: f.Grants.Strength},
		TokenProtection: f.TokenProtection, PersistentBrowser: f.PersistentBrowser,
	}
	for j, c := range f.Clients {
		id, err := ids.ParseClient(c)
		if err != nil {
			return p, d.errorf(fmt.Sprintf("%s.clients[%d]", here, j), "is not right: %v", err)
		}
		p.Clients = append(p.Clients, id)
	}
	switch f.SignInFrequency {
	case "":
	case everyTime:
		p.EveryTime = true
	default:
		v, err := time.ParseDuration(f.SignInFrequency)
		if err != nil || v < time.Minute || v > maxLifetime {
			return p, d.errorf(here+".sign_in_frequency", "is not a duration from 1m to 9600h, such as 24h, and not every_time")
		}
		p.SignInFrequency = v
	}
	if p.State == "" {
		p.State = Enabled
	}
	return p, nil
}

func as[T ~string](list []string) []T {
	var out []T
	for _, s := range list {
		out = append(out, T(s))
	}
	return out
}

func (d *document) strengths(at string, list []fileStrength, t *Tenant) error {
	for i, f := range list {
		here := fmt.Sprintf("%s.strengths[%d]", at, i)
		s := methods.Strength{Name: f.Name}
		for _, c := range f.Combinations {
			s.Combinations = append(s.Combinations, as[methods.Method](c))
		}
		if field, problem := strengthProblem(s); problem != "" {
			return d.errorf(here+"."+field, "%s", problem)
		}
		if slices.ContainsFunc(t.Strengths, func(o methods.Strength) bool { return strings.EqualFold(o.Name, s.Name) }) {
			return d.errorf(here+".name", "stands twice in the tenant")
		}
		t.Strengths = append(t.Strengths, s)
	}
	return nil
}

func (d *document) locations(at string, list []fileLocation, t *Tenant) error {
	for i, f := range list {
		here := fmt.Sprintf("%s.locations[%d]", at, i)
		l := Location{Name: f.Name, Trusted: f.Trusted}
		for j, text := range f.Ranges {
			r, err := netip.ParsePrefix(text)
			if err != nil || r != r.Masked() || r.Addr().Is4In6() {
				return d.errorf(fmt.Sprintf("%s.ranges[%d]", here, j), "is not a range of addresses, such as 203.0.113.0/24 or 2001:db8::/32")
			}
			l.Ranges = append(l.Ranges, r)
		}
		if field, problem := locationProblem(l); problem != "" {
			return d.errorf(here+"."+field, "%s", problem)
		}
		if slices.ContainsFunc(t.Locations, func(o Location) bool { return strings.EqualFold(o.Name, l.Name) }) {
			return d.errorf(here+".name", "stands twice in the tenant")
		}
		t.Locations = append(t.Locations, l)
	}
	return nil
}
