package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
)

// relyingParty is a web application that trusts go-oidc alone.
type relyingParty struct {
	*world
	provider *oidc.Provider
	config   oauth2.Config
}

func (w *world) oidc() {
	rp := &relyingParty{world: w}
	if !w.Check("discovery", func(ctx context.Context) (string, error) {
		var err error
		// The provider keeps the context for its keys, so it must outlive this case.
		if rp.provider, err = oidc.NewProvider(context.WithoutCancel(ctx), w.authority+"/v2.0"); err != nil {
			return "", err
		}
		rp.config = oauth2.Config{
			ClientID: w.app, ClientSecret: w.secret, RedirectURL: w.redirect, Endpoint: rp.provider.Endpoint(),
			Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess},
		}
		return "issuer and endpoints agree", nil
	}) {
		return
	}
	var signedIn *oauth2.Token
	if w.Check("code.pkce.nonce", func(ctx context.Context) (string, error) {
		var err error
		signedIn, err = rp.signIn(ctx, "n-"+oauth2.GenerateVerifier(), "")
		if err != nil {
			return "", err
		}
		return "id_token verified by the published keys, nonce equal", nil
	}) {
		rp.after(signedIn)
	}
	w.Check("code.form-post", func(ctx context.Context) (string, error) {
		_, err := rp.signIn(ctx, "n", "form_post")
		return "id_token verified", err
	})
	rp.refusals()
	rp.others()
}

// signIn runs the whole flow once.
func (rp *relyingParty) signIn(ctx context.Context, nonce, mode string) (*oauth2.Token, error) {
	verifier := oauth2.GenerateVerifier()
	opts := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)}
	if mode != "" {
		opts = append(opts, oauth2.SetAuthURLParam("response_mode", mode))
	}
	got, err := code(ctx, rp.config.AuthCodeURL("st&te=1", opts...), rp.redirect)
	if err != nil {
		return nil, err
	}
	if got.Get("state") != "st&te=1" {
		return nil, fmt.Errorf("state came back as %q", got.Get("state"))
	}
	t, err := rp.config.Exchange(ctx, got.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, err
	}
	return t, rp.verify(ctx, t, nonce)
}

func (rp *relyingParty) verify(ctx context.Context, t *oauth2.Token, nonce string) error {
	raw, _ := t.Extra("id_token").(string)
	id, err := rp.provider.Verifier(&oidc.Config{ClientID: rp.app}).Verify(ctx, raw)
	if err != nil {
		return err
	}
	if id.Nonce != nonce {
		return fmt.Errorf("nonce is %q", id.Nonce)
	}
	var claims struct {
		OID, TID, Ver     string
		PreferredUsername string `json:"preferred_username"`
	}
	if err := id.Claims(&claims); err != nil {
		return err
	}
	if claims.TID != rp.tenant || claims.OID == "" || claims.Ver != "2.0" || !strings.EqualFold(claims.PreferredUsername, rp.user) {
		return fmt.Errorf("id_token claims are %+v", claims)
	}
	if id.AccessTokenHash != "" {
		return id.VerifyAccessToken(t.AccessToken)
	}
	return nil
}

// after is what an application does once the user is signed in.
func (rp *relyingParty) after(t *oauth2.Token) {
	rp.Check("userinfo", func(ctx context.Context) (string, error) {
		info, err := rp.provider.UserInfo(ctx, oauth2.StaticTokenSource(t))
		if err != nil {
			return "", err
		}
		if info.Subject == "" {
			return "", errors.New("no subject")
		}
		return "sub and profile", nil
	})
	rp.Check("refresh", func(ctx context.Context) (string, error) {
		old := *t
		old.Expiry = t.Expiry.AddDate(-1, 0, 0)
		fresh, err := rp.config.TokenSource(ctx, &old).Token()
		if err != nil {
			return "", err
		}
		if fresh.RefreshToken == "" || fresh.AccessToken == t.AccessToken {
			return "", errors.New("no new tokens")
		}
		return "new access token and refresh token", rp.verify(ctx, fresh, "")
	})
	rp.Refuse("refresh.tampered", "invalid_grant", func(ctx context.Context) error {
		_, err := rp.config.TokenSource(ctx, &oauth2.Token{RefreshToken: flip(t.RefreshToken)}).Token()
		return err
	})
	rp.Refuse("refresh.other-client", "invalid_grant", func(ctx context.Context) error {
		public := rp.config
		public.ClientID, public.ClientSecret = commandLine, ""
		_, err := public.TokenSource(ctx, &oauth2.Token{RefreshToken: t.RefreshToken}).Token()
		return err
	})
	raw, _ := t.Extra("id_token").(string)
	rp.Refuse("id-token.other-audience", "audience", func(ctx context.Context) error {
		_, err := rp.provider.Verifier(&oidc.Config{ClientID: commandLine}).Verify(ctx, raw)
		return err
	})
	rp.Refuse("id-token.tampered", "signature", func(ctx context.Context) error {
		parts := strings.Split(raw, ".")
		_, err := rp.provider.Verifier(&oidc.Config{ClientID: rp.app}).Verify(ctx, parts[0]+"."+parts[1]+"."+flip(parts[2]))
		return err
	})
}

