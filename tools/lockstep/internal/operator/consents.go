package operator

import (
	"context"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// Consents lists what was allowed to the applications of the tenants that are meant.
func (c *Client) Consents(ctx context.Context, tenant string) (List, error) {
	l := List{Head: []string{"tenant", "application", "allowed by", "resource", "scopes"}}
	err := c.each(ctx, tenant, func(t *directoryv1.Tenant) error {
		list, err := c.Read.ListConsents(ctx, &directoryv1.ListConsentsRequest{TenantId: t.GetTenantId()})
		for _, m := range list.GetConsents() {
			by, resource := m.GetUserPrincipalName(), m.GetResource()
			if by == "" {
				by = "(administrator)"
			}
			if resource == "" {
				resource = "(sign-in)"
			}
			l.add(m, domain(t), m.GetClientId(), by, resource, words(m.GetScopes()))
		}
		return err
	})
	return l, err
}
