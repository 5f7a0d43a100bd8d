package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"os"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
)

// certificate is the application's certificate and key.
func certificate() ([]*x509.Certificate, crypto.PrivateKey, error) {
	raw, err := os.ReadFile(os.Getenv("CONF_APP_PEM"))
	if err != nil {
		return nil, nil, err
	}
	return confidential.CertFromPEM(raw, "")
}

// api is a scope of the application's own API.
func (w *world) api() []string { return []string{"api://" + w.app + "/.default"} }

func (w *world) msalConfidential() {
	fromCert := func(opts ...confidential.Option) (confidential.Client, error) {
		certs, key, err := certificate()
		if err != nil {
			return confidential.Client{}, err
		}
		cred, err := confidential.NewCredFromCert(certs, key)
		if err != nil {
			return confidential.Client{}, err
		}
		return confidential.New(w.authority, w.app, cred, opts...)
	}
	fromSecret := func(secret string) (confidential.Client, error) {
		cred, err := confidential.NewCredFromSecret(secret)
		if err != nil {
			return confidential.Client{}, err
		}
		return confidential.New(w.authority, w.app, cred)
	}
	credential := func(ctx context.Context, app confidential.Client, err error) (string, error) {
		if err != nil {
			return "", err
		}
		r, err := app.AcquireTokenByCredential(ctx, []string{graphDefault})
		if err != nil {
			return "", err
		}
		return cases.Want(r.AccessToken, "aud", "", "tid", w.tenant, "exp", "")
	}
	w.Check("credentials.secret", func(ctx context.Context) (string, error) {
		app, err := fromSecret(w.secret)
		return credential(ctx, app, err)
	})
	w.Refuse("credentials.wrong-secret", "AADSTS7000215", func(ctx context.Context) error {
		app, err := fromSecret("not " + w.secret)
		_, err = credential(ctx, app, err)
		return err
	})
	w.Check("credentials.certificate", func(ctx context.Context) (string, error) {
		app, err := fromCert()
		return credential(ctx, app, err)
	})
	w.Check("credentials.certificate-chain", func(ctx context.Context) (string, error) {
		app, err := fromCert(confidential.WithX5C())
		return credential(ctx, app, err)
	})
	w.Refuse("credentials.no-assertion", "AADSTS", func(ctx context.Context) error {
		cred := confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			return "e30.e30.AAAA", nil
		})
		app, err := confidential.New(w.authority, w.app, cred)
		_, err = credential(ctx, app, err)
		return err
	})
	w.msalOnBehalf(fromSecret)
	w.msalWebApp(fromSecret)
}

// msalOnBehalf gives the API a user's token and lets it ask for Graph.
func (w *world) msalOnBehalf(fromSecret func(string) (confidential.Client, error)) {
	var assertion string
	if !w.Check("on-behalf-of.user-token", func(ctx context.Context) (string, error) {
		app, err := w.publicClient(w.authority)
		if err != nil {
			return "", err
		}
		r, err := app.AcquireTokenByUsernamePassword(ctx, w.api(), w.user, w.password)
		if err != nil {
			return "", err
		}
		assertion = r.AccessToken
		return cases.Want(r.AccessToken, "aud", "", "oid", "")
	}) {
		return
	}
	w.Check("on-behalf-of", func(ctx context.Context) (string, error) {
		api, err := fromSecret(w.secret)
		if err != nil {
			return "", err
		}
		r, err := api.AcquireTokenOnBehalfOf(ctx, assertion, []string{graphScope})
		if err != nil {
			return "", err
		}
		return cases.Want(r.AccessToken, "aud", "", "oid", "", "tid", w.tenant)
	})
	w.Refuse("on-behalf-of.foreign-token", "AADSTS", func(ctx context.Context) error {
		app, err := w.publicClient(w.authority)
		if err != nil {
			return err
		}
		r, err := app.AcquireTokenByUsernamePassword(ctx, []string{graphScope}, w.user, w.password)
		if err != nil {
			return errors.New("no token for Graph: " + strings.ReplaceAll(err.Error(), "AADSTS", ""))
		}
		api, err := fromSecret(w.secret)
		if err != nil {
			return err
		}
		_, err = api.AcquireTokenOnBehalfOf(ctx, r.AccessToken, []string{graphScope})
		return err
	})
}

func (w *world) msalWebApp(fromSecret func(string) (confidential.Client, error)) {
	w.Check("web.code-and-silent", func(ctx context.Context) (string, error) {
		app, err := fromSecret(w.secret)
		if err != nil {
			return "", err
		}
		u, err := app.AuthCodeURL(ctx, w.app, w.redirect, []string{graphScope})
		if err != nil {
			return "", err
		}
		got, err := code(ctx, u, w.redirect)
		if err != nil {
			return "", err
		}
		r, err := app.AcquireTokenByAuthCode(ctx, got.Get("code"), w.redirect, []string{graphScope})
		if err != nil {
			return "", err
		}
		if _, err := w.result(r, nil); err != nil {
			return "", err
		}
		silent, err := app.AcquireTokenSilent(ctx, []string{managementScope}, confidential.WithSilentAccount(r.Account))
		if err != nil {
			return "", err
		}
		return cases.Want(silent.AccessToken, "aud", "")
	})
}
