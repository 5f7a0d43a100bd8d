package main

import (
	"context"

	"github.com/spf13/cobra"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

func consentCommand(d *atDoor) *cobra.Command {
	cmd := &cobra.Command{Use: "consent", Short: "What users allowed applications to do in their names"}
	cmd.AddCommand(d.list("List what was allowed", (*operator.Client).Consents), revokeConsentCommand(d))
	return cmd
}

func revokeConsentCommand(d *atDoor) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "revoke APPLICATION", Short: "Take back what an application was allowed", Args: cobra.ExactArgs(1),
		Long: `Take back what an application, by its id, was allowed: by one user, or without
--user by everybody and by an administrator for the organisation. It is asked for
once more where the application needs it.`,
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			tenant, err := c.Tenant(ctx, d.tenant)
			if err != nil {
				return answer{}, err
			}
			_, err = c.Admin.RevokeConsent(ctx, &directoryv1.RevokeConsentRequest{TenantId: tenant, ClientId: args[0], UserPrincipalName: user})
			return done("consent to "+args[0]+" is revoked", map[string]any{"name": args[0], "user": user}), err
		}),
	}
	cmd.Flags().StringVar(&user, "user", "", "user whose consent it is (default everybody's)")
	return cmd
}
