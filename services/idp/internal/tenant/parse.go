package tenant

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
)

// Lifetimes when the file does not say: those observed on the public service.
const (
	defaultPRT          = 14 * 24 * time.Hour
	defaultAccessToken  = time.Hour
	defaultRefreshToken = 90 * 24 * time.Hour
	defaultIdle         = 90 * 24 * time.Hour
	// maxRegion bounds the name of a region, as a device certificate has it.
	maxRegion = 16
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
	builtIn, err := firstParty()
	if err != nil {
		return nil, err
	}
	var all []*Tenant
	for i, ft := range d.root.Tenants {
		t, err := d.tenant(fmt.Sprintf("$.tenants[%d]", i), ft)
		if err != nil {
			return nil, err
		}
		if err := d.unique(fmt.Sprintf("$.tenants[%d]", i), t, all); err != nil {
			return nil, err
		}
		if ft.FirstParty == nil || *ft.FirstParty {
			t.adopt(builtIn)
		}
		all = append(all, t)
	}
	return newSet(all), nil
}

// unique keeps ids and domains unique over all tenants; with the domains go the
// user names.
func (d *document) unique(at string, t *Tenant, others []*Tenant) error {
	for _, other := range others {
		if other.ID == t.ID {
			return d.errorf(at+".id", "stands twice in the file")
		}
		for i, dom := range t.Domains {
			if _, twice := other.domain(dom.Name); twice {
				return d.errorf(fmt.Sprintf("%s.domains[%d].name", at, i), "stands twice in the file")
			}
		}
	}
	return nil
}

func (d *document) tenant(at string, f fileTenant) (*Tenant, error) {
	t := &Tenant{DisplayName: f.DisplayName, Region: f.Region, CookieWithoutNonce: CookieRule(f.CookieWithoutNonce)}
	t.NativeSessionKeys = f.NativeSessionKeys == nil || *f.NativeSessionKeys
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
	if len(f.Region) > maxRegion {
		return nil, d.errorf(at+".region", "is longer than %d characters", maxRegion)
	}
	switch t.CookieWithoutNonce {
	case "", CookieNever, CookieLinux, CookieAlways:
	default:
		return nil, d.errorf(at+".cookie_without_nonce", "is not one of never, linux_broker and always")
	}
	if c := f.RegistrationCampaign; c != nil {
		if c.Days < 1 || c.Days > maxCampaign {
			return nil, d.errorf(at+".registration_campaign.days", "is not 1 to %d", maxCampaign)
		}
		t.CampaignDays = c.Days
	}
	for _, part := range []func(string, fileTenant, *Tenant) error{
		d.domains, d.lifetimes, d.users, d.groups, d.resources, d.apis, d.applications, d.policies, d.devices, d.makers, d.authorities,
	} {
		if err := part(at, f, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// maxCampaign bounds for how many days registering can be put off.
const maxCampaign = 90

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
		switch {
		case fd.FederatedMFA == "accept" && dom.Federated != nil:
			dom.FederatedMFA = true
		case fd.FederatedMFA != "" && (fd.FederatedMFA != "ignore" || dom.Federated == nil):
			return d.errorf(here+".federated_mfa", "is not accept or ignore, or the domain is not federated")
		}
		t.Domains = append(t.Domains, dom)
	}
	return nil
}

func (d *document) federation(at string, f fileFederation) (*Federation, error) {
	fed := &Federation{Issuer: f.Issuer, MexURL: f.MexURL, ActiveURL: f.ActiveURL, PassiveURL: f.PassiveURL}
	if !short(f.Issuer) {
		return nil, d.errorf(at+".issuer", "is not 1 to 256 characters")
	}
	if !httpsAddress(f.MexURL) {
		return nil, d.errorf(at+".mex_url", "is not an https address")
	}
	for _, a := range []struct {
		field, path string
		into        *string
	}{{"active_url", activePath, &fed.ActiveURL}, {"passive_url", passivePath, &fed.PassiveURL}} {
		switch {
		case *a.into == "":
			*a.into = beside(f.MexURL, a.path)
		case !httpsAddress(*a.into):
			return nil, d.errorf(at+"."+a.field, "is not an https address: correct it, or remove it for the one beside mex_url")
		}
	}
	if f.Certificate == "" {
		return fed, nil
	}
	var err error
	if fed.Certificate, err = certificate(f.Certificate); err != nil {
		return nil, d.errorf(at+".certificate", "%v", err)
	}
	return fed, nil
}

// Where AD FS has its endpoints, beside its metadata.
const (
	activePath  = "/adfs/services/trust/2005/usernamemixed"
	passivePath = "/adfs/ls/"
)

func httpsAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}

// beside is another path on the host of an https address.
func beside(address, path string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}).String()
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
		{"refresh_token_idle", f.Lifetimes.RefreshTokenIdle, &t.Lifetimes.RefreshTokenIdle, defaultIdle},
		{"second_factor", f.Lifetimes.SecondFactor, &t.Lifetimes.SecondFactor, 0},
	} {
		*l.into = l.standard
		if l.text == "" {
			continue
		}
		v, err := time.ParseDuration(l.text)
		if err == nil && v == 0 && l.standard == 0 {
			continue // no end of its own
		}
		if err != nil || v < time.Minute || v > maxLifetime {
			return d.errorf(at+".lifetimes."+l.field, "is not a duration from 1m to 9600h, such as 336h")
		}
		*l.into = v
	}
	return nil
}

func (t *Tenant) domain(name string) (Domain, bool) {
	for _, d := range t.Domains {
		if d.Name == name {
			return d, true
		}
	}
	return Domain{}, false
}
