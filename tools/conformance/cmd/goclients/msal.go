package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
	"golang.org/x/oauth2"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
)

func (w *world) publicClient(authority string, opts ...public.Option) (public.Client, error) {
	return public.New(commandLine, append([]public.Option{public.WithAuthority(authority)}, opts...)...)
}

// result checks what MSAL made of an answer.
func (w *world) result(r public.AuthResult, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(r.Account.PreferredUsername, w.user) {
		return "", fmt.Errorf("signed in as %q", r.Account.PreferredUsername)
	}
	if uid, utid, ok := strings.Cut(r.Account.HomeAccountID, "."); !ok || utid != w.tenant || uid == "" {
		return "", fmt.Errorf("home account id %q is not of this tenant", r.Account.HomeAccountID)
	}
	if len(r.GrantedScopes) == 0 {
		return "", errors.New("no granted scopes")
	}
	return cases.Want(r.AccessToken, "aud", "", "iss", "", "tid", w.tenant, "oid", "", "exp", "")
}

func (w *world) msalPublic() {
	app, err := w.publicClient(w.authority)
	if err != nil {
		w.Check("public.new", func(context.Context) (string, error) { return "", err })
		return
	}
	scopes := []string{graphScope}
	var first public.AuthResult
	if w.Check("ropc", func(ctx context.Context) (string, error) {
		first, err = app.AcquireTokenByUsernamePassword(ctx, scopes, w.user, w.password)
		return w.result(first, err)
	}) {
		w.msalSilent(app, first.Account)
	}
	w.Refuse("ropc.wrong-password", "AADSTS50126", func(ctx context.Context) error {
		_, err := app.AcquireTokenByUsernamePassword(ctx, scopes, w.user, "not "+w.password)
		return err
	})
	w.Refuse("ropc.unknown-user", "AADSTS50034", func(ctx context.Context) error {
		_, err := app.AcquireTokenByUsernamePassword(ctx, scopes, "nobody@contoso.test", w.password)
		return err
	})
	w.Check("ropc.organizations", func(ctx context.Context) (string, error) {
		anybody, err := w.publicClient("https://login.microsoftonline.com/organizations")
		if err != nil {
			return "", err
		}
		return w.result(anybody.AcquireTokenByUsernamePassword(ctx, scopes, w.user, w.password))
	})
	federated := func(ctx context.Context, password string) (public.AuthResult, error) {
		anybody, err := w.publicClient("https://login.microsoftonline.com/organizations")
		if err != nil {
			return public.AuthResult{}, err
		}
		return anybody.AcquireTokenByUsernamePassword(ctx, scopes, os.Getenv("CONF_FED_USER"), password)
	}
	w.Check("ropc.federated", func(ctx context.Context) (string, error) {
		r, err := federated(ctx, os.Getenv("CONF_FED_PASSWORD"))
		if err != nil {
			return "", err
		}
		return cases.Want(r.AccessToken, "upn", os.Getenv("CONF_FED_USER"), "tid", os.Getenv("CONF_FED_TENANT"))
	})
	w.Refuse("ropc.federated.wrong-password", "FailedAuthentication", func(ctx context.Context) error {
		_, err := federated(ctx, "not it")
		return err
	})
	w.Check("authority.alias", func(ctx context.Context) (string, error) {
		alias, err := w.publicClient("https://login.windows.net/" + w.tenant)
		if err != nil {
			return "", err
		}
		return w.result(alias.AcquireTokenByUsernamePassword(ctx, scopes, w.user, w.password))
	})
	w.Check("authority.local-address", func(ctx context.Context) (string, error) {
		local, err := w.publicClient("https://"+os.Getenv("CONF_HTTPS")+"/"+w.tenant, public.WithInstanceDiscovery(false))
		if err != nil {
			return "", err
		}
		return w.result(local.AcquireTokenByUsernamePassword(ctx, scopes, w.user, w.password))
	})
	w.Check("device-code", func(ctx context.Context) (string, error) {
		dc, err := app.AcquireTokenByDeviceCode(ctx, scopes)
		if err != nil {
			return "", err
		}
		if dc.Result.Message == "" || dc.Result.VerificationURL == "" {
			return "", errors.New("no message or address for the user")
		}
		if err := approve(ctx, dc.Result.UserCode); err != nil {
			return "", err
		}
		return w.result(dc.AuthenticationResult(ctx))
	})
	w.Check("interactive", func(ctx context.Context) (string, error) {
		return w.result(app.AcquireTokenInteractive(ctx, scopes, public.WithOpenURL(visit), public.WithLoginHint(w.user)))
	})
	w.msalCode(app, scopes)
}

