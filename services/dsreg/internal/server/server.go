// Package server is the edge of device registration: generated messages in, one
// call of enrolment, messages or an error out.
//
// What lives here: the check of an operator's fields. What never may: a decision
// about the registration.
package server

import (
	"cmp"
	"context"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/enrol"
)

const (
	maxDisplayName = 64  // characters
	maxPassword    = 256 // bytes; Entra takes no longer one
)

// Registration serves prt.dsreg.v1.RegistrationService.
type Registration struct {
	dsregv1.UnimplementedRegistrationServiceServer
	Enroller *enrol.Enroller
	// ComputerName stands in for a display name that a registration does not have.
	ComputerName string
	Meter        *Meter
}

// JoinDevice joins the device to the user's tenant.
func (s *Registration) JoinDevice(ctx context.Context, req *dsregv1.JoinDeviceRequest) (*dsregv1.JoinDeviceResponse, error) {
	r, err := request(req.GetUserPrincipalName(), req.GetPassword(), req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	id, err := s.Enroller.Join(ctx, r)
	if err != nil {
		return nil, err
	}
	return &dsregv1.JoinDeviceResponse{DeviceId: string(id.DeviceID), TenantId: string(id.TenantID)}, nil
}

// RegisterDevice registers the device for a work account.
func (s *Registration) RegisterDevice(ctx context.Context, req *dsregv1.RegisterDeviceRequest) (*dsregv1.RegisterDeviceResponse, error) {
	r, err := request(req.GetUserPrincipalName(), req.GetPassword(), cmp.Or(req.GetDisplayName(), s.ComputerName))
	if err != nil {
		return nil, err
	}
	id, err := s.Enroller.Register(ctx, r)
	if err != nil {
		return nil, err
	}
	named, err := entrawire.ParseDeviceCertificate(id.Certificate)
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the device is registered, and its certificate cannot be read")
	}
	return &dsregv1.RegisterDeviceResponse{DeviceId: string(id.DeviceID), TenantId: string(id.TenantID), UserId: string(named.UserID)}, nil
}

func request(user, password, displayName string) (enrol.Request, error) {
	upn, pw, err := credential(user, password)
	if err != nil {
		return enrol.Request{}, err
	}
	if !IsDisplayName(displayName) {
		return enrol.Request{}, badName()
	}
	return enrol.Request{User: upn, Password: pw, DisplayName: displayName}, nil
}

func credential(user, password string) (ids.UPN, secret.Text, error) {
	upn, err := ids.ParseUPN(user)
	if err != nil {
		return "", secret.Text{}, prterr.Wrap(prterr.Invalid, err, "user_principal_name is not of the form user@domain")
	}
	if n := len(password); n == 0 || n > maxPassword {
		return "", secret.Text{}, prterr.New(prterr.Invalid, "password is not 1 to %d bytes", maxPassword)
	}
	return upn, secret.NewText(password), nil
}

func badName() error {
	return prterr.New(prterr.Invalid, "display_name is not 1 to %d printable characters: use one such as DESKTOP-1", maxDisplayName)
}

// IsDisplayName reports whether a device may go by a name.
func IsDisplayName(s string) bool {
	n := utf8.RuneCountInString(s)
	if n == 0 || n > maxDisplayName || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// LeaveDevice takes the device out of its tenant. Who is not its operator ends the
// registration for a work account and nothing else.
func (s *Registration) LeaveDevice(ctx context.Context, req *dsregv1.LeaveDeviceRequest) (*dsregv1.LeaveDeviceResponse, error) {
	how := enrol.Departure{LocalOnly: req.GetLocalOnly(), RegisteredOnly: rpc.Caller(ctx) != "operator"}
	if err := s.Enroller.Leave(ctx, how); err != nil {
		return nil, err
	}
	return &dsregv1.LeaveDeviceResponse{}, nil
}
