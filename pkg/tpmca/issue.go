package tpmca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// What every certificate says of the TPM (TCG Vendor ID Registry form: "id:" and
// the manufacturer's four bytes in hexadecimal, here "SOFT").
const (
	Manufacturer = "id:534F4654"
	Model        = "Lockstep emulated TPM"
)

// About is what a certificate takes from the TPM itself.
type About struct {
	Firmware uint64 // TPM_PT_FIRMWARE_VERSION_1 and _2
	Level    uint32 // TPM_PT_LEVEL of the specification
	Revision uint32 // TPM_PT_REVISION of the specification, 138 for 1.38
}

// Object identifiers of X.509 and of the TCG (EK Credential Profile, section 3).
// Functions, because an identifier is a slice that anybody could write to.
func oidAltName() asn1.ObjectIdentifier             { return asn1.ObjectIdentifier{2, 5, 29, 17} }
func oidDirectoryAttributes() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 9} }
func oidEKCertificate() asn1.ObjectIdentifier       { return asn1.ObjectIdentifier{2, 23, 133, 8, 1} }
func oidSpecification() asn1.ObjectIdentifier       { return asn1.ObjectIdentifier{2, 23, 133, 2, 16} }
func oidTPM(last int) asn1.ObjectIdentifier         { return asn1.ObjectIdentifier{2, 23, 133, 2, last} }

// Certify issues the certificate of an endorsement key, in DER. It refuses what
// is no endorsement key: it must be made by its TPM, never leave it and be a
// restricted decryption key, RSA-2048, P-256 or P-384. Whether a TPM holds the
// key is for the caller to know; it is [Manufacture] that does.
func (c *CA) Certify(ek *tpm2.TPMTPublic, about About) ([]byte, error) {
	pub, usage, err := endorsementKey(ek)
	if err != nil {
		return nil, err
	}
	altName, err := tpmName(about.Firmware)
	if err != nil {
		return nil, fmt.Errorf("tpmca: name of the TPM: %w", err)
	}
	specification, err := tpmSpecification(about)
	if err != nil {
		return nil, fmt.Errorf("tpmca: specification of the TPM: %w", err)
	}
	from, to := validity()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial(), NotBefore: from, NotAfter: to, KeyUsage: usage, BasicConstraintsValid: true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{oidEKCertificate()},
		ExtraExtensions: []pkix.Extension{
			// Critical, because the subject is empty (RFC 5280, 4.2.1.6).
			{Id: oidAltName(), Critical: true, Value: altName},
			{Id: oidDirectoryAttributes(), Value: specification},
		},
	}, c.root, pub, c.key)
	if err != nil {
		return nil, fmt.Errorf("tpmca: %w", err)
	}
	return der, nil
}

// endorsementKey checks a public area and gives its key, and what the key is for.
func endorsementKey(ek *tpm2.TPMTPublic) (crypto.PublicKey, x509.KeyUsage, error) {
	if ek == nil {
		return nil, 0, errors.New("tpmca: no endorsement key")
	}
	a := ek.ObjectAttributes
	if !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || !a.Restricted || !a.Decrypt || a.SignEncrypt {
		return nil, 0, errors.New("tpmca: not an endorsement key: it must be fixed to its TPM, made there, restricted, and decrypt only")
	}
	var pub crypto.PublicKey
	var err error
	var usage x509.KeyUsage
	switch ek.Type {
	case tpm2.TPMAlgRSA:
		usage = x509.KeyUsageKeyEncipherment
		pub, err = rsaKey(ek)
	case tpm2.TPMAlgECC:
		usage = x509.KeyUsageKeyAgreement
		pub, err = eccKey(ek)
	default:
		err = errors.New("it is neither of RSA nor of ECC")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("tpmca: endorsement key: %w", err)
	}
	return pub, usage, nil
}

func rsaKey(ek *tpm2.TPMTPublic) (crypto.PublicKey, error) {
	parms, err := ek.Parameters.RSADetail()
	if err != nil {
		return nil, err
	}
	n, err := ek.Unique.RSA()
	if err != nil {
		return nil, err
	}
	if parms.KeyBits != 2048 || len(n.Buffer) != 256 || n.Buffer[0]&0x80 == 0 {
		return nil, errors.New("its size is not 2048 bits")
	}
	return tpm2.RSAPub(parms, n)
}

func eccKey(ek *tpm2.TPMTPublic) (crypto.PublicKey, error) {
	parms, err := ek.Parameters.ECCDetail()
	if err != nil {
		return nil, err
	}
	point, err := ek.Unique.ECC()
	if err != nil {
		return nil, err
	}
	if parms.CurveID != tpm2.TPMECCNistP256 && parms.CurveID != tpm2.TPMECCNistP384 {
		return nil, errors.New("its curve is not P-256 or P-384")
	}
	pub, err := tpm2.ECDSAPub(parms, point)
	if err != nil {
		return nil, err
	}
	if _, err := pub.ECDH(); err != nil {
		return nil, fmt.Errorf("it is no point of its curve: %w", err)
	}
	return pub, nil
}

// tpmName is a SubjectAltName of one directoryName: manufacturer, model and
// version of the TPM (EK Credential Profile, 3.2.9).
func tpmName(firmware uint64) ([]byte, error) {
	var name pkix.RDNSequence
	for i, v := range []string{Manufacturer, Model, fmt.Sprintf("id:%016X", firmware)} {
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: oidTPM(i + 1), Value: v}})
	}
	b, err := asn1.Marshal(name)
	if err != nil {
		return nil, err
	}
	if b, err = asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: b}); err != nil {
		return nil, err
	}
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: b})
}

// tpmSpecification is the attribute tPMSpecification (EK Credential Profile,
// 3.2.10): family, level and revision of the library specification.
func tpmSpecification(about About) ([]byte, error) {
	type specification struct {
		Family          string `asn1:"utf8"`
		Level, Revision int
	}
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []specification `asn1:"set"`
	}
	return asn1.Marshal([]attribute{{oidSpecification(), []specification{{"2.0", int(about.Level), int(about.Revision)}}}})
}
