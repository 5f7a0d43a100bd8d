package passkey

import (
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Handle is the user handle: tenant and user id, 32 bytes. Both are random, so it says
// nothing about a person (section 14.6.1), and it outlives a change of the name.
func Handle(t ids.TenantID, u ids.UserID) []byte {
	tenant, err := uuid.Parse(string(t))
	if err != nil {
		return nil
	}
	user, err := uuid.Parse(string(u))
	if err != nil {
		return nil
	}
	return append(tenant[:], user[:]...)
}

// Owner reads a user handle; false when it is none of ours.
func Owner(handle []byte) (ids.TenantID, ids.UserID, bool) {
	if len(handle) != 32 {
		return "", "", false
	}
	tenant, _ := uuid.FromBytes(handle[:16])
	user, _ := uuid.FromBytes(handle[16:])
	return ids.TenantID(tenant.String()), ids.UserID(user.String()), true
}

// account is a user as the library sees one, with the passkeys of one site.
type account struct {
	store.User
	site string
}

func (a account) WebAuthnID() []byte          { return Handle(a.Tenant, a.ID) }
func (a account) WebAuthnName() string        { return string(a.UPN) }
func (a account) WebAuthnDisplayName() string { return a.DisplayName }

func (a account) WebAuthnCredentials() []webauthn.Credential {
	var out []webauthn.Credential
	for _, k := range a.Passkeys {
		if k.Site != a.site {
			continue
		}
		c := webauthn.Credential{
			ID: k.ID, PublicKey: k.PublicKey, AttestationFormat: k.Attestation,
			Flags:         webauthn.CredentialFlags{UserPresent: true, UserVerified: true, BackupEligible: k.BackupEligible, BackupState: k.BackedUp},
			Authenticator: webauthn.Authenticator{AAGUID: k.AAGUID, SignCount: k.SignCount},
		}
		for _, t := range k.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		out = append(out, c)
	}
	return out
}
