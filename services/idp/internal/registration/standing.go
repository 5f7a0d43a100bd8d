package registration

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// Check answers whether the tenant still takes the device that signed the request,
// with the error that a request for a PRT would meet (AADSTS50155, 135011). The phases
// of a device-signed request are the whole of it: nothing is issued and nothing is
// changed, so there is nothing here that a sign-in could not find out.
func (s *Service) Check(ctx context.Context, request secret.Text, correlation string) error {
	_, err := grants.ByDevice(ctx, s.gate, grants.DeviceKind[entrawire.DeviceProof, struct{}]{
		Flow: signinlog.CheckDevice, Correlation: correlation,
		Nonce:  func(p *entrawire.DeviceProof) string { return p.RequestNonce },
		User:   func(*entrawire.DeviceProof) string { return "" },
		Client: func(*entrawire.DeviceProof) string { return "" },
		Check:  proofFor(entrawire.GrantDeviceCheck, "is not the one for the check of a device"),
		Answer: func(context.Context, grants.Device, *entrawire.DeviceProof) (struct{}, error) { return struct{}{}, nil },
	}, request)
	return err
}

// proofFor insists on the grant type that a proof is for: one that a browser was given
// must neither remove the device nor do anything else.
func proofFor(grant, problem string) func(*entrawire.DeviceProof) error {
	return func(p *entrawire.DeviceProof) error {
		if err := p.Validate(); err != nil {
			return err
		}
		if p.GrantType != grant {
			return &entrawire.FieldError{Shape: "device proof", Field: "grant_type", Problem: problem}
		}
		return nil
	}
}
