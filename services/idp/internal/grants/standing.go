package grants

import (
	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// standing is the phase that asks whether the device may do what it signed for. To
// remove itself a device need not be attested: that takes from it and gives nothing.
// To replace its keys it must: who stole keys that are not could make them better.
func (d Device) standing(f signinlog.Flow) error {
	if f != signinlog.DeleteDevice {
		return directory.Standing(d.Tenant.Profile, d.Device)
	}
	if !d.Device.Enabled {
		return prterr.AADSTS(aadsts.DeviceDisabled, "")
	}
	return nil
}

// Event is the line of the log that the request ends with. An answer may add what it
// finds out.
func (d Device) Event() *signinlog.Event { return d.event }
