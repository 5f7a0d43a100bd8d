package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/browser"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/serve"
)

func (w *world) msalPolicies() {
	w.Check("claims-challenge", w.challenged)
	ropc := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			app, err := w.publicClient(w.authority)
			if err != nil {
				return err
			}
			user, password := serve.Value(os.Getenv, "CONF_"+name+"_USER"), serve.Value(os.Getenv, "CONF_"+name+"_PASSWORD")
			_, err = app.AcquireTokenByUsernamePassword(ctx, []string{graphScope}, user, password)
			return err
		}
	}
	w.Refuse("policy.block", "AADSTS53003", ropc("BLOCKED"))
	w.Refuse("policy.compliant-device.no-device", "AADSTS50097", ropc("COMPLIANT"))
}

// challenged: a policy comes over somebody who is signed in; the refresh token is
// refused with a claims challenge, which the client answers in the browser.
func (w *world) challenged(ctx context.Context) (string, error) {
	const redirect = "http://localhost:4718/"
	user, password := serve.Value(os.Getenv, "CONF_CLAIMS_GO_USER"), serve.Value(os.Getenv, "CONF_FACTOR_PASSWORD")
	scopes := []string{graphScope}
	app, err := w.publicClient(w.authority)
	if err != nil {
		return "", err
	}
	first, err := app.AcquireTokenByUsernamePassword(ctx, scopes, user, password)
	if err != nil {
		return "", err
	}
	if err := serve.DemandMFA(ctx, os.Getenv, user); err != nil {
		return "", err
	}
	silently := func() error {
		// Another resource than the one in the cache.
		_, err := app.AcquireTokenSilent(ctx, []string{managementScope}, public.WithSilentAccount(first.Account))
		return err
	}
	claims, err := challenge(silently())
	if err != nil {
		return "", err
	}
	address, err := app.AuthCodeURL(ctx, commandLine, redirect, scopes, public.WithLoginHint(user), public.WithClaims(claims))
	if err != nil {
		return "", err
	}
	who := serve.UserFromEnv(os.Getenv)
	who.Username, who.Password = user, password
	who.OneTimeCode = func(ctx context.Context) (string, error) { return serve.Tenant(ctx, os.Getenv, "totp", user) }
	b, err := browser.New(who)
	if err != nil {
		return "", err
	}
	got, err := b.Walk(ctx, address, redirect)
	if err != nil {
		return "", err
	}
	r, err := app.AcquireTokenByAuthCode(ctx, got.Get("code"), redirect, scopes)
	if err != nil {
		return "", err
	}
	if err := silently(); err != nil {
		return "", fmt.Errorf("after the second factor: %w", err)
	}
	return cases.Want(r.AccessToken, "upn", user, "amr", "[pwd mfa otp]")
}

// challenge reads the claims out of a refusal, as an application does: MSAL Go hands
// on the response and no more.
func challenge(err error) (string, error) {
	var call msalerrors.CallErr
	if !errors.As(err, &call) || !strings.Contains(err.Error(), "AADSTS50076") {
		return "", fmt.Errorf("a second factor has to be asked for, and it was: %w", err)
	}
	raw, err := io.ReadAll(call.Resp.Body)
	if err != nil {
		return "", err
	}
	var body struct{ Claims string }
	if err := json.Unmarshal(raw, &body); err != nil || !strings.Contains(body.Claims, "access_token") {
		return "", fmt.Errorf("the refusal has the claims %q (%w): %s", body.Claims, err, raw)
	}
	return body.Claims, nil
}
