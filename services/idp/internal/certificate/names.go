package certificate

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// oidNames is the subject alternative name (RFC 5280 section 4.2.1.6).
func oidNames() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }

// oidPrincipal is the user principal name in it (MS-PKCA section 2.2, szOID_NT_PRINCIPAL_NAME).
func oidPrincipal() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
}

// withoutNames are the critical extensions that nobody understood, but for the
// subject alternative name: its principal names are read here.
func withoutNames(c *x509.Certificate) []asn1.ObjectIdentifier {
	return slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions), oidNames().Equal)
}

// boundName is the name of the user in a certificate. More than one would let a
// certificate be of two users, so there must be exactly one.
func boundName(c *x509.Certificate, by tenant.UserBinding) (ids.UPN, error) {
	names := c.EmailAddresses
	if by == tenant.BindUPN {
		var err error
		if names, err = principals(c); err != nil {
			return "", ErrName
		}
	}
	if len(names) != 1 {
		return "", ErrName
	}
	upn, err := ids.ParseUPN(names[0])
	if err != nil {
		return "", ErrName
	}
	return upn, nil
}

// otherName is OtherName of GeneralName.
type otherName struct {
	Type asn1.ObjectIdentifier
	// Value is explicit, tag 0: its bytes are the name with a tag of its own.
	Value asn1.RawValue
}

// principals are the user principal names of a certificate.
func principals(c *x509.Certificate) ([]string, error) {
	var out []string
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidNames()) {
			continue
		}
		var all []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &all); err != nil || len(rest) > 0 {
			return nil, ErrName
		}
		for _, general := range all {
			if general.Class != asn1.ClassContextSpecific || general.Tag != 0 {
				continue
			}
			var o otherName
			if rest, err := asn1.UnmarshalWithParams(general.FullBytes, &o, "tag:0"); err != nil || len(rest) > 0 {
				return nil, ErrName
			}
			if !o.Type.Equal(oidPrincipal()) {
				continue
			}
			name, err := utf8Name(o.Value)
			if err != nil {
				return nil, err
			}
			out = append(out, name)
		}
	}
	return out, nil
}

func utf8Name(explicit asn1.RawValue) (string, error) {
	if explicit.Class != asn1.ClassContextSpecific || explicit.Tag != 0 || !explicit.IsCompound {
		return "", ErrName
	}
	var name asn1.RawValue
	if rest, err := asn1.Unmarshal(explicit.Bytes, &name); err != nil || len(rest) > 0 || name.Class != asn1.ClassUniversal || name.Tag != asn1.TagUTF8String {
		return "", ErrName
	}
	return string(name.Bytes), nil
}
