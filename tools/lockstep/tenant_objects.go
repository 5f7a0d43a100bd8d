package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

func deviceCommand(d *atDoor) *cobra.Command {
	enable := func(to bool) func(context.Context, *operator.Client, string) error {
		return func(ctx context.Context, c *operator.Client, id string) error {
			_, err := c.Admin.SetDeviceEnabled(ctx, &directoryv1.SetDeviceEnabledRequest{DeviceId: id, Enabled: to})
			return err
		}
	}
	comply := func(to bool) func(context.Context, *operator.Client, string) error {
		return func(ctx context.Context, c *operator.Client, id string) error {
			_, err := c.Admin.SetDeviceCompliance(ctx, &directoryv1.SetDeviceComplianceRequest{DeviceId: id, Compliant: to})
			return err
		}
	}
	cmd := &cobra.Command{Use: "device", Short: "Devices"}
	cmd.AddCommand(
		d.list("List the devices", (*operator.Client).Devices),
		d.change("disable ID", "Disable a device", "device %s is disabled", enable(false)),
		d.change("enable ID", "Enable a device", "device %s is enabled", enable(true)),
		d.change("compliant ID", "Say that a device is compliant, as its management would", "device %s is compliant", comply(true)),
		d.change("not-compliant ID", "Say that a device is not compliant", "device %s is not compliant", comply(false)),
		d.change("delete ID", "Remove a device", "device %s is deleted", func(ctx context.Context, c *operator.Client, id string) error {
			_, err := c.Admin.RemoveDevice(ctx, &directoryv1.RemoveDeviceRequest{DeviceId: id})
			return err
		}),
		hybridCommand(d),
	)
	return cmd
}

func hybridCommand(d *atDoor) *cobra.Command {
	var certificate string
	req := &directoryv1.PutHybridDeviceRequest{}
	cmd := &cobra.Command{
		Use: "put-hybrid ID", Short: "Synchronise a device object from on-premises", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			der, err := readCertificate(certificate)
			if err != nil {
				return answer{}, err
			}
			if req.TenantId, err = c.Tenant(ctx, d.tenant); err != nil {
				return answer{}, err
			}
			req.DeviceId, req.Certificate = args[0], der
			_, err = c.Admin.PutHybridDevice(ctx, req)
			return done("device "+args[0]+" waits for its join", map[string]any{"name": args[0]}), err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&req.Sid, "sid", "", "security identifier on-premises")
	f.StringVar(&req.DisplayName, "display-name", "", "name to show")
	f.StringVar(&certificate, "certificate", "", "PEM file with the self-signed certificate of the device")
	_ = cmd.MarkFlagRequired("certificate")
	return cmd
}

func readCertificate(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no PEM certificate", path)
	}
	return block.Bytes, nil
}

func appCommand(d *atDoor) *cobra.Command {
	var builtIn bool
	list := &cobra.Command{
		Use: "list", Short: "List the applications", Args: cobra.NoArgs,
		RunE: d.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			l, err := c.Applications(ctx, d.tenant, builtIn)
			return answer{list: &l}, err
		}),
	}
	list.Flags().BoolVar(&builtIn, "built-in", false, "also those that every tenant has")
	cmd := &cobra.Command{Use: "app", Short: "Applications"}
	cmd.AddCommand(list, putAppCommand(d),
		d.change("delete ID", "Remove an application", "application %s is deleted", func(ctx context.Context, c *operator.Client, id string) error {
			tenant, err := c.Tenant(ctx, d.tenant)
			if err != nil {
				return err
			}
			_, err = c.Admin.DeleteApplication(ctx, &directoryv1.DeleteApplicationRequest{TenantId: tenant, ClientId: id})
			return err
		}))
	return cmd
}

func putAppCommand(d *atDoor) *cobra.Command {
	var (
		certificates []string
		confidential bool
	)
	app := &directoryv1.Application{}
	req := &directoryv1.PutApplicationRequest{Application: app}
	cmd := &cobra.Command{
		Use: "put NAME", Short: "Add or replace an application", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (_ answer, err error) {
			if req.TenantId, err = c.Tenant(ctx, d.tenant); err != nil {
				return answer{}, err
			}
			for _, path := range certificates {
				der, err := readCertificate(path)
				if err != nil {
					return answer{}, err
				}
				req.Certificates = append(req.Certificates, der)
			}
			if app.GetClientId() == "" {
				app.ClientId = uuid.NewString()
			}
			app.Name, app.Confidential = args[0], confidential || len(req.GetClientSecrets())+len(req.GetCertificates()) > 0
			_, err = c.Admin.PutApplication(ctx, req)
			return done("application "+args[0]+" has the id "+app.GetClientId(), map[string]any{"name": args[0], "id": app.GetClientId()}), err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&app.ClientId, "id", "", "client id (default a new one)")
	f.StringArrayVar(&app.RedirectUris, "redirect-uri", nil, "redirect address; repeat")
	f.StringArrayVar(&app.SpaRedirectUris, "spa-redirect-uri", nil, "redirect address of a single-page application; repeat")
	f.StringArrayVar(&app.PostLogoutRedirectUris, "post-logout-redirect-uri", nil, "where a browser may go after signing out; repeat")
	f.StringArrayVar(&app.Scopes, "scope", nil, "scope that it offers as a resource (default user_impersonation); repeat")
	f.StringArrayVar(&app.AppRoles, "app-role", nil, "role granted to the application itself; repeat")
	f.Int32Var(&app.TokenVersion, "token-version", 0, "version of access tokens for it, 1 or 2 (default that of the endpoint)")
	f.BoolVar(&confidential, "confidential", false, "it proves itself; without --secret and --certificate by what it has already")
	f.StringArrayVar(&app.Resources, "resource", nil, "a resource it may ask for (default all); repeat")
	f.StringVar(&app.IdentifierUri, "identifier-uri", "", "name as a resource, such as api://mine")
	f.BoolVar(&app.Family, "family", false, "it shares refresh tokens with its family")
	f.StringArrayVar(&req.ClientSecrets, "secret", nil, "secret of a confidential client; repeat")
	f.StringArrayVar(&certificates, "certificate", nil, "PEM file with a certificate of a confidential client; repeat")
	return cmd
}

func rotateKeysCommand(d *atDoor) *cobra.Command {
	return &cobra.Command{
		Use: "rotate-keys", Short: "Make new keys for tokens; the ones before stay good for one more rotation", Args: cobra.NoArgs,
		RunE: d.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			rotated, err := c.Admin.RotateKeys(ctx, &directoryv1.RotateKeysRequest{})
			return done("tokens are signed with the key "+rotated.GetKid(), map[string]any{"kid": rotated.GetKid()}), err
		}),
	}
}
