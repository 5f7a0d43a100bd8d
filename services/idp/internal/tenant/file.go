package tenant

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	// MaxFile is the size of the largest tenant file, in bytes.
	MaxFile = 1 << 20
	// maxLine and maxNesting keep the YAML parser's recursion small.
	maxLine    = 16 << 10
	maxNesting = 64
)

// The file as written. Unknown fields are refused.
type fileRoot struct {
	Tenants []fileTenant `yaml:"tenants"`
}

type fileTenant struct {
	ID           string            `yaml:"id"`
	DisplayName  string            `yaml:"display_name"`
	Profile      string            `yaml:"profile"`
	Domains      []fileDomain      `yaml:"domains"`
	Lifetimes    fileLifetimes     `yaml:"lifetimes"`
	Users        []fileUser        `yaml:"users"`
	Applications []fileApplication `yaml:"applications"`
	Resources    []string          `yaml:"resources"`
	Region       string            `yaml:"region"`
	Groups       []fileGroup       `yaml:"groups"`
	APIs         []fileAPI         `yaml:"apis"`
	Devices      []fileDevice      `yaml:"devices"`

	// The members of a policy file.
	Rules filePolicies `yaml:",inline"`

	// FirstParty is false for a tenant without the built-in applications.
	FirstParty         *bool  `yaml:"first_party"`
	CookieWithoutNonce string `yaml:"cookie_without_nonce"`
	Attestation        struct {
		Roots []fileMaker `yaml:"roots"`
	} `yaml:"attestation"`
	// CertificateAuthorities issue what users sign in with.
	CertificateAuthorities []fileAuthority `yaml:"certificate_authorities"`
	// RegistrationCampaign asks users without a second factor to register one.
	RegistrationCampaign *fileCampaign `yaml:"registration_campaign"`
	// NativeSessionKeys is true unless it says otherwise.
	NativeSessionKeys *bool `yaml:"native_session_keys"`
}

type fileCampaign struct {
	Days int `yaml:"days"`
}

type fileMaker struct {
	Name  string `yaml:"name"`
	Maker string `yaml:"maker"`
	PEM   string `yaml:"pem"`
	File  string `yaml:"file"`
}

type fileGroup struct {
	ID      string   `yaml:"id"`
	Name    string   `yaml:"name"`
	Members []string `yaml:"members"`
}

type fileAPI struct {
	URI     string   `yaml:"uri"`
	ID      string   `yaml:"id"`
	Name    string   `yaml:"name"`
	Aliases []string `yaml:"aliases"`
	Scopes  []string `yaml:"scopes"`
	Version int      `yaml:"token_version"`
	CAE     bool     `yaml:"cae"`
}

type fileDevice struct {
	ID          string `yaml:"id"`
	DisplayName string `yaml:"display_name"`
	SID         string `yaml:"sid"`
	Certificate string `yaml:"certificate"`
}

type fileDomain struct {
	Name      string          `yaml:"name"`
	Federated *fileFederation `yaml:"federated"`
	// FederatedMFA is accept or ignore, which it is when it says nothing.
	FederatedMFA string `yaml:"federated_mfa"`
}

type fileFederation struct {
	Issuer      string `yaml:"issuer"`
	MexURL      string `yaml:"mex_url"`
	ActiveURL   string `yaml:"active_url"`
	PassiveURL  string `yaml:"passive_url"`
	Certificate string `yaml:"certificate"`
}

type fileLifetimes struct {
	PRT          string `yaml:"prt"`
	AccessToken  string `yaml:"access_token"`
	RefreshToken string `yaml:"refresh_token"`

	RefreshTokenIdle string `yaml:"refresh_token_idle"`
	SecondFactor     string `yaml:"second_factor"`
}

type fileUser struct {
	ID           string `yaml:"id"`
	UPN          string `yaml:"upn"`
	DisplayName  string `yaml:"display_name"`
	Password     string `yaml:"password"`
	PasswordHash string `yaml:"password_hash"`
	Enabled      *bool  `yaml:"enabled"`
	MayJoin      *bool  `yaml:"may_join"`
	ImmutableID  string `yaml:"immutable_id"`

	GivenName     string `yaml:"given_name"`
	Surname       string `yaml:"surname"`
	Mail          string `yaml:"mail"`
	JobTitle      string `yaml:"job_title"`
	Administrator bool   `yaml:"administrator"`
	TOTPSecret    string `yaml:"totp_secret"`
	Push          bool   `yaml:"push"`
	MustChange    bool   `yaml:"must_change_password"`

	Phone          string              `yaml:"phone"`
	Authenticators []fileAuthenticator `yaml:"authenticators"`
	DefaultMethod  string              `yaml:"default_method"`
	Risk           string              `yaml:"risk"`
}

