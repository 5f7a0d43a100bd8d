package whatif

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/securityinfo"
)

// issuer is the certificate authority of the users who sign in with one.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	now         time.Time
}

// newIssuer makes an authority that exists in this run only.
func newIssuer(clk clock.Clock) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	i := &issuer{key: key, now: clk.Now()}
	i.certificate, err = i.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Certificates of people"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &key.PublicKey)
	return i, err
}

// issue signs a certificate for a year; the authority's own when there is none yet.
func (i *issuer) issue(c *x509.Certificate, public *ecdsa.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = serial, i.now.Add(-time.Hour), i.now.AddDate(1, 0, 0)
	parent := i.certificate
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, i.key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// person makes a certificate with the user principal name as Windows has it, in the
// subject alternative name (1.3.6.1.4.1.311.20.2.3).
func (i *issuer) person(upn string) (*x509.Certificate, error) {
	name, err := asn1.MarshalWithParams(upn, "utf8,explicit,tag:0")
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	kind, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3})
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	other := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(kind, name...)}
	san, err := asn1.Marshal([]asn1.RawValue{other})
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return i.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: upn}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: san}},
	}, &key.PublicKey)
}

// trusted adds the authority to a tenant of a tenant file, as one whose certificates
// are more than one factor.
func (i *issuer) trusted(file []byte, is func(id string, domains []string) bool) ([]byte, error) {
	var root yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(file, &root, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("tenant file: %w", err)
	}
	for _, member := range root {
		tenants, ok := member.Value.([]any)
		if member.Key != "tenants" || !ok {
			continue
		}
		for n, t := range tenants {
			one, ok := t.(yaml.MapSlice)
			if !ok || !is(idOf(one)) {
				continue
			}
			tenants[n] = append(one, yaml.MapItem{Key: "certificate_authorities", Value: []any{map[string]any{
				"name": "Certificates of people", "multi_factor": true, "user_binding": "upn",
				"pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw})),
			}}})
			return yaml.Marshal(root)
		}
	}
	return nil, errors.New("tenant file: the tenant whose users have certificates is not in it")
}

// idOf reads id and domains of a tenant of a tenant file.
func idOf(t yaml.MapSlice) (id string, domains []string) {
	for _, m := range t {
		switch v := m.Value.(type) {
		case string:
			if m.Key == "id" {
				id = v
			}
		case []any:
			for _, d := range v {
				if d, ok := d.(yaml.MapSlice); ok && m.Key == "domains" && len(d) > 0 {
					domains = append(domains, fmt.Sprint(d[0].Value))
				}
			}
		}
	}
	return id, domains
}

// passLife is how long a Temporary Access Pass lives: as long as the longest.
const passLife = 30 * 24 * time.Hour

// equip gives a person what the tenant file cannot say that they have.
func (c *cloud) equip(ctx context.Context, p *person) error {
	for name, list := range c.holds {
		if strings.EqualFold(name, p.name()) || strings.EqualFold(name, p.local()) {
			p.holds = slices.Clone(list)
		}
	}
	list, err := c.read.ListUserMethods(ctx, &directoryv1.ListUserMethodsRequest{UserPrincipalName: p.name()})
	if err != nil {
		return err
	}
	for _, m := range list.GetMethods() {
		p.phoneSignIn = p.phoneSignIn || m.GetKind() == PhoneSignIn.method()
	}
	for _, h := range p.holds {
		switch h {
		case AccessPass:
			r, err := c.admin.IssueAccessPass(ctx, &directoryv1.IssueAccessPassRequest{
				UserPrincipalName: p.name(), LifetimeSeconds: int64(passLife.Seconds()),
			})
			if err != nil {
				return err
			}
			p.pass = secret.NewText(r.GetAccessPass())
		case Certificate:
			if p.certificate, err = c.issuer.person(p.name()); err != nil {
				return err
			}
		case FIDO2:
			pages, err := securityinfo.New(securityinfo.Config{HTTP: c.wire().client(), Origin: SignInOrigin, Person: p.before(Password, nil)})
			if err != nil {
				return err
			}
			if p.passkey, err = pages.RegisterKey(ctx, "Security key"); err != nil {
				return fmt.Errorf("security key of %s: %w", p.name(), err)
			}
		default:
			return fmt.Errorf("%s cannot be given %s: that is in the tenant file, or made on a device", p.name(), h)
		}
	}
	return nil
}
