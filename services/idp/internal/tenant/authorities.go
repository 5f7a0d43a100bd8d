package tenant

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// maxAuthorities bounds the certificate authorities of a tenant.
const maxAuthorities = 64

// UserBinding says which name in a certificate is the user's.
type UserBinding string

// The bindings.
const (
	// BindUPN is the principal name in the subject alternative name
	// (1.3.6.1.4.1.311.20.2.3), BindRFC822 the mail address there. Either is compared
	// with the user principal name.
	BindUPN    UserBinding = "upn"
	BindRFC822 UserBinding = "rfc822"
)

// CertificateAuthority issues certificates that users of the tenant sign in with.
type CertificateAuthority struct {
	Name string
	// Certificates of the authority. Each is trusted as it stands here, a root or not.
	Certificates []*x509.Certificate
	// MultiFactor says that whoever uses one of its certificates has proven more than
	// the possession of it, such as the PIN of a smart card.
	MultiFactor bool
	Binding     UserBinding
}

type fileAuthority struct {
	Name        string `yaml:"name"`
	PEM         string `yaml:"pem"`
	File        string `yaml:"file"`
	MultiFactor bool   `yaml:"multi_factor"`
	UserBinding string `yaml:"user_binding"`
}

// authorities reads the member certificate_authorities.
func (d *document) authorities(at string, f fileTenant, t *Tenant) error {
	at += ".certificate_authorities"
	if len(f.CertificateAuthorities) > maxAuthorities {
		return d.errorf(at, "has more than %d authorities", maxAuthorities)
	}
	seen := map[string]bool{}
	for i, fa := range f.CertificateAuthorities {
		here := fmt.Sprintf("%s[%d]", at, i)
		a, field, err := newAuthority(fa)
		if err != nil {
			return d.errorf(here+"."+field, "%v", err)
		}
		// One certificate in two places would make the order decide what it is worth.
		for _, c := range a.Certificates {
			if seen[string(c.Raw)] {
				return d.errorf(here+"."+field, "has a certificate that stands before: name each once")
			}
			seen[string(c.Raw)] = true
		}
		t.CertificateAuthorities = append(t.CertificateAuthorities, a)
	}
	return nil
}

// newAuthority names the field that is wrong, or that the certificates came from.
func newAuthority(f fileAuthority) (a CertificateAuthority, field string, err error) {
	a = CertificateAuthority{Name: f.Name, MultiFactor: f.MultiFactor, Binding: UserBinding(f.UserBinding)}
	if !short(f.Name) {
		return a, "name", errors.New("is not 1 to 256 characters")
	}
	switch a.Binding {
	case "":
		a.Binding = BindUPN
	case BindUPN, BindRFC822:
	default:
		return a, "user_binding", errors.New("is not one of upn and rfc822")
	}
	if (f.PEM == "") == (f.File == "") {
		return a, "pem", errors.New("or file must be there, and not both")
	}
	text, field := []byte(f.PEM), "pem"
	if f.File != "" {
		if text, err = readIssuers(f.File); err != nil {
			return a, "file", err
		}
		field = "file"
	}
	a.Certificates, err = issuers(text)
	return a, field, err
}
