package aadplugin

import (
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// issued is a PRT for the framework.
func issued(i authority.Issued) *cloudapv1.IssuedPRT {
	m := &cloudapv1.IssuedPRT{
		Partition: &tpmv1.Partition{TenantId: string(i.Tenant), UserId: string(i.User), CredentialKind: i.Kind},
		Prt:       i.PRT.Reveal(), ExpiresIn: int64(i.Life / time.Second), SessionKeyJwe: i.WrappedKey, DisplayName: i.Name,
		UserPrincipalName: string(i.UPN), Mfa: mfa(i.AMR), MembershipId: string(i.Membership),
	}
	if !i.MFATime.IsZero() {
		m.MfaTime = i.MFATime.Unix()
	}
	return m
}

// mfa is what an id_token says of a second factor: "mfa" among the methods (RFC 8176), or
// methods without it. A token that lists none says nothing.
func mfa(amr []string) authorityv1.MFAState {
	switch {
	case slices.Contains(amr, "mfa"):
		return authorityv1.MFAState_MFA_STATE_YES
	case len(amr) > 0:
		return authorityv1.MFAState_MFA_STATE_NO
	default:
		return authorityv1.MFAState_MFA_STATE_UNSPECIFIED
	}
}
