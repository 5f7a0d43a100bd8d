package enrol

import (
	"crypto/subtle"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// skew is how far the identity provider's clock may be ahead of the device's.
const skew = 5 * time.Minute

// asked is what the answer to a registration has to fit.
type asked struct {
	kind        entrawire.JoinType
	keys        keySet
	user        ids.UPN
	displayName string
	now         time.Time
	// old is the identity that the new one must differ from, nil when there is none.
	old *state.Identity
}

// accept reads the answer to a registration as from a stranger. A certificate
// that is wrong in any of these ways would give the device a name that it cannot
// prove, or one that is not its own. The error is prterr.Denied and names what
// is wrong.
func accept(r registered, a asked) (*state.Identity, error) {
	id, err := state.NewIdentity(a.keys.id, r.certificate, a.displayName, a.user)
	if err != nil {
		return nil, refuse(err.Error()) // it names what is wrong and quotes nothing
	}
	tenant, err := ids.ParseTenant(r.tenantID)
	if err != nil {
		return nil, refuse("tenant_id is not a GUID")
	}
	user, err := ids.ParseUPN(r.user)
	switch {
	case err != nil || user != a.user:
		return nil, refuse("user_principal_name is not the user who asked")
	case id.Kind != a.kind:
		return nil, refuse("the join type of the certificate is not the one asked for")
	case tenant != id.TenantID:
		return nil, refuse("tenant_id is not the tenant of the certificate")
	case !id.HasKey(a.keys.device):
		return nil, refuse("certificate holds another key than the device key")
	case subtle.ConstantTimeCompare([]byte(r.thumbprint), []byte(id.Thumbprint())) != 1:
		return nil, refuse("thumbprint is not the SHA-1 of the certificate")
	case id.Certificate.NotBefore.After(a.now.Add(skew)):
		return nil, refuse("certificate is not valid yet")
	case !id.Certificate.NotAfter.After(a.now):
		return nil, refuse("certificate has expired")
	case a.old != nil && a.old.DeviceID == id.DeviceID:
		return nil, refuse("certificate names the device as before, a new enrolment gives a new device")
	}
	return id, nil
}

func refuse(what string) error {
	return prterr.New(prterr.Denied, "the identity provider's answer was not used: %s", what)
}
