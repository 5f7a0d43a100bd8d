package tenant

import (
	"crypto/x509"
	_ "embed" // the built-in applications
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

//go:embed firstparty.yaml
var firstPartyFile []byte

// firstParty reads the applications and resources that every tenant has.
func firstParty() (*Tenant, error) {
	d, err := read(firstPartyFile)
	if err != nil {
		return nil, fmt.Errorf("built-in applications: %w", err)
	}
	t := &Tenant{}
	for _, part := range []func(string, fileTenant, *Tenant) error{d.apis, d.applications} {
		if err := part("$.tenants[0]", d.root.Tenants[0], t); err != nil {
			return nil, fmt.Errorf("built-in applications: %w", err)
		}
	}
	return t, nil
}

// adopt gives a tenant the built-in applications and resources. One that the file
// has too keeps what the file says and gets the built-in addresses beside.
func (t *Tenant) adopt(builtIn *Tenant) {
	for _, b := range builtIn.Applications {
		b.BuiltIn = true
		i := slices.IndexFunc(t.Applications, func(a Application) bool { return a.ID == b.ID })
		if i < 0 {
			t.Applications = append(t.Applications, b)
			continue
		}
		own := &t.Applications[i]
		own.RedirectURIs = append(slices.Clone(own.RedirectURIs), b.RedirectURIs...)
		own.Family = own.Family || b.Family
		own.Pages = own.Pages || b.Pages
	}
	for _, b := range builtIn.Resources {
		b.BuiltIn = true
		i := slices.IndexFunc(t.Resources, func(r Resource) bool { return r.Is(b.URI) })
		if i < 0 {
			t.Resources = append(t.Resources, b)
			continue
		}
		if own := &t.Resources[i]; own.ID == "" {
			uri := own.URI
			*own = b
			own.URI = uri
		}
	}
}

func (d *document) resources(at string, f fileTenant, t *Tenant) error {
	for i, r := range f.Resources {
		if !absoluteURI(r) {
			return d.errorf(fmt.Sprintf("%s.resources[%d]", at, i), "is not an absolute URI")
		}
		t.Resources = append(t.Resources, Resource{URI: r, Name: r})
	}
	return nil
}

func absoluteURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && short(s)
}

func (d *document) apis(at string, f fileTenant, t *Tenant) error {
	for i, fa := range f.APIs {
		here := fmt.Sprintf("%s.apis[%d]", at, i)
		r := Resource{URI: fa.URI, Name: fa.Name, Aliases: fa.Aliases, Scopes: fa.Scopes, Version: fa.Version, CAE: fa.CAE}
		if fa.ID != "" {
			var err error
			if r.ID, err = ids.ParseClient(fa.ID); err != nil {
				return d.errorf(here+".id", "is not right: %v", err)
			}
		}
		if field, problem := r.Problem(); problem != "" {
			return d.errorf(here+"."+field, "%s", problem)
		}
		if _, twice := t.Resource(fa.URI); twice {
			return d.errorf(here+".uri", "stands twice in the tenant")
		}
		if r.Name == "" {
			r.Name = r.URI
		}
		t.Resources = append(t.Resources, r)
	}
	return nil
}

func (d *document) applications(at string, f fileTenant, t *Tenant) error {
	for i, fa := range f.Applications {
		here := fmt.Sprintf("%s.applications[%d]", at, i)
		id, err := ids.ParseClient(fa.ClientID)
		if err != nil {
			return d.errorf(here+".client_id", "is not right: %v", err)
		}
		if _, twice := t.Application(id); twice {
			return d.errorf(here+".client_id", "stands twice in the tenant")
		}
		a := Application{
			ID: id, Name: fa.Name, RedirectURIs: fa.RedirectURIs, Resources: fa.Resources, SPARedirectURIs: fa.SPARedirectURIs,
			PostLogoutURIs: fa.PostLogoutURIs, Family: fa.Family, AppRoles: fa.AppRoles, Consent: Consent(fa.Consent), Pages: fa.Pages,
		}
		if field, problem := a.Problem(t); problem != "" {
			return d.errorf(here+"."+field, "%s", problem)
		}
		if err := d.proofs(here, fa, &a); err != nil {
			return err
		}
		t.Applications = append(t.Applications, a)
	}
	return nil
}

// proofs reads what a confidential client proves itself with.
func (d *document) proofs(at string, f fileApplication, a *Application) error {
	for j, s := range f.Secrets {
		if problem := SecretProblem(s); problem != "" {
			return d.errorf(fmt.Sprintf("%s.secrets[%d]", at, j), "%s", problem)
		}
		a.Secrets = append(a.Secrets, secret.NewText(s))
	}
	for j, c := range f.Certificates {
		cert, err := certificate(c)
		if err != nil {
			return d.errorf(fmt.Sprintf("%s.certificates[%d]", at, j), "%v", err)
		}
		a.Certificates = append(a.Certificates, cert)
	}
	return nil
}

func certificate(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("is not one PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("is not an X.509 certificate")
	}
	return cert, nil
}
