// Package server is the RPC edge of the tpm-agent: messages in, a call to the
// keys, messages out. It decides nothing.
package server

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/prtkey"
)

// DeviceKeys serves DeviceKeyService.
type DeviceKeys struct {
	tpmv1.UnimplementedDeviceKeyServiceServer
	Store *keystore.Store
	Keys  *prtkey.Keys
}

// CreateDeviceKeys makes a pending key set.
func (s *DeviceKeys) CreateDeviceKeys(ctx context.Context, _ *tpmv1.CreateDeviceKeysRequest) (*tpmv1.CreateDeviceKeysResponse, error) {
	id, dk, tk, err := s.Store.CreateSet(ctx)
	if err != nil {
		return nil, err
	}
	device, err := x509.MarshalPKIXPublicKey(dk)
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	transport, err := entrawire.MarshalRSA1(tk)
	if err != nil {
		return nil, fmt.Errorf("transport key: %w", err)
	}
	return &tpmv1.CreateDeviceKeysResponse{KeySetId: id, DevicePublicKey: device, TransportPublicKey: transport}, nil
}

// CreateCertificateRequest signs the certificate request of a set.
func (s *DeviceKeys) CreateCertificateRequest(ctx context.Context, r *tpmv1.CreateCertificateRequestRequest) (*tpmv1.CreateCertificateRequestResponse, error) {
	csr, err := s.Store.CreateCSR(ctx, r.GetKeySetId())
	if err != nil {
		return nil, err
	}
	return &tpmv1.CreateCertificateRequestResponse{CertificateRequest: csr}, nil
}

// InstallDeviceCertificate makes a set the device's identity.
func (s *DeviceKeys) InstallDeviceCertificate(ctx context.Context, r *tpmv1.InstallDeviceCertificateRequest) (*tpmv1.InstallDeviceCertificateResponse, error) {
	if err := s.Store.Install(ctx, r.GetKeySetId(), r.GetCertificate(), r.GetNativeSessionKeys()); err != nil {
		return nil, err
	}
	return &tpmv1.InstallDeviceCertificateResponse{}, nil
}

// SignDeviceRemoval signs the proof with which the device removes itself.
func (s *DeviceKeys) SignDeviceRemoval(ctx context.Context, r *tpmv1.SignDeviceRemovalRequest) (*tpmv1.SignDeviceRemovalResponse, error) {
	proof, err := s.Keys.SignDeviceRemoval(ctx, r.GetRequestNonce())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignDeviceRemovalResponse{Request: proof}, nil
}

// SignDeviceCheck signs the proof with which the device asks whether it stands.
func (s *DeviceKeys) SignDeviceCheck(ctx context.Context, r *tpmv1.SignDeviceCheckRequest) (*tpmv1.SignDeviceCheckResponse, error) {
	proof, err := s.Keys.SignDeviceCheck(ctx, r.GetRequestNonce())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignDeviceCheckResponse{Request: proof}, nil
}

// DeleteDeviceKeys destroys a set.
func (s *DeviceKeys) DeleteDeviceKeys(ctx context.Context, r *tpmv1.DeleteDeviceKeysRequest) (*tpmv1.DeleteDeviceKeysResponse, error) {
	if err := s.Store.Delete(ctx, r.GetKeySetId()); err != nil {
		return nil, err
	}
	return &tpmv1.DeleteDeviceKeysResponse{}, nil
}

// ListKeys lists public halves and attributes.
func (s *DeviceKeys) ListKeys(context.Context, *tpmv1.ListKeysRequest) (*tpmv1.ListKeysResponse, error) {
	keys, err := s.Store.Keys()
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "a key set is damaged: see the agent's log")
	}
	resp := &tpmv1.ListKeysResponse{}
	for _, k := range keys {
		public, err := x509.MarshalPKIXPublicKey(k.Public)
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		resp.Keys = append(resp.Keys, &tpmv1.KeyDescription{
			KeySetId: k.SetID, Purpose: purpose(k.Purpose), PublicKey: public, Installed: k.Installed,
			FixedTpm: k.FixedTPM, FixedParent: k.FixedParent, SensitiveDataOrigin: k.SensitiveDataOrigin,
		})
	}
	return resp, nil
}

// purpose is a purpose as the contract numbers it.
func purpose(p keystore.Purpose) tpmv1.KeyPurpose {
	switch p {
	case keystore.PurposeDevice:
		return tpmv1.KeyPurpose_KEY_PURPOSE_DEVICE
	case keystore.PurposeTransport:
		return tpmv1.KeyPurpose_KEY_PURPOSE_TRANSPORT
	case keystore.PurposeStorage:
		return tpmv1.KeyPurpose_KEY_PURPOSE_STORAGE
	case keystore.PurposeAttestation:
		return tpmv1.KeyPurpose_KEY_PURPOSE_ATTESTATION
	}
	return tpmv1.KeyPurpose_KEY_PURPOSE_UNSPECIFIED
}
