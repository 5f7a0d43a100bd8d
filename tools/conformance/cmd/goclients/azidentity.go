package main

import (
	"context"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
)

// token asks a credential for a token of Graph.
func token(ctx context.Context, c azcore.TokenCredential, err error, want ...string) (string, error) {
	if err != nil {
		return "", err
	}
	t, err := c.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{graphDefault}})
	if err != nil {
		return "", err
	}
	return cases.Want(t.Token, want...)
}

func (w *world) azidentity() {
	user := []string{"aud", "", "tid", w.tenant, "oid", ""}
	app := []string{"aud", "", "tid", w.tenant}
	w.Check("device-code", func(ctx context.Context) (string, error) {
		c, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
			TenantID: w.tenant, ClientID: commandLine,
			UserPrompt: func(ctx context.Context, m azidentity.DeviceCodeMessage) error { return approve(ctx, m.UserCode) },
		})
		return token(ctx, c, err, user...)
	})
	w.Check("interactive-browser", func(ctx context.Context) (string, error) {
		c, err := azidentity.NewInteractiveBrowserCredential(&azidentity.InteractiveBrowserCredentialOptions{TenantID: w.tenant, ClientID: commandLine, LoginHint: w.user})
		return token(ctx, c, err, user...)
	})
	w.Check("username-password", func(ctx context.Context) (string, error) {
		c, err := azidentity.NewUsernamePasswordCredential(w.tenant, commandLine, w.user, w.password, nil)
		return token(ctx, c, err, user...)
	})
	w.Check("client-secret", func(ctx context.Context) (string, error) {
		c, err := azidentity.NewClientSecretCredential(w.tenant, w.app, w.secret, nil)
		return token(ctx, c, err, app...)
	})
	w.Refuse("client-secret.wrong", "AADSTS7000215", func(ctx context.Context) error {
		c, err := azidentity.NewClientSecretCredential(w.tenant, w.app, "not "+w.secret, nil)
		_, err = token(ctx, c, err)
		return err
	})
	w.Refuse("client-secret.unknown-tenant", "AADSTS90002", func(ctx context.Context) error {
		c, err := azidentity.NewClientSecretCredential("00000000-0000-4000-8000-000000000000", w.app, w.secret, nil)
		_, err = token(ctx, c, err)
		return err
	})
	w.azidentityCertificate(app)
	w.Check("environment", func(ctx context.Context) (string, error) {
		for k, v := range map[string]string{"AZURE_TENANT_ID": w.tenant, "AZURE_CLIENT_ID": w.app, "AZURE_CLIENT_SECRET": w.secret} {
			if err := os.Setenv(k, v); err != nil {
				return "", err
			}
			defer func() { _ = os.Unsetenv(k) }()
		}
		c, err := azidentity.NewEnvironmentCredential(nil)
		return token(ctx, c, err, app...)
	})
	w.Check("on-behalf-of", func(ctx context.Context) (string, error) {
		c, err := azidentity.NewUsernamePasswordCredential(w.tenant, commandLine, w.user, w.password, nil)
		if err != nil {
			return "", err
		}
		assertion, err := c.GetToken(ctx, policy.TokenRequestOptions{Scopes: w.api()})
		if err != nil {
			return "", err
		}
		obo, err := azidentity.NewOnBehalfOfCredentialWithSecret(w.tenant, w.app, assertion.Token, w.secret, nil)
		return token(ctx, obo, err, user...)
	})
}

func (w *world) azidentityCertificate(want []string) {
	for _, c := range []struct {
		name  string
		chain bool
	}{{"client-certificate", false}, {"client-certificate.chain", true}} {
		w.Check(c.name, func(ctx context.Context) (string, error) {
			certs, key, err := certificate()
			if err != nil {
				return "", err
			}
			cred, err := azidentity.NewClientCertificateCredential(w.tenant, w.app, certs, key, &azidentity.ClientCertificateCredentialOptions{SendCertificateChain: c.chain})
			return token(ctx, cred, err, want...)
		})
	}
	w.Check("client-assertion", func(ctx context.Context) (string, error) {
		// The assertion is one that MSAL made: azidentity passes on what it is given.
		cred, err := azidentity.NewClientAssertionCredential(w.tenant, w.app, func(context.Context) (string, error) { return w.assertion() }, nil)
		return token(ctx, cred, err, want...)
	})
	w.Refuse("client-assertion.other-key", "AADSTS", func(ctx context.Context) error {
		cred, err := azidentity.NewClientAssertionCredential(w.tenant, w.app, func(context.Context) (string, error) { return w.foreignAssertion() }, nil)
		_, err = token(ctx, cred, err)
		return err
	})
}
