package issuance

import "github.com/lockstep-sso/lockstep/pkg/ids"

// Issuers are the names under which tokens of a tenant are issued, in versions
// 1.0 and 2.0.
func Issuers(t ids.TenantID) [2]string {
	return [2]string{issuer(t), issuer2(t)}
}

// Subject is the claim sub of a user's ID tokens for an application.
func Subject(t ids.TenantID, client ids.ClientID, user ids.UserID) string {
	return pairwise(t, string(client), user)
}
