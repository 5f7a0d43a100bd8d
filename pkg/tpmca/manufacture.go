package tpmca

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// Errors of Manufacture that a caller can act on.
var (
	// ErrPlatformClosed says that the platform hierarchy has an authorization
	// already, so nothing can be made until the next start of the TPM.
	ErrPlatformClosed = errors.New("the platform hierarchy is closed: it opens with the next start of the TPM")
	// ErrOtherMaker says that the TPM holds a certificate that this authority
	// did not issue.
	ErrOtherMaker = errors.New("tpmca: the TPM has an EK certificate of another maker")
)

// EK is a kind of endorsement key.
type EK int

// The kinds that Manufacture makes. The templates are tpm2.ECCEKTemplate and
// tpm2.RSAEKTemplate, TCG's default ones.
const (
	P256 EK = iota
	RSA2048
)

func (k EK) template() (tpm2.TPMTPublic, tpm2.TPMHandle) {
	if k == RSA2048 {
		return tpm2.RSAEKTemplate, IndexRSA2048
	}
	return tpm2.ECCEKTemplate, IndexP256
}

// Manufacture does to a started TPM what its maker and its firmware do: it
// certifies the endorsement keys of the given kinds (none given: P256), writes
// the certificates to NV, and closes the platform hierarchy with a random
// authorization that nobody keeps, so that it can be used neither to Clear nor
// to write. That authorization is gone with the next power cycle (Part 1,
// 14.4), so Manufacture, or [ClosePlatform], belongs after every start; what is
// there already it leaves alone. It returns the certificates in DER, in the
// order of the kinds.
//
// The TPM's authorizations of the endorsement and, when there is something to
// make, the platform hierarchy must be empty, as they are in a new TPM. Errors:
// ErrPlatformClosed, ErrOtherMaker, and those of the TPM.
func Manufacture(ctx context.Context, tpm transport.TPM, ca *CA, kinds ...EK) ([][]byte, error) {
	if len(kinds) == 0 {
		kinds = []EK{P256}
	}
	var made [][]byte
	for _, k := range kinds {
		if k != P256 && k != RSA2048 {
			return nil, fmt.Errorf("tpmca: there is no kind %d of endorsement key", int(k))
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		der, err := endow(tpm, ca, k)
		if err != nil {
			return nil, err
		}
		made = append(made, der)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return made, ClosePlatform(tpm)
}

// endow sees to it that the TPM has the certificate of one of its keys.
func endow(tpm transport.TPM, ca *CA, k EK) ([]byte, error) {
	template, index := k.template()
	switch der, err := EKCertificateAt(tpm, index); {
	case err == nil:
		cert, err := x509.ParseCertificate(der)
		if err == nil && cert.CheckSignatureFrom(ca.root) == nil {
			return der, nil
		}
		if err == nil {
			return nil, fmt.Errorf("%w: %s", ErrOtherMaker, cert.Issuer)
		}
	case !errors.Is(err, ErrNoCertificate) && !errors.Is(err, errDamaged):
		return nil, err
	}
	// An index without a whole certificate is one that a crash left.
	if err := undefine(tpm, index); err != nil {
		return nil, err
	}
	public, err := endorsementPublic(tpm, template)
	if err != nil {
		return nil, err
	}
	about, err := describe(tpm)
	if err != nil {
		return nil, err
	}
	der, err := ca.Certify(public, about)
	if err != nil {
		return nil, err
	}
	return der, define(tpm, index, der)
}

// endorsementPublic makes an endorsement key and forgets it again: it is a
// function of the TPM's seed.
func endorsementPublic(tpm transport.TPM, template tpm2.TPMTPublic) (*tpm2.TPMTPublic, error) {
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute(tpm)
	if err != nil {
		return nil, fmt.Errorf("tpmca: create the endorsement key: %w", err)
	}
	public, err := r.OutPublic.Contents()
	_, ferr := tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tpm)
	if err := errors.Join(err, ferr); err != nil {
		return nil, fmt.Errorf("tpmca: endorsement key: %w", err)
	}
	return public, nil
}

// describe asks the TPM for what its certificate says of it.
func describe(tpm transport.TPM) (About, error) {
	var v [4]uint32
	for i, p := range []tpm2.TPMPT{tpm2.TPMPTFirmwareVersion1, tpm2.TPMPTFirmwareVersion2, tpm2.TPMPTLevel, tpm2.TPMPTRevision} {
		var err error
		if v[i], err = Property(tpm, p); err != nil {
			return About{}, fmt.Errorf("tpmca: describe the TPM: %w", err)
		}
	}
	return About{Firmware: uint64(v[0])<<32 | uint64(v[1]), Level: v[2], Revision: v[3]}, nil
}

// ClosePlatform gives the platform hierarchy a random authorization that nobody
// keeps, as firmware does before it starts an operating system. It does nothing
// when there is an authorization already. The authorization lasts until the
// TPM's next power cycle.
func ClosePlatform(tpm transport.TPM) error {
	auth := make([]byte, 32)
	_, _ = rand.Read(auth) // never fails
	defer clear(auth)
	// The TPM drops zeros at the end of an authorization (Part 1, 19.6.4.3).
	auth[len(auth)-1] |= 1
	_, err := tpm2.HierarchyChangeAuth{AuthHandle: platform(), NewAuth: tpm2.TPM2BAuth{Buffer: slices.Clone(auth)}}.Execute(tpm)
	if err != nil && !errors.Is(closed(err), ErrPlatformClosed) {
		return fmt.Errorf("tpmca: close the platform hierarchy: %w", err)
	}
	return nil
}

// platform is the platform hierarchy with the empty authorization it starts with.
func platform() tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}
}

// closed adds ErrPlatformClosed to the refusal of the empty authorization.
func closed(err error) error {
	if errors.Is(err, tpm2.TPMRCBadAuth) {
		return fmt.Errorf("%w: %w", ErrPlatformClosed, err)
	}
	return err
}
