package entrawire_test

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
	"time"
)

const (
	vectorDevice = "0b1d3c5e-7f90-4a2b-8c4d-6e8f0a1b2c3d"
	vectorUser   = "90d675df-bfa8-4d78-8f8f-7b1043181bb6"
	vectorTenant = "68355c6e-0a63-442d-a2ec-71cc6bb3e24b"
	// certificateTime is when the certificates are looked at.
	certificateTime = "2026-06-01T12:00:00Z"
)

// leaf describes a device certificate; each defect changes one thing of a good one.
type leaf struct {
	subject    pkix.Name
	public     any
	extensions []pkix.Extension
	until      int // year
	issuer     *rsa.PrivateKey
	parent     *x509.Certificate
}

func goodLeaf(k keys) leaf {
	return leaf{
		subject: pkix.Name{CommonName: vectorDevice}, public: &k.device.PublicKey, until: 2036, issuer: k.ca, parent: caTemplate(k),
		extensions: []pkix.Extension{
			guid(2, vectorDevice), guid(3, vectorUser), guid(5, vectorTenant), octets(7, []byte("1")),
		},
	}
}

// guid is the extension 1.2.840.113556.1.5.284.N with the 16 bytes of a GUID as
// Windows has them: the first three groups little-endian.
func guid(n int, id string) pkix.Extension {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil {
		return pkix.Extension{}
	}
	return octets(n, []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]})
}

func octets(n int, value []byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 840, 113556, 1, 5, 284, n}, Value: append([]byte{4, byte(len(value))}, value...)}
}

func caTemplate(k keys) *x509.Certificate {
	id := sha1.Sum(publicKeyInfo(k.ca))
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "MS-Organization-Access", OrganizationalUnit: []string{"82dbaca4-3e81-46ca-9c73-0950c1eaca97"}},
		NotBefore: date(2026), NotAfter: date(2046), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: id[:],
	}
}

func date(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }

func caCertificate(k keys) []byte {
	t := caTemplate(k)
	return create(t, t, &k.ca.PublicKey, k.ca)
}

// create signs a certificate; RSA by PKCS #1 v1.5 has no randomness in it.
func create(t, parent *x509.Certificate, public any, issuer *rsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(nil, t, parent, public, issuer)
	if err != nil {
		return nil
	}
	return der
}

func (l leaf) der() []byte {
	return create(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: l.subject, NotBefore: date(2026), NotAfter: date(l.until),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, ExtraExtensions: l.extensions,
	}, l.parent, l.public, l.issuer)
}

func deviceCertificate(k keys) []byte { return goodLeaf(k).der() }

func selfSignedCertificate(k keys) []byte {
	l := goodLeaf(k)
	l.issuer, l.parent = k.device, &x509.Certificate{Subject: l.subject}
	return l.der()
}

func foreignCertificate(k keys) []byte {
	l := goodLeaf(k)
	l.issuer = k.other
	l.parent.SubjectKeyId = nil
	return l.der()
}

func expiredCertificate(k keys) []byte {
	l := goodLeaf(k)
	l.until = 2026
	return create(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: l.subject, NotBefore: date(2025), NotAfter: date(2026), ExtraExtensions: l.extensions,
	}, l.parent, l.public, l.issuer)
}

func publicKeyInfo(k *rsa.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		return nil
	}
	return der
}

