package tpmca

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// NV indexes of EK certificates (TCG EK Credential Profile, 2.2.1.4 and 2.2.1.5).
const (
	IndexP256    tpm2.TPMHandle = 0x01c0000a // of the EK by tpm2.ECCEKTemplate
	IndexP384    tpm2.TPMHandle = 0x01c00016
	IndexRSA2048 tpm2.TPMHandle = 0x01c00002 // of the EK by tpm2.RSAEKTemplate
)

const (
	// maxCertificate bounds what is read from an index, in bytes.
	maxCertificate = 8192
	// leastBuffer is the NV buffer that is assumed of a TPM that does not say
	// how large its own is, most of what is used of a larger one.
	leastBuffer = 256
	mostBuffer  = 1024
)

// ErrNoCertificate says that a TPM holds no EK certificate at the places that
// were looked at.
var ErrNoCertificate = errors.New("tpmca: the TPM holds no EK certificate")

// errDamaged says that an index was written, and not with a certificate.
var errDamaged = errors.New("no certificate")

// EKCertificate reads an EK certificate of a TPM, in DER and not verified: the
// first of P-256, P-384 and RSA-2048. ErrNoCertificate says there is none.
func EKCertificate(tpm transport.TPM) ([]byte, error) {
	for _, index := range []tpm2.TPMHandle{IndexP256, IndexP384, IndexRSA2048} {
		der, err := EKCertificateAt(tpm, index)
		if !errors.Is(err, ErrNoCertificate) {
			return der, err
		}
	}
	return nil, ErrNoCertificate
}

// EKCertificateAt reads the certificate of one index, as EKCertificate does.
func EKCertificateAt(tpm transport.TPM, index tpm2.TPMHandle) ([]byte, error) {
	pub, name, err := readPublic(tpm, index)
	if err != nil {
		return nil, err
	}
	if !pub.Attributes.Written {
		return nil, ErrNoCertificate
	}
	size := int(pub.DataSize)
	if size > maxCertificate {
		return nil, fmt.Errorf("tpmca: index 0x%08x has %d bytes, a certificate has at most %d", uint32(index), size, maxCertificate)
	}
	chunk := nvBuffer(tpm)
	var data []byte
	for len(data) < size {
		n := min(chunk, size-len(data))
		r, err := tpm2.NVRead{
			AuthHandle: tpm2.AuthHandle{Handle: index, Name: *name, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: *name}, Size: uint16(n), Offset: uint16(len(data)),
		}.Execute(tpm)
		if err != nil {
			return nil, fmt.Errorf("tpmca: read index 0x%08x: %w", uint32(index), err)
		}
		if len(r.Data.Buffer) != n {
			return nil, fmt.Errorf("tpmca: index 0x%08x gave %d bytes of %d", uint32(index), len(r.Data.Buffer), n)
		}
		data = append(data, r.Data.Buffer...)
	}
	// Some makers fill an index of fixed size, so the certificate says where it ends.
	var der asn1.RawValue
	if _, err := asn1.Unmarshal(data, &der); err != nil {
		return nil, fmt.Errorf("tpmca: index 0x%08x holds %w: %w", uint32(index), errDamaged, err)
	}
	return der.FullBytes, nil
}

// readPublic gives the public area and the Name of an index; ErrNoCertificate
// when it is not defined.
func readPublic(tpm transport.TPM, index tpm2.TPMHandle) (*tpm2.TPMSNVPublic, *tpm2.TPM2BName, error) {
	r, err := tpm2.NVReadPublic{NVIndex: index}.Execute(tpm)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, nil, ErrNoCertificate
	}
	if err != nil {
		return nil, nil, fmt.Errorf("tpmca: public area of index 0x%08x: %w", uint32(index), err)
	}
	pub, err := r.NVPublic.Contents()
	if err != nil {
		return nil, nil, fmt.Errorf("tpmca: public area of index 0x%08x: %w", uint32(index), err)
	}
	return pub, &r.NVName, nil
}

// nvBuffer is how many bytes one NV command moves.
func nvBuffer(tpm transport.TPM) int {
	v, err := Property(tpm, tpm2.TPMPTNVBufferMax)
	if err != nil || v < leastBuffer {
		return leastBuffer
	}
	return int(min(v, mostBuffer))
}

// Property reads one property of a TPM (TPM_CAP_TPM_PROPERTIES). It is an error when
// the TPM does not have it.
func Property(tpm transport.TPM, p tpm2.TPMPT) (uint32, error) {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(p), PropertyCount: 1}.Execute(tpm)
	if err != nil {
		return 0, err
	}
	list, err := r.CapabilityData.Data.TPMProperties()
	if err != nil {
		return 0, err
	}
	// A TPM gives the next property that it has, when it has not the one asked for.
	if len(list.TPMProperty) != 1 || list.TPMProperty[0].Property != p {
		return 0, fmt.Errorf("tpmca: the TPM has no property 0x%x", uint32(p))
	}
	return list.TPMProperty[0].Value, nil
}

// define makes an index for an EK certificate and fills and locks it. Its
// attributes are those of the EK Credential Profile (2.2.1.4): everybody
// reads, and from the lock on nobody writes.
func define(tpm transport.TPM, index tpm2.TPMHandle, der []byte) error {
	_, err := tpm2.NVDefineSpace{AuthHandle: platform(), PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: index, NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(der)),
		Attributes: tpm2.TPMANV{
			NT: tpm2.TPMNTOrdinary, PPWrite: true, PPRead: true, OwnerRead: true, AuthRead: true,
			NoDA: true, PlatformCreate: true, WriteDefine: true,
		},
	})}.Execute(tpm)
	if err != nil {
		return fmt.Errorf("tpmca: define index 0x%08x: %w", uint32(index), closed(err))
	}
	chunk := nvBuffer(tpm)
	for offset := 0; offset < len(der); {
		n := min(chunk, len(der)-offset)
		at, err := named(tpm, index) // the Name changes with the first write
		if err != nil {
			return err
		}
		_, err = tpm2.NVWrite{AuthHandle: platform(), NVIndex: at, Offset: uint16(offset), Data: tpm2.TPM2BMaxNVBuffer{Buffer: der[offset : offset+n]}}.Execute(tpm)
		if err != nil {
			return fmt.Errorf("tpmca: write index 0x%08x: %w", uint32(index), err)
		}
		offset += n
	}
	at, err := named(tpm, index)
	if err != nil {
		return err
	}
	if _, err := (tpm2.NVWriteLock{AuthHandle: platform(), NVIndex: at}).Execute(tpm); err != nil {
		return fmt.Errorf("tpmca: lock index 0x%08x: %w", uint32(index), err)
	}
	return nil
}

// undefine frees an index, if it is there.
func undefine(tpm transport.TPM, index tpm2.TPMHandle) error {
	at, err := named(tpm, index)
	if errors.Is(err, ErrNoCertificate) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := (tpm2.NVUndefineSpace{AuthHandle: platform(), NVIndex: at}).Execute(tpm); err != nil {
		return fmt.Errorf("tpmca: free index 0x%08x: %w", uint32(index), closed(err))
	}
	return nil
}

// named is an index with its Name.
func named(tpm transport.TPM, index tpm2.TPMHandle) (tpm2.NamedHandle, error) {
	_, name, err := readPublic(tpm, index)
	if err != nil {
		return tpm2.NamedHandle{}, err
	}
	return tpm2.NamedHandle{Handle: index, Name: *name}, nil
}
