package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

func policyCommand(d *atDoor) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Conditional access policies"}
	cmd.AddCommand(
		d.list("List the policies", (*operator.Client).Policies),
		putPolicyCommand(d), applyPoliciesCommand(d), evaluatePoliciesCommand(d),
		d.change("delete ID", "Remove a policy", "policy %s is deleted", func(ctx context.Context, c *operator.Client, id string) error {
			tenant, err := c.Tenant(ctx, d.tenant)
			if err != nil {
				return err
			}
			_, err = c.Admin.DeletePolicy(ctx, &directoryv1.DeletePolicyRequest{TenantId: tenant, PolicyId: id})
			return err
		}))
	return cmd
}

func putPolicyCommand(d *atDoor) *cobra.Command {
	var frequency time.Duration
	p := &directoryv1.Policy{}
	cmd := &cobra.Command{
		Use: "put NAME", Short: "Add or replace a policy", Args: cobra.ExactArgs(1),
		Example: `  lockstep tenant policy put 'MFA for all' --tenant contoso.test --include-user All --include-resource All --grant mfa
  lockstep tenant policy put 'No codes' --tenant contoso.test --include-user All --include-resource All --flow device_code --grant block`,
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			tenant, err := c.Tenant(ctx, d.tenant)
			if err != nil {
				return answer{}, err
			}
			if frequency < 0 || frequency%time.Second != 0 {
				return answer{}, errors.New("--sign-in-frequency is not a number of whole seconds")
			}
			p.Name, p.SignInFrequencySeconds = args[0], int64(frequency/time.Second)
			put, err := c.Admin.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: tenant, Policy: p})
			return done("policy "+args[0]+" has the id "+put.GetPolicyId(), map[string]any{"name": args[0], "id": put.GetPolicyId()}), err
		}),
	}
	f := cmd.Flags()
	conditionFlags(f, p)
	f.StringVar(&p.Grant, "grant", "", "block, mfa, device, compliant_device or hybrid_joined_device")
	f.StringVar(&p.GrantOperator, "grant-operator", "", "and or or, between several controls (default and)")
	f.StringArrayVar(&p.GrantControls, "grant-control", nil, "one of several controls; repeat")
	f.StringVar(&p.AuthenticationStrength, "strength", "", "authentication strength, such as 'Passwordless MFA'")
	f.DurationVar(&frequency, "sign-in-frequency", 0, "how old a sign-in may be, such as 1h")
	f.BoolVar(&p.SignInFrequencyEveryTime, "sign-in-every-time", false, "demand a sign-in now")
	f.BoolVar(&p.TokenProtection, "token-protection", false, "demand tokens that are bound to the device")
	f.StringVar(&p.PersistentBrowser, "persistent-browser", "", "always or never (default as the user wants)")
	return cmd
}

// conditionFlags are what a policy is about.
func conditionFlags(f *pflag.FlagSet, p *directoryv1.Policy) {
	f.StringVar(&p.PolicyId, "id", "", "GUID of the policy (default a new one)")
	f.StringVar(&p.State, "policy-state", "enabled", "enabled, report or disabled")
	f.StringArrayVar(&p.IncludeUsers, "include-user", nil, "user, group or All; repeat")
	f.StringArrayVar(&p.ExcludeUsers, "exclude-user", nil, "user or group; repeat")
	f.StringArrayVar(&p.IncludeResources, "include-resource", nil, "resource or All; repeat")
	f.StringArrayVar(&p.ExcludeResources, "exclude-resource", nil, "resource; repeat")
	f.StringArrayVar(&p.UserActions, "user-action", nil, "register_security_info or register_device, in place of resources; repeat")
	f.StringArrayVar(&p.AuthContexts, "auth-context", nil, "c1 to c99, in place of resources; repeat")
	f.StringArrayVar(&p.Clients, "client", nil, "application id (default all); repeat")
	f.StringArrayVar(&p.ClientApps, "client-app", nil, "browser or native (default both); repeat")
	f.StringArrayVar(&p.Platforms, "platform", nil, "windows, macos, linux, ios or android (default every one); repeat")
	f.StringArrayVar(&p.ExcludePlatforms, "exclude-platform", nil, "platform; repeat")
	f.StringArrayVar(&p.IncludeLocations, "include-location", nil, "name of a location, All or Trusted (default everywhere); repeat")
	f.StringArrayVar(&p.ExcludeLocations, "exclude-location", nil, "name of a location, All or Trusted; repeat")
	f.StringArrayVar(&p.SignInRisks, "risk", nil, "none, low, medium or high (default any); repeat")
	f.StringArrayVar(&p.Flows, "flow", nil, "device_code or authentication_transfer (default all); repeat")
	f.StringVar(&p.DeviceFilterMode, "device-filter", "", "include or exclude, with --device-rule")
	f.StringVar(&p.DeviceFilterRule, "device-rule", "", `such as 'device.trustType -eq "AzureAD"'`)
}