func (w *world) msalSilent(app public.Client, account public.Account) {
	w.Check("silent.cache", func(ctx context.Context) (string, error) {
		r, err := app.AcquireTokenSilent(ctx, []string{graphScope}, public.WithSilentAccount(account))
		if err != nil {
			return "", err
		}
		if r.Metadata.TokenSource != public.TokenSourceCache {
			return "", errors.New("the token came from the server, so the first answer was not cached")
		}
		return "from the cache", nil
	})
	w.Check("silent.other-resource", func(ctx context.Context) (string, error) {
		r, err := app.AcquireTokenSilent(ctx, []string{managementScope}, public.WithSilentAccount(account))
		if err != nil {
			return "", err
		}
		return cases.Want(r.AccessToken, "aud", "", "tid", w.tenant)
	})
	w.Check("silent.claims", func(ctx context.Context) (string, error) {
		r, err := app.AcquireTokenSilent(ctx, []string{graphScope}, public.WithSilentAccount(account),
			public.WithClaims(`{"access_token":{"nbf":{"essential":true,"value":"1"}}}`))
		if err != nil {
			return "", err
		}
		if r.Metadata.TokenSource != public.TokenSourceIdentityProvider {
			return "", errors.New("a claims challenge was answered from the cache")
		}
		return cases.Want(r.AccessToken, "aud", "")
	})
	w.Check("silent.cae", func(ctx context.Context) (string, error) {
		able, err := w.publicClient(w.authority, public.WithClientCapabilities([]string{"CP1"}))
		if err != nil {
			return "", err
		}
		r, err := able.AcquireTokenByUsernamePassword(ctx, []string{graphScope}, w.user, w.password)
		if err != nil {
			return "", err
		}
		return cases.Want(r.AccessToken, "aud", "")
	})
}

// msalCode redeems codes that the browser brings.
func (w *world) msalCode(app public.Client, scopes []string) {
	const redirect = "http://localhost:4711/"
	fetch := func(ctx context.Context, verifier string) (string, error) {
		u, err := app.AuthCodeURL(ctx, commandLine, redirect, scopes)
		if err != nil {
			return "", err
		}
		if verifier != "" {
			u += "&code_challenge_method=S256&code_challenge=" + oauth2.S256ChallengeFromVerifier(verifier)
		}
		got, err := code(ctx, u, redirect)
		return got.Get("code"), err
	}
	w.Check("code", func(ctx context.Context) (string, error) {
		c, err := fetch(ctx, "")
		if err != nil {
			return "", err
		}
		return w.result(app.AcquireTokenByAuthCode(ctx, c, redirect, scopes))
	})
	verifier := oauth2.GenerateVerifier()
	w.Check("code.pkce", func(ctx context.Context) (string, error) {
		c, err := fetch(ctx, verifier)
		if err != nil {
			return "", err
		}
		return w.result(app.AcquireTokenByAuthCode(ctx, c, redirect, scopes, public.WithChallenge(verifier)))
	})
	w.Refuse("code.pkce.wrong-verifier", "AADSTS501481", func(ctx context.Context) error {
		c, err := fetch(ctx, verifier)
		if err != nil {
			return err
		}
		_, err = app.AcquireTokenByAuthCode(ctx, c, redirect, scopes, public.WithChallenge(oauth2.GenerateVerifier()))
		return err
	})
	w.Refuse("code.replay", "AADSTS54005", func(ctx context.Context) error {
		c, err := fetch(ctx, "")
		if err != nil {
			return err
		}
		if _, err := app.AcquireTokenByAuthCode(ctx, c, redirect, scopes); err != nil {
			return fmt.Errorf("first use: %w", err)
		}
		_, err = app.AcquireTokenByAuthCode(ctx, c, redirect, scopes)
		return err
	})
}
