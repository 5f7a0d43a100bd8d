package keystore

import (
	"bytes"
	"errors"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/tpmca"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// The range where the TCG's provisioning guidance puts endorsement keys, and how many
// of them are looked at.
const (
	endorsementFirst = 0x81010000
	endorsementLast  = 0x8101ffff
	endorsementMost  = 16
)

// endorsement is the key that stands for the TPM: the one that its maker certified,
// or the P-256 one when there is no certificate.
type endorsement struct {
	template    tpm2.TPMTPublic
	certificate []byte
}

// findEndorsement looks for the certificate of the maker where the TCG has it (EK
// Credential Profile, 2.2.1.4).
func (s *Store) findEndorsement(c *tpmio.Conn) (endorsement, error) {
	for _, e := range []struct {
		index    tpm2.TPMHandle
		template tpm2.TPMTPublic
	}{{tpmca.IndexP256, tpm2.ECCEKTemplate}, {tpmca.IndexRSA2048, tpm2.RSAEKTemplate}} {
		der, err := tpmca.EKCertificateAt(c, e.index)
		if err == nil {
			return endorsement{e.template, der}, nil
		}
		if !s.readOn(err) {
			return endorsement{}, err
		}
	}
	return endorsement{template: tpm2.ECCEKTemplate}, nil
}

// readOn tells a TPM that has no certificate at a place, or none that can be read,
// from one that does not work. Without a certificate the keys are still proven to be
// in one TPM; whose it is, nobody knows.
func (s *Store) readOn(err error) bool {
	if errors.Is(err, tpmca.ErrNoCertificate) {
		return true
	}
	down := []tpmio.Class{tpmio.Link, tpmio.Restarted, tpmio.Broken, tpmio.Again, tpmio.Resource}
	if slices.Contains(down, tpmio.Classify(err)) {
		return false
	}
	s.cfg.Log.Warn("an endorsement certificate of the TPM cannot be read and is not used", "error", err)
	return true
}

// openedEndorsement is an endorsement key that can be used; done frees its slot.
type openedEndorsement struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	// public is a TPMT_PUBLIC.
	public []byte
	done   func()
}

// open takes the endorsement key that the platform keeps, or makes the same one from
// the TPM's seed: an RSA one takes a chip many seconds.
func (e endorsement) open(c *tpmio.Conn) (openedEndorsement, error) {
	if kept, ok := e.kept(c); ok {
		return kept, nil
	}
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(e.template)}.Execute(c)
	if err != nil {
		return openedEndorsement{}, err
	}
	return openedEndorsement{r.ObjectHandle, r.Name, r.OutPublic.Bytes(), func() { _ = c.Flush(r.ObjectHandle) }}, nil
}

// kept looks among the persistent keys for one of the same template. Another key in
// its place would only make an attestation that does not verify.
func (e endorsement) kept(c *tpmio.Conn) (openedEndorsement, bool) {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: endorsementFirst, PropertyCount: endorsementMost}.Execute(c)
	if err != nil {
		return openedEndorsement{}, false
	}
	list, err := r.CapabilityData.Data.Handles()
	if err != nil {
		return openedEndorsement{}, false
	}
	for _, h := range list.Handle {
		if h > endorsementLast {
			break
		}
		read, err := tpm2.ReadPublic{ObjectHandle: h}.Execute(c)
		if err != nil {
			continue
		}
		public, err := read.OutPublic.Contents()
		if err == nil && e.is(*public) {
			return openedEndorsement{h, read.Name, read.OutPublic.Bytes(), func() {}}, true
		}
	}
	return openedEndorsement{}, false
}

// is compares all of a public area but the key itself with the template.
func (e endorsement) is(public tpm2.TPMTPublic) bool {
	public.Unique = e.template.Unique
	return bytes.Equal(tpm2.Marshal(public), tpm2.Marshal(e.template))
}
