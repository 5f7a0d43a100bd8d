package registration

import (
	"bytes"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// SameWithin is how long after a registration the same request is answered with the same
// device.
const SameWithin = 10 * time.Minute

// sameDevice reports whether a device is the one that the same request has made a moment
// ago. The device's own keys are what tells one registration from another: they are made
// anew for each, the request proves the one, and without the other nothing can be
// unwrapped. The same user must have made it, in the same tenant and of the same kind, and
// as much must be proven of its keys. All it gives is a certificate, which is public, to
// who may register as that user anyway: nobody comes by the device of another.
//
// Once anything was done with the device its certificate has arrived, so whoever
// registers with its keys then means another device: it has signed a request, has other
// keys, is managed, or was disabled.
func sameDevice(next store.Device) func(store.Device) bool {
	return func(d store.Device) bool {
		age := next.RegisteredAt.Sub(d.RegisteredAt)
		return d.Tenant == next.Tenant && d.RegisteredBy == next.RegisteredBy && d.RegisteredBy != "" && d.Trust == next.Trust &&
			bytes.Equal(d.DeviceKey, next.DeviceKey) && bytes.Equal(d.TransportKey, next.TransportKey) && bytes.Equal(d.TransportJWK, next.TransportJWK) &&
			d.KeyProtection == next.KeyProtection && bytes.Equal(d.StorageKey, next.StorageKey) &&
			d.Enabled && !d.Pending && !d.Used && !d.Compliant && !d.Managed && len(d.ReplacedCertificate) == 0 &&
			age < SameWithin && age > -SameWithin
	}
}

// recently judges a registration by what its user has registered last: the same device is
// answered again, and of others at most burst were registered within BurstWithin. A
// flood costs a certificate each, and a person sets up one computer after the other; what
// was removed again counts no more.
func recently(next store.Device, burst int) func([]store.Device) (int, error) {
	same := sameDevice(next)
	return func(recent []store.Device) (int, error) {
		if i := slices.IndexFunc(recent, same); i >= 0 {
			return i, nil
		}
		young := 0
		for _, d := range recent {
			if age := next.RegisteredAt.Sub(d.RegisteredAt); age.Abs() < BurstWithin {
				young++
			}
		}
		if young >= burst {
			return -1, throttled()
		}
		return -1, nil
	}
}

// throttled is said as Entra's registration service says it, with the class of error in
// front of the message.
func throttled() error {
	return prterr.New(prterr.Exhausted, "DirectoryError: the user has registered many devices at once, and the request is throttled for %d seconds", int(BurstWithin.Seconds())).WithRetryAfter(BurstWithin)
}
