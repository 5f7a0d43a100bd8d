package entrawire

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// JoinType is the kind of registration as a device certificate states it. The
// registration request has other numbers for the same kinds.
type JoinType string

// Kinds of registration.
const (
	JoinRegistered JoinType = "0"
	JoinJoined     JoinType = "1"
)

// maxRegion bounds the text of the region extension, in bytes.
const maxRegion = 16

// ErrDeviceCertificate is wrapped by every error about a device certificate.
var ErrDeviceCertificate = errors.New("certificate is not a device certificate")

// OIDDeviceID is the extension with the device id, MS-DVRJ 3.1.5.1.1.3.
func OIDDeviceID() asn1.ObjectIdentifier { return oid(2) }

// OIDUserID is the extension with the object id of the user who registered it.
func OIDUserID() asn1.ObjectIdentifier { return oid(3) }

// OIDTenantID is the extension with the tenant id.
func OIDTenantID() asn1.ObjectIdentifier { return oid(5) }

// OIDJoinType is the extension with the kind of registration.
func OIDJoinType() asn1.ObjectIdentifier { return oid(7) }

// OIDRegion is the extension with the tenant's region, such as EU.
func OIDRegion() asn1.ObjectIdentifier { return oid(8) }

func oid(last int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, last}
}

// DeviceIdentity is who a device certificate says the device is.
type DeviceIdentity struct {
	DeviceID ids.DeviceID
	UserID   ids.UserID
	TenantID ids.TenantID
	JoinType JoinType
	// Region is empty when the certificate does not say.
	Region string
}

// DeviceExtensions makes the extensions of a device certificate. Each value is
// an octet string: GUIDs as 16 bytes in the order Windows has them, the rest text.
func DeviceExtensions(device, user, tenant string, join JoinType) ([]pkix.Extension, error) {
	if join != JoinRegistered && join != JoinJoined {
		return nil, fmt.Errorf("join type is neither joined nor registered")
	}
	var out []pkix.Extension
	for _, g := range []struct {
		name, guid string
		id         asn1.ObjectIdentifier
	}{{"device id", device, OIDDeviceID()}, {"user id", user, OIDUserID()}, {"tenant id", tenant, OIDTenantID()}} {
		b, err := ids.GUIDBytesLE(g.guid)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		out = append(out, extension(g.id, b[:]))
	}
	return append(out, extension(OIDJoinType(), []byte(join))), nil
}

// RegionExtension makes the optional extension that names the tenant's region.
func RegionExtension(region string) (pkix.Extension, error) {
	if region == "" || len(region) > maxRegion {
		return pkix.Extension{}, fmt.Errorf("region is not 1 to %d bytes", maxRegion)
	}
	return extension(OIDRegion(), []byte(region)), nil
}

// extension wraps less than 128 bytes as a DER octet string.
func extension(id asn1.ObjectIdentifier, value []byte) pkix.Extension {
	return pkix.Extension{Id: id, Value: append([]byte{asn1.TagOctetString, byte(len(value))}, value...)}
}

// ParseDeviceCertificate reads the identity out of a device certificate: the
// subject is CN=<device id> and nothing else, the key RSA-2048, the extensions
// are there and agree with the subject. It trusts nothing: who issued the
// certificate and whether it is still good is the caller's to check.
func ParseDeviceCertificate(cert *x509.Certificate) (DeviceIdentity, error) {
	return parseDeviceCertificate(cert, checkRSAKey)
}

func parseDeviceCertificate(cert *x509.Certificate, check func(key any) error) (DeviceIdentity, error) {
	var id DeviceIdentity
	cn, ok := onlyCommonName(cert.Subject)
	if !ok {
		return id, fmt.Errorf("%w: subject is not one common name", ErrDeviceCertificate)
	}
	if err := check(cert.PublicKey); err != nil {
		return id, fmt.Errorf("%w: %w", ErrDeviceCertificate, err)
	}
	device, err := guidExtension(cert, OIDDeviceID(), "device id")
	if err != nil {
		return id, err
	}
	if device != cn {
		return id, fmt.Errorf("%w: subject and device id differ", ErrDeviceCertificate)
	}
	user, err := guidExtension(cert, OIDUserID(), "user id")
	if err != nil {
		return id, err
	}
	tenant, err := guidExtension(cert, OIDTenantID(), "tenant id")
	if err != nil {
		return id, err
	}
	join := JoinType(octets(cert, OIDJoinType()))
	if join != JoinRegistered && join != JoinJoined {
		return id, fmt.Errorf("%w: no join type", ErrDeviceCertificate)
	}
	region := octets(cert, OIDRegion())
	if len(region) > maxRegion {
		return id, fmt.Errorf("%w: region is too long", ErrDeviceCertificate)
	}
	return DeviceIdentity{
		DeviceID: ids.DeviceID(device), UserID: ids.UserID(user), TenantID: ids.TenantID(tenant),
		JoinType: join, Region: string(region),
	}, nil
}

func guidExtension(cert *x509.Certificate, id asn1.ObjectIdentifier, name string) (string, error) {
	b := octets(cert, id)
	if len(b) != 16 {
		return "", fmt.Errorf("%w: no %s", ErrDeviceCertificate, name)
	}
	return ids.GUIDFromBytesLE([16]byte(b)), nil
}

// octets answers the octet string in an extension, or nil. crypto/x509 refuses a
// certificate that has one extension twice.
func octets(cert *x509.Certificate, id asn1.ObjectIdentifier) []byte {
	for _, e := range cert.Extensions {
		if !e.Id.Equal(id) {
			continue
		}
		var b []byte
		if rest, err := asn1.Unmarshal(e.Value, &b); err != nil || len(rest) != 0 {
			return nil
		}
		return b
	}
	return nil
}
