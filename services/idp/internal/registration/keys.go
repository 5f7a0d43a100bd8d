package registration

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// keys are the public keys of a device that registers: both RSA, or both on P-256
// for version 4 of the PRT protocol. One key may be both.
type keys struct {
	device crypto.PublicKey
	// rsa1 is the transport key as an RSA1 blob, or jwk on P-256.
	rsa1, jwk []byte
	// transport is the transport key when it is RSA.
	transport *rsa.PublicKey
}

// readKeys reads a certificate request, which proves that the caller holds the
// device key, and a transport key in one of its two forms. Nothing can prove the
// transport key here; with a wrong one no session key will ever be unwrapped.
func readKeys(csr, blob []byte, jwk string) (keys, error) {
	var k keys
	if err := k.readTransport(blob, jwk); err != nil {
		return keys{}, err
	}
	read := entrawire.ParseCSR
	if k.jwk != nil {
		read = entrawire.ParseECCSR
	}
	req, err := read(csr)
	if err != nil {
		return keys{}, prterr.New(prterr.Invalid, "certificate_request: %v", err)
	}
	k.device = req.PublicKey
	return k, nil
}

func (k *keys) readTransport(blob []byte, jwk string) error {
	if jwk == "" {
		pub, err := entrawire.ParseRSA1(blob)
		if err != nil {
			return prterr.New(prterr.Invalid, "transport_key: %v", err)
		}
		k.rsa1, k.transport = blob, pub
		return nil
	}
	if len(blob) > 0 {
		return prterr.New(prterr.Invalid, "transport_key and transport_key_jwk are both there: send one")
	}
	pub, err := entrawire.ParseJWK([]byte(jwk))
	switch {
	case err != nil:
	case pub.EC != nil:
		k.jwk, err = entrawire.MarshalECJWK(pub.EC)
	default:
		k.transport = pub.RSA
		k.rsa1, err = entrawire.MarshalRSA1(pub.RSA)
	}
	if err != nil {
		return prterr.New(prterr.Invalid, "transport_key_jwk: %v", err)
	}
	return nil
}

// into writes the keys into a device object, with what is proven of them.
func (k keys) into(d *store.Device, certificate []byte, p proven) error {
	spki, err := x509.MarshalPKIXPublicKey(k.device)
	if err != nil {
		return err
	}
	d.Certificate, d.DeviceKey, d.TransportKey, d.TransportJWK = certificate, spki, k.rsa1, k.jwk
	d.KeyProtection, d.StorageKey = p.protection, p.storage
	return nil
}

// description is what a device says of itself. Nobody checks whether it is true.
type description struct{ name, kind, system, domain string }

func (d description) check() error {
	switch {
	case d.name == "" || !printable(d.name, maxName):
		return prterr.New(prterr.Invalid, "display_name is not 1 to %d printable characters", maxName)
	case !printable(d.kind, maxText):
		return prterr.New(prterr.Invalid, "device_type is not up to %d printable characters", maxText)
	case !printable(d.system, maxText):
		return prterr.New(prterr.Invalid, "os_version is not up to %d printable characters", maxText)
	case !printable(d.domain, maxDomain):
		return prterr.New(prterr.Invalid, "target_domain is not up to %d printable characters", maxDomain)
	}
	return nil
}

func printable(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
