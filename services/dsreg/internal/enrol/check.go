package enrol

import (
	"crypto/subtle"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// skew is how far the identity provider's clock may be ahead of the device's.
const skew = 5 * time.Minute

// asked is what the answer to a registration has to fit.
type asked struct {
	kind        entrawire.JoinType
	keys        state.Keys
	displayName string
	now         time.Time
	// user is who asked with a password; empty is a device that proved itself.
	user ids.UPN
	// device and tenant are those that the answer must name; empty is any.
	device ids.DeviceID
	tenant ids.TenantID
	// old is the identity that the new one must differ from, nil when there is none.
	old *state.Identity
	// attested is what was proven of the keys, nil when nothing was.
	attested *idpv1.Attestation
}

// accept reads the answer to a registration as from a stranger. A certificate
// that is wrong in any of these ways would give the device a name that it cannot
// prove, or one that is not its own. The error is prterr.Denied and names what
// is wrong.
func accept(r registered, a asked) (*state.Identity, error) {
	id, err := state.NewIdentity(a.keys.ID, r.certificate, a.displayName, a.user)
	if err != nil {
		return nil, refuse(err.Error()) // it names what is wrong and quotes nothing
	}
	tenant, err := ids.ParseTenant(r.tenantID)
	switch {
	case err != nil:
		return nil, refuse("tenant_id is not a GUID")
	case a.user != "" && !isUser(r.user, a.user):
		return nil, refuse("user_principal_name is not the user who asked")
	case id.Kind != a.kind:
		return nil, refuse("the join type of the certificate is not the one asked for")
	case tenant != id.TenantID:
		return nil, refuse("tenant_id is not the tenant of the certificate")
	case a.tenant != "" && a.tenant != tenant:
		return nil, refuse("tenant_id is another tenant than the one asked")
	case a.device != "" && a.device != id.DeviceID:
		return nil, refuse("certificate is for another device")
	case !id.HasKey(a.keys.Device):
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
	if id.Protection, err = proven(r, a.attested); err != nil {
		return nil, err
	}
	id.Administrators, err = administrators(r.administrators, id)
	return id, err
}

func isUser(got string, want ids.UPN) bool {
	user, err := ids.ParseUPN(got)
	return err == nil && user == want
}

// proven is what the tenant says it knows of the keys. It cannot know more than it
// was told: a level that nothing proved would be shown to people as protection, and
// native session keys without a storage key could not be imported.
func proven(r registered, a *idpv1.Attestation) (state.Protection, error) {
	level, known := map[idpv1.KeyProtection]state.Protection{
		idpv1.KeyProtection_KEY_PROTECTION_UNSPECIFIED: state.Software, // Entra does not say
		idpv1.KeyProtection_KEY_PROTECTION_SOFTWARE:    state.Software,
		idpv1.KeyProtection_KEY_PROTECTION_EMULATED:    state.Emulated,
		idpv1.KeyProtection_KEY_PROTECTION_HARDWARE:    state.Hardware,
	}[r.protection]
	switch {
	case !known:
		return "", refuse("key_protection is not known")
	case level != state.Software && a == nil:
		return "", refuse("key_protection says more than was proven")
	case r.native && a.GetStorageKey() == nil:
		return "", refuse("native_session_keys without a storage key")
	}
	return level, nil
}

// administrators are who may recover the device later. Who registered it is always
// among them, as the certificate names them; no user registers a hybrid device.
func administrators(sids []string, id *state.Identity) ([]string, error) {
	if len(sids) > state.MaxAdministrators {
		return nil, refuse("administrator_sids are too many")
	}
	for _, s := range sids {
		if !state.IsSID(s) {
			return nil, refuse("administrator_sids has one that is not a security identifier")
		}
	}
	if len(sids) == 0 && id.JoinedBy != "" {
		return []string{id.Registrant()}, nil
	}
	return sids, nil
}

func refuse(what string) error {
	return prterr.New(prterr.Denied, "the identity provider's answer was not used: %s", what)
}
