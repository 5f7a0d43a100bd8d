package tenant

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// MakerKind says what a maker of TPMs makes.
type MakerKind string

// The kinds.
const (
	MakesHardware MakerKind = "hardware"
	MakesEmulated MakerKind = "emulated"
)

const (
	// maxMakers bounds the makers of a tenant, maxIssuers the certificates of one.
	maxMakers, maxIssuers = 64, 32
	// maxIssuerFile bounds a file of certificates, in bytes.
	maxIssuerFile = 256 << 10
)

// Maker is a maker of TPMs whom a tenant trusts: what its certificates say of the
// endorsement key of a TPM is believed.
type Maker struct {
	Name string
	Kind MakerKind
	// Certificates are those that issue: a root, and every authority between it and
	// the TPMs, because a TPM sends the last certificate alone.
	Certificates []*x509.Certificate
}

// NewMaker reads a maker from PEM. Errors say what is wrong with which field.
func NewMaker(name, kind string, certificates []byte) (Maker, error) {
	m, field, err := newMaker(name, kind, certificates)
	if err != nil {
		return m, fmt.Errorf("%s %w", field, err)
	}
	return m, nil
}

func newMaker(name, kind string, certificates []byte) (m Maker, field string, err error) {
	m = Maker{Name: name, Kind: MakerKind(kind)}
	if !short(name) {
		return m, "name", errors.New("is not 1 to 256 characters")
	}
	if m.Kind != MakesHardware && m.Kind != MakesEmulated {
		return m, "maker", errors.New("is not one of hardware and emulated")
	}
	m.Certificates, err = issuers(certificates)
	return m, "pem", err
}

func issuers(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("holds something other than certificates: remove it")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds as number %d what is not an X.509 certificate", len(all)+1)
		}
		if !c.BasicConstraintsValid || !c.IsCA {
			return nil, fmt.Errorf("holds as number %d the certificate of nobody who issues: name the authorities", len(all)+1)
		}
		if all = append(all, c); len(all) > maxIssuers {
			return nil, fmt.Errorf("holds more than %d certificates", maxIssuers)
		}
	}
	if len(all) == 0 || len(bytes.TrimSpace(text)) > 0 {
		return nil, errors.New("is not certificates in PEM")
	}
	return all, nil
}

func (d *document) makers(at string, f fileTenant, t *Tenant) error {
	at += ".attestation.roots"
	if len(f.Attestation.Roots) > maxMakers {
		return d.errorf(at, "has more than %d makers", maxMakers)
	}
	seen := map[string]bool{}
	for i, fm := range f.Attestation.Roots {
		here := fmt.Sprintf("%s[%d]", at, i)
		text, where := []byte(fm.PEM), "pem"
		if (fm.PEM == "") == (fm.File == "") {
			return d.errorf(here+".pem", "or file must be there, and not both")
		}
		if fm.File != "" {
			var err error
			if text, err = readIssuers(fm.File); err != nil {
				return d.errorf(here+".file", "%v", err)
			}
			where = "file"
		}
		m, field, err := newMaker(fm.Name, fm.Maker, text)
		if field == "pem" {
			field = where
		}
		if err != nil {
			return d.errorf(here+"."+field, "%v", err)
		}
		// One issuer that stands for chips here and for emulators there would make
		// the order of the file decide what a TPM is.
		for _, c := range m.Certificates {
			if seen[string(c.Raw)] {
				return d.errorf(here+"."+where, "has a certificate that stands before: name each once")
			}
			seen[string(c.Raw)] = true
		}
		t.Makers = append(t.Makers, m)
	}
	return nil
}

// readIssuers reads a file of certificates; nothing of it is in an error.
func readIssuers(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("is not a file that can be read here")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.New("is not a file that can be read here")
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxIssuerFile+1))
	if err != nil || len(text) > maxIssuerFile {
		return nil, fmt.Errorf("is not a file of at most %d bytes", maxIssuerFile)
	}
	return text, nil
}