// flip changes one character in the middle.
func flip(s string) string {
	if s == "" {
		return s
	}
	b := []byte(s)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func (rp *relyingParty) refusals() {
	rp.Refuse("authorize.other-redirect", "AADSTS50011", func(ctx context.Context) error {
		bad := rp.config
		bad.RedirectURL = "https://attacker.test/cb"
		_, err := code(ctx, bad.AuthCodeURL("s"), bad.RedirectURL)
		return err
	})
	rp.Refuse("authorize.unknown-client", "AADSTS700016", func(ctx context.Context) error {
		bad := rp.config
		bad.ClientID = "11111111-1111-4111-8111-111111111111"
		_, err := code(ctx, bad.AuthCodeURL("s"), bad.RedirectURL)
		return err
	})
	rp.Refuse("authorize.prompt-none", "login_required", func(ctx context.Context) error {
		_, err := code(ctx, rp.config.AuthCodeURL("s", oauth2.SetAuthURLParam("prompt", "none")), rp.redirect)
		return err
	})
	fetch := func(ctx context.Context) (string, error) {
		got, err := code(ctx, rp.config.AuthCodeURL("s"), rp.redirect)
		return got.Get("code"), err
	}
	rp.Refuse("code.replay", "AADSTS54005", func(ctx context.Context) error {
		c, err := fetch(ctx)
		if err != nil {
			return err
		}
		if _, err := rp.config.Exchange(ctx, c); err != nil {
			return errors.New("the first use was refused")
		}
		_, err = rp.config.Exchange(ctx, c)
		return err
	})
	rp.Refuse("code.wrong-secret", "AADSTS7000215", func(ctx context.Context) error {
		c, err := fetch(ctx)
		if err != nil {
			return err
		}
		bad := rp.config
		bad.ClientSecret = "not " + rp.secret
		_, err = bad.Exchange(ctx, c)
		return err
	})
	rp.Refuse("code.other-redirect", "invalid_", func(ctx context.Context) error {
		c, err := fetch(ctx)
		if err != nil {
			return err
		}
		bad := rp.config
		bad.RedirectURL = "http://localhost:4180/oauth2/callback"
		_, err = bad.Exchange(ctx, c)
		return err
	})
}

// others are grants of x/oauth2 without a browser.
func (rp *relyingParty) others() {
	rp.Check("device-code", func(ctx context.Context) (string, error) {
		c := oauth2.Config{ClientID: commandLine, Scopes: []string{oidc.ScopeOpenID, graphScope}, Endpoint: rp.provider.Endpoint()}
		device, err := c.DeviceAuth(ctx)
		if err != nil {
			return "", err
		}
		if err := approve(ctx, device.UserCode); err != nil {
			return "", err
		}
		t, err := c.DeviceAccessToken(ctx, device)
		if err != nil {
			return "", err
		}
		return cases.Want(t.AccessToken, "aud", "", "oid", "")
	})
	for _, style := range []struct {
		name  string
		style oauth2.AuthStyle
	}{{"credentials.basic", oauth2.AuthStyleInHeader}, {"credentials.post", oauth2.AuthStyleInParams}} {
		rp.Check(style.name, func(ctx context.Context) (string, error) {
			c := clientcredentials.Config{
				ClientID: rp.app, ClientSecret: rp.secret, TokenURL: rp.provider.Endpoint().TokenURL, Scopes: []string{graphDefault}, AuthStyle: style.style,
			}
			t, err := c.Token(ctx)
			if err != nil {
				return "", err
			}
			return cases.Want(t.AccessToken, "aud", "", "tid", rp.tenant)
		})
	}
	rp.Check("keys.access-token", func(ctx context.Context) (string, error) {
		c := clientcredentials.Config{ClientID: rp.app, ClientSecret: rp.secret, TokenURL: rp.provider.Endpoint().TokenURL, Scopes: rp.api()}
		t, err := c.Token(ctx)
		if err != nil {
			return "", err
		}
		_, err = rp.provider.Verifier(&oidc.Config{SkipClientIDCheck: true, SkipIssuerCheck: true}).Verify(ctx, t.AccessToken)
		return "an access token verified by the published keys", err
	})
	rp.Refuse("userinfo.no-token", "401", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, rp.provider.UserInfoEndpoint(), nil)
		if err != nil {
			return err
		}
		res, err := (&http.Client{Timeout: rp.Timeout}).Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		return errors.New(res.Status)
	})
}
