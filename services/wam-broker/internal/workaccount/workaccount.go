// Package workaccount holds what a user types and ticks when an app asks for a
// work account, and what becomes of the device.
//
// What lives here: types, and the pure checks on them. What never may: a call to
// another component, or a password that outlives its request. Framework and
// plug-in speak these words; the generated messages stop at their edges.
package workaccount

import (
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// maxPassword is the longest password that Entra takes, in bytes.
const maxPassword = 256

// Credentials of the account.
type Credentials struct {
	User     ids.UPN
	Password secret.Text
}

// Device is a device that is registered for the account.
type Device struct {
	ID     ids.DeviceID
	Tenant ids.TenantID
	// User whom it was registered for just now; empty when it was registered before.
	User ids.UserID
	// PRT is true when the account has its PRT.
	PRT bool
}

// Parse checks what a user typed. The error is prterr.Invalid and names the
// field; it never repeats what was typed.
func Parse(user, password string) (Credentials, error) {
	upn, err := ids.ParseUPN(user)
	if err != nil {
		return Credentials{}, prterr.Wrap(prterr.Invalid, err, "user_principal_name is not of the form user@domain")
	}
	if n := len(password); n == 0 || n > maxPassword {
		return Credentials{}, prterr.New(prterr.Invalid, "password is not 1 to %d bytes", maxPassword)
	}
	return Credentials{User: upn, Password: secret.NewText(password)}, nil
}

// ParseDevice reads a registered device out of an answer.
func ParseDevice(id, tenant string) (d Device, err error) {
	if d.ID, err = ids.ParseDevice(id); err != nil {
		return Device{}, err
	}
	d.Tenant, err = ids.ParseTenant(tenant)
	return d, err
}
