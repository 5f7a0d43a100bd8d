package server

import (
	"context"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/keystore"
)

// Provider serves ProviderService.
type Provider struct {
	tpmv1.UnimplementedProviderServiceServer
	Store *keystore.Store
	// Names of the providers for people, and why keys would go to software.
	Names          map[keystore.Provider]string
	SoftwareReason string
}

// DescribeProvider says what backs the keys.
func (s *Provider) DescribeProvider(ctx context.Context, _ *tpmv1.DescribeProviderRequest) (*tpmv1.DescribeProviderResponse, error) {
	d, err := s.Store.Describe(ctx)
	if err != nil {
		return nil, err
	}
	resp := &tpmv1.DescribeProviderResponse{
		KeyProvider: s.Names[d.Provider], Family: d.Family, Manufacturer: d.Manufacturer, FirmwareVersion: fmt.Sprintf("%016x", d.Firmware),
		NativeSessionKeys: d.Native, HigherProtection: d.Better,
		Lockout: &tpmv1.Lockout{
			Failed: d.Lockout.Failed, Limit: d.Lockout.Limit, RecoverySeconds: uint32(d.Lockout.Recovery.Seconds()), Locked: d.Lockout.Locked,
		},
	}
	switch d.Level {
	case "hardware":
		resp.Protection = tpmv1.ProtectionLevel_PROTECTION_LEVEL_HARDWARE
	case "emulated":
		resp.Protection = tpmv1.ProtectionLevel_PROTECTION_LEVEL_EMULATED
	case "software":
		resp.Protection = tpmv1.ProtectionLevel_PROTECTION_LEVEL_SOFTWARE
		resp.SoftwareReason = s.SoftwareReason
	default:
		return nil, prterr.New(prterr.Internal, "the provider has the unknown level %q", d.Level)
	}
	return resp, nil
}