type fileAuthenticator struct {
	Name        string `yaml:"name"`
	PhoneSignIn bool   `yaml:"phone_sign_in"`
}

type fileApplication struct {
	ClientID     string   `yaml:"client_id"`
	Name         string   `yaml:"name"`
	RedirectURIs []string `yaml:"redirect_uris"`
	Resources    []string `yaml:"resources"`

	SPARedirectURIs []string `yaml:"spa_redirect_uris"`
	PostLogoutURIs  []string `yaml:"post_logout_redirect_uris"`
	Secrets         []string `yaml:"secrets"`
	Certificates    []string `yaml:"certificates"`
	Family          bool     `yaml:"family"`
	AppRoles        []string `yaml:"app_roles"`
	Consent         string   `yaml:"consent"`
	Pages           bool     `yaml:"pages"`
}

// tenantFile is what an error begins with.
const tenantFile = "tenant file"

// document is a file together with where each field stands in it.
type document struct {
	// what is the kind of file, for errors.
	what string
	root fileRoot
	body ast.Node
}

func read(data []byte) (*document, error) {
	var root fileRoot
	d, err := readInto(data, tenantFile, &root)
	if err != nil {
		return nil, err
	}
	d.root = root
	return d, nil
}

// parseOne reads the one document of a file, without a meaning yet.
func parseOne(data []byte) (_ ast.Node, err error) {
	if err := checkText(data); err != nil {
		return nil, err
	}
	defer func() {
		if recover() != nil {
			err = errors.New("not valid YAML")
		}
	}()
	f, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, readable(err)
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, errors.New("want exactly one YAML document")
	}
	return f.Docs[0].Body, refuseAliases(f.Docs[0].Body)
}

// checkText bounds what reaches the YAML parser.
func checkText(data []byte) error {
	if len(data) > MaxFile {
		return fmt.Errorf("larger than %d bytes", MaxFile)
	}
	depth, number := 0, 0
	for line := range bytes.Lines(data) {
		number++
		if len(line) > maxLine || bytes.Count(line, []byte("- "))+bytes.Count(line, []byte("? ")) > maxNesting {
			return fmt.Errorf("line %d is too long or nests too deep", number)
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > maxNesting {
				return fmt.Errorf("line %d nests too deep", number)
			}
		}
	}
	return nil
}

// readable cuts the source excerpt out of an error: it may show a password.
func readable(err error) error {
	text, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	at, msg, ok := strings.Cut(strings.TrimPrefix(text, "["), "] ")
	if line, _, numbered := strings.Cut(at, ":"); ok && numbered {
		return fmt.Errorf("line %s: %s", line, msg)
	}
	return errors.New(text)
}

type aliasFinder struct{ line int }

func (f *aliasFinder) Visit(n ast.Node) ast.Visitor {
	if f.line == 0 && (n.Type() == ast.AliasType || n.Type() == ast.AnchorType || n.Type() == ast.MergeKeyType) {
		f.line = lineOf(n)
	}
	return f
}

// refuseAliases keeps the file what it looks like; nothing in it repeats enough
// to need them.
func refuseAliases(body ast.Node) error {
	var f aliasFinder
	ast.Walk(&f, body)
	if f.line != 0 {
		return fmt.Errorf("line %d: anchors and aliases are not taken: write the value out", f.line)
	}
	return nil
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// errorf names the field and the line it stands in, or the line of the nearest
// field around it when it is missing.
func (d *document) errorf(field, format string, args ...any) error {
	return fmt.Errorf("%s: line %d: %s %s", d.what, d.line(field), strings.TrimPrefix(field, "$."), fmt.Sprintf(format, args...))
}

func (d *document) line(field string) int {
	for at := field; at != "" && at != "$"; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		p, err := yaml.PathString(at)
		if err != nil {
			continue
		}
		if n, err := p.FilterNode(d.body); err == nil && n != nil {
			return lineOf(n)
		}
	}
	return lineOf(d.body)
}