func applyPoliciesCommand(d *atDoor) *cobra.Command {
	return &cobra.Command{
		Use: "apply FILE", Short: "Put the policies, strengths and locations of a file in the place of all there are", Args: cobra.ExactArgs(1),
		Long: `Put the policies, strengths and locations of a YAML file in the place of all that
the tenant has. The file has the members policies, strengths and locations of a
tenant file; one that is wrong changes nothing, and the error names the line.`,
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			document, err := os.ReadFile(args[0])
			if err != nil {
				return answer{}, fmt.Errorf("policy file: %w", err)
			}
			tenant, err := c.Tenant(ctx, d.tenant)
			if err != nil {
				return answer{}, err
			}
			a, err := c.Admin.ReplacePolicies(ctx, &directoryv1.ReplacePoliciesRequest{TenantId: tenant, Document: document})
			n := int(a.GetPolicies())
			return done(strconv.Itoa(n)+" policies are in the tenant", map[string]any{"name": args[0], "policies": n}), err
		}),
	}
}

func evaluatePoliciesCommand(d *atDoor) *cobra.Command {
	var age time.Duration
	r := &directoryv1.EvaluatePoliciesRequest{}
	cmd := &cobra.Command{
		Use: "evaluate USER", Short: "Ask what the policies would say to a sign-in that nobody makes", Args: cobra.ExactArgs(1),
		Example: `  lockstep tenant policy evaluate alice@contoso.test --tenant contoso.test --method password --platform windows --ip 203.0.113.7`,
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (_ answer, err error) {
			if r.TenantId, err = c.Tenant(ctx, d.tenant); err != nil {
				return answer{}, err
			}
			if r.GetResource() == "" && r.GetUserAction() == "" {
				r.Resource = "https://graph.microsoft.com"
			}
			r.UserPrincipalName, r.AgeSeconds = args[0], int64(age/time.Second)
			l, err := c.Evaluate(ctx, r)
			return answer{list: &l}, err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&r.ClientId, "client", "d3590ed6-52b3-4102-aeff-aad2292ab01c", "application id (default Microsoft Office)")
	f.StringVar(&r.Resource, "resource", "", "resource (default Microsoft Graph)")
	f.StringVar(&r.UserAction, "user-action", "", "register_security_info or register_device, in place of a resource")
	f.StringArrayVar(&r.AuthContexts, "auth-context", nil, "authentication context that is demanded; repeat")
	f.StringVar(&r.ClientApp, "client-app", "", "browser or native (default native)")
	f.StringVar(&r.Platform, "platform", "", "platform, where no device says it")
	f.StringVar(&r.DeviceId, "device", "", "id of the device that authenticates")
	f.StringVar(&r.IpAddress, "ip", "", "address that the request comes from")
	f.StringVar(&r.Flow, "flow", "", "device_code or authentication_transfer")
	f.StringArrayVar(&r.Methods, "method", nil, "method that was used, as a strength names it, such as password; repeat")
	f.DurationVar(&age, "age", 0, "how long ago that was")
	f.BoolVar(&r.Bound, "bound", false, "the token is bound to the device")
	f.StringVar(&r.SignInRisk, "risk", "", "none, low, medium or high (default the user's)")
	return cmd
}
