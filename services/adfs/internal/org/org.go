// Package org is the organisation that runs the federation provider: its name,
// its users and their passwords.
//
// What lives here: the organisation file and the password check. What never
// may: assertions, RPCs, or a password in clear after the file is read. The
// server room asks it; nothing here changes after New.
package org

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"net/url"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/sid"
)

// DefaultAudience is the relying party that a cloud directory is to every
// federation provider (cloud_audience_urn of realm discovery).
const DefaultAudience = "urn:federation:MicrosoftOnline"

const (
	defaultBaseURL = "https://sts.adatum.test"
	// defaultReply is where the default audience takes sign-ins of browsers.
	defaultReply = "https://login.microsoftonline.com/login.srf"
	maxReplies   = 16
)

//go:embed organisation.yaml
var defaultFile string

// Config is the organisation to serve.
type Config struct {
	// YAML is the organisation file; nil means the built-in one, adatum.test.
	YAML []byte
}

// ImmutableID ties a user to the cloud's copy of the user: base64 of the
// 16 bytes of the on-premises objectGUID, little-endian as Windows stores it.
type ImmutableID string

// User is one person of the organisation, without the password.
type User struct {
	UPN         ids.UPN
	ImmutableID ImmutableID
	// DisplayName for a screen.
	DisplayName string
	// SID of the user in the domain.
	SID sid.SID
}

// sidOf makes the identifier of a user. A real domain counts its accounts; here both
// parts follow from names that stay, so that an organisation needs no state: the domain
// from its name, the account from the objectGUID.
func sidOf(id ImmutableID, domain string) sid.SID {
	of := func(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:] }
	rid := binary.LittleEndian.Uint32(of("user " + string(id)))
	return sid.MachineOf([12]byte(of("domain " + domain)[:12])).Account(sid.FirstRID + rid%(1<<30))
}

// Organisation is read-only and safe for concurrent use.
type Organisation struct {
	issuer, domain, audience, baseURL string
	replies                           []string
	users                             map[ids.UPN]*account // by pointer, so that %+v of the whole stops there
	passwords                         *checker
}

type account struct {
	User
	hash phc
}

// New reads the organisation file. An error names the field and never shows
// a line of the file, which may hold a password.
func New(cfg Config) (*Organisation, error) {
	raw := cfg.YAML
	if raw == nil {
		raw = []byte(defaultFile)
	}
	f, err := parse(raw)
	if err != nil {
		return nil, err
	}
	passwords, err := newChecker()
	if err != nil {
		return nil, err
	}
	o := &Organisation{
		issuer: f.Issuer, domain: f.Domain, audience: f.Audience, baseURL: f.BaseURL,
		users: make(map[ids.UPN]*account, len(f.Users)), passwords: passwords,
	}
	if o.audience == "" {
		o.audience = DefaultAudience
	}
	if o.baseURL == "" {
		o.baseURL = defaultBaseURL
	}
	o.replies = f.Replies
	if len(o.replies) == 0 && o.audience == DefaultAudience {
		o.replies = []string{defaultReply}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := o.addUsers(f.Users); err != nil {
		return nil, err
	}
	return o, nil
}

// Issuer is the name under which the organisation signs; the cloud has it in
// the domain's federation setting and compares it byte for byte.
func (o *Organisation) Issuer() string { return o.issuer }

// Domain is the federated domain, in lower case.
func (o *Organisation) Domain() string { return o.domain }

// Audience is the one relying party that tokens are issued for.
func (o *Organisation) Audience() string { return o.audience }

// BaseURL is the https origin of the provider, without a slash at the end.
func (o *Organisation) BaseURL() string { return o.baseURL }

// ReplyURLs are the addresses of the audience that a browser may carry a token
// to, the one that is used when a request names none first. Empty when browsers
// cannot sign in.
func (o *Organisation) ReplyURLs() []string { return slices.Clone(o.replies) }

func (o *Organisation) check() error {
	if u, err := url.Parse(o.issuer); err != nil || u.Scheme == "" || u.Host == "" {
		return invalid("issuer is not a URI with a host: write for example http://sts.adatum.test/adfs/services/trust/")
	}
	if probe, err := ids.ParseUPN("x@" + o.domain); err != nil || probe.Domain() != o.domain {
		return invalid("domain is not a domain name in lower case: write for example adatum.test")
	}
	u, err := url.Parse(o.baseURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || "https://"+u.Host != o.baseURL {
		return invalid("base_url is not an https origin: write for example %s, without a slash at the end", defaultBaseURL)
	}
	if len(o.replies) > maxReplies {
		return invalid("reply_urls has %d entries: at most %d are taken", len(o.replies), maxReplies)
	}
	for i, reply := range o.replies {
		u, err := url.Parse(reply)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || u.String() != reply {
			return invalid("reply_urls[%d] is not an https URL without a fragment: write for example %s", i, defaultReply)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return prterr.New(prterr.Invalid, "organisation: "+format, args...)
}