func certificateCases(k keys) []vector {
	v := func(name, what, expect string, der []byte, result map[string]string) vector {
		return vector{
			Name: "device_certificate/" + name, Kind: "device_certificate", What: what, Expect: expect,
			Source: "MS-DVRJ 3.1.5.1.1.3; certificates as AADInternals, ROADtools and libhimmelblau read them",
			Given:  map[string]string{"issuer_certificate_b64": std64(caCertificate(k)), "time": certificateTime}, Input: std64(der), Result: result,
		}
	}
	good := func(name, what, join, region string) vector {
		l := goodLeaf(k)
		l.extensions[3] = octets(7, []byte(join))
		result := map[string]string{"device_id": vectorDevice, "user_id": vectorUser, "tenant_id": vectorTenant, "join_type": join}
		if region != "" {
			l.extensions = append(l.extensions, octets(8, []byte(region)))
			result["region"] = region
		}
		return v(name, what, accept, l.der(), result)
	}
	bad := func(name, what string, change func(*leaf)) vector {
		l := goodLeaf(k)
		change(&l)
		return v(name, what, "certificate", l.der(), nil)
	}
	extension := func(i int, e pkix.Extension) func(*leaf) { return func(l *leaf) { l.extensions[i] = e } }
	bigEndian, _ := hex.DecodeString(strings.ReplaceAll(vectorDevice, "-", ""))
	return []vector{
		good("joined", "A joined device.", "1", ""),
		good("registered", "A registered device.", "0", ""),
		good("region", "A joined device whose certificate names the tenant's region.", "1", "EU"),
		bad("subject-other-device", "The subject names another device than the extension.", func(l *leaf) { l.subject.CommonName = vectorUser }),
		bad("subject-more", "The subject has an organisation beside the common name; readers split it at the equals sign.", func(l *leaf) { l.subject.Organization = []string{"Contoso"} }),
		bad("subject-empty", "The subject is empty.", func(l *leaf) { l.subject = pkix.Name{} }),
		bad("key-3072", "The key has 3072 bits; the protocol has one size.", func(l *leaf) { l.public = &k.long.PublicKey }),
		bad("key-ec", "The key is on P-256.", func(l *leaf) { l.public = &k.ec.PublicKey }),
		bad("guid-big-endian", "The device id's bytes are in the order of RFC 9562, not of Windows.", extension(0, octets(2, bigEndian))),
		bad("guid-short", "The device id has 15 bytes.", extension(0, octets(2, count(0, 15)))),
		bad("guid-bare", "The device id is not wrapped as an octet string.", extension(0, pkix.Extension{Id: octets(2, nil).Id, Value: guid(2, vectorDevice).Value[2:]})),
		bad("no-device-id", "No device id.", func(l *leaf) { l.extensions = l.extensions[1:] }),
		bad("no-tenant", "No tenant id.", func(l *leaf) { l.extensions = append(l.extensions[:2:2], l.extensions[3]) }),
		bad("join-type", "The join type is 4, which is how a request says registered.", extension(3, octets(7, []byte("4")))),
		bad("trailing", "Bytes stand behind the octet string of the join type.", extension(3, pkix.Extension{Id: octets(7, nil).Id, Value: []byte{4, 1, '1', 0}})),
		v("expired", "The certificate is over.", "certificate", expiredCertificate(k), nil),
		v("self-signed", "The certificate is signed by its own key.", "certificate", selfSignedCertificate(k), nil),
		v("foreign-issuer", "The issuer has the right name and another key.", "certificate", foreignCertificate(k), nil),
	}
}

func transportKeyCases(k keys) []vector {
	blob := rsa1(&k.transport.PublicKey)
	v := func(name, what, expect string, b []byte, result map[string]string) vector {
		return vector{
			Name: "transport_key/" + name, Kind: "transport_key", What: what, Expect: expect,
			Source: "BCRYPT_RSAKEY_BLOB; registration requests of ROADtools, AADInternals and libhimmelblau",
			Given:  map[string]string{}, Input: std64(b), Result: result,
		}
	}
	bad := func(name, what string, b []byte) vector { return v(name, what, "key", b, nil) }
	put := func(at int, values ...byte) []byte {
		b := append([]byte(nil), blob...)
		copy(b[at:], values)
		return b
	}
	return []vector{
		v("rsa-2048", "The TransportKey of a device registration.", accept, blob, map[string]string{
			"modulus_hex": k.transport.N.Text(16), "exponent": strconv.Itoa(k.transport.E), "sha256_b64": std64(helloID(blob)),
		}),
		bad("private", "The magic of a private key blob.", put(0, []byte("RSA2")...)),
		bad("bits", "The length says 1024 bits.", put(4, 0, 4)),
		bad("primes", "The length of a prime is not zero.", put(16, 128)),
		bad("exponent-3", "The exponent is 3, padded to three bytes.", put(24, 0, 0, 3)),
		bad("even", "The modulus is even.", put(len(blob)-1, blob[len(blob)-1]&^1)),
		bad("short", "The last byte of the modulus is missing.", blob[:len(blob)-1]),
		bad("trailing", "A byte stands behind the modulus.", append(append([]byte(nil), blob...), 0)),
		bad("rsa-3072", "A key of 3072 bits.", rsa1(&k.long.PublicKey)),
		bad("spki", "A SubjectPublicKeyInfo in place of the blob.", publicKeyInfo(k.transport)),
	}
}
