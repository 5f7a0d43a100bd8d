package authorize

import (
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Bounds of what an application may send, in bytes. All of it travels with the
// pages of the sign-in.
const (
	maxURI, maxState, maxNonce, maxScope, maxHint, maxClaims = 2048, 4096, 512, 4096, 256, 4096
	minChallenge, maxChallenge                               = 43, 128 // RFC 7636 section 4.2
)

// application checks who asks and where the answer goes: AADSTS90002, 900144,
// 700016, 50011. The address is compared letter for letter with what is
// registered, so that a code goes nowhere else.
func (s *Service) application(v Visit) (flowstate.Asked, error) {
	a := flowstate.Asked{V2: v.V2}
	candidates, err := s.tenants(v.Tenant, &a)
	if err != nil {
		return a, err
	}
	if v.ClientID == "" {
		return a, prterr.AADSTS(aadsts.MissingParameter, "client_id is missing")
	}
	id, err := ids.ParseClient(v.ClientID)
	switch {
	case err != nil:
		return a, prterr.AADSTS(aadsts.InvalidRequest, "client_id is not right: %v", err)
	case v.RedirectURI == "":
		return a, prterr.AADSTS(aadsts.MissingParameter, "redirect_uri is missing")
	case len(v.RedirectURI) > maxURI:
		return a, prterr.AADSTS(aadsts.InvalidRequest, "redirect_uri is longer than %d bytes", maxURI)
	}
	a.Client, a.RedirectURI = id, v.RedirectURI
	refused := prterr.AADSTS(aadsts.ApplicationNotFound, "")
	for _, t := range candidates {
		app, known := t.Application(id)
		switch {
		case known && app.Redirects(v.RedirectURI):
			return a, nil
		case known:
			refused = prterr.AADSTS(aadsts.InvalidReplyTo, "")
		}
	}
	return a, refused
}

// tenants are the directories that a segment of the path may mean.
func (s *Service) tenants(segment string, a *flowstate.Asked) ([]*tenant.Tenant, error) {
	segment = strings.ToLower(segment)
	switch segment {
	case "", "common", "organizations":
		return s.gate.Tenants.All(), nil
	}
	if home, ok := s.gate.Tenants.Home(segment); ok {
		a.Tenant = home.Tenant.ID
		return []*tenant.Tenant{home.Tenant}, nil
	}
	if id, err := ids.ParseTenant(segment); err == nil {
		if t, ok := s.gate.Tenants.Tenant(id); ok {
			a.Tenant = t.ID
			return []*tenant.Tenant{t}, nil
		}
	}
	return nil, prterr.AADSTS(aadsts.TenantNotFound, "")
}

// form checks the rest of the request. It sets where an error goes first.
func form(v Visit, a *flowstate.Asked) error {
	if len(v.State) > maxState {
		return prterr.AADSTS(aadsts.InvalidRequest, "state is longer than %d bytes", maxState)
	}
	a.State = v.State
	for _, part := range []func(Visit, *flowstate.Asked) error{response, prompt, proofKey, parameters} {
		if err := part(v, a); err != nil {
			return err
		}
	}
	return demands(v.Claims, v.AMRValues, a)
}

// response reads response_type and response_mode. Tokens never come in a query,
// which servers and browsers keep (OAuth 2.0 Multiple Response Types, section 5),
// and access tokens never come from here.
func response(v Visit, a *flowstate.Asked) error {
	types := strings.Fields(v.ResponseType)
	a.Code, a.IDToken = slices.Contains(types, "code"), slices.Contains(types, "id_token")
	standard := "query"
	if a.IDToken {
		standard = "fragment"
	}
	a.Mode = standard
	switch v.ResponseMode {
	case "", "query", "fragment", "form_post":
	default:
		return prterr.AADSTS(aadsts.UnsupportedResponseMode, "")
	}
	if a.IDToken && v.ResponseMode == "query" {
		return prterr.AADSTS(aadsts.UnsupportedResponseMode, "")
	}
	if v.ResponseMode != "" {
		a.Mode = v.ResponseMode
	}
	slices.Sort(types)
	switch strings.Join(types, " ") {
	case "code", "id_token", "code id_token":
		return nil
	case "":
		return prterr.AADSTS(aadsts.MissingParameter, "response_type is missing")
	default:
		return prterr.AADSTS(aadsts.UnsupportedResponseType, "")
	}
}

// prompt reads prompt. An application that needs no consent is not asked about; nobody
// can create an account here, so create is a sign-in.
func prompt(v Visit, a *flowstate.Asked) error {
	all := strings.Fields(v.Prompt)
	for _, p := range all {
		switch p {
		case "none":
			a.Silent = true
		case "login", "select_account", "create":
			a.Fresh = true
		case "consent", "admin_consent":
			a.Consent = true
		default:
			return prterr.AADSTS(aadsts.InvalidRequest, "prompt is not one of none, login, select_account, consent and create")
		}
	}
	if a.Silent && len(all) > 1 {
		return prterr.AADSTS(aadsts.InvalidRequest, "prompt=none does not go with another one")
	}
	return nil
}

// proofKey reads the code challenge of RFC 7636.
func proofKey(v Visit, a *flowstate.Asked) error {
	if v.CodeChallenge == "" {
		if v.ChallengeMethod != "" {
			return prterr.AADSTS(aadsts.MissingParameter, "code_challenge is missing")
		}
		return nil
	}
	method := v.ChallengeMethod
	if method == "" {
		method = "plain"
	}
	foreign := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._~", r))
	}
	n := len(v.CodeChallenge)
	switch {
	case method != "S256" && method != "plain":
		return prterr.AADSTS(aadsts.InvalidRequest, "code_challenge_method is not S256 or plain")
	case n < minChallenge || n > maxChallenge || strings.ContainsFunc(v.CodeChallenge, foreign):
		return prterr.AADSTS(aadsts.InvalidRequest, "code_challenge is not %d to %d characters of A-Z a-z 0-9 - . _ ~", minChallenge, maxChallenge)
	}
	a.Challenge = method + ":" + v.CodeChallenge
	return nil
}

// parameters reads what is left.
func parameters(v Visit, a *flowstate.Asked) error {
	switch {
	case len(v.Nonce) > maxNonce:
		return prterr.AADSTS(aadsts.InvalidRequest, "nonce is longer than %d bytes", maxNonce)
	case len(v.Scope) > maxScope || len(v.Resource) > maxScope:
		return prterr.AADSTS(aadsts.InvalidRequest, "scope or resource is longer than %d bytes", maxScope)
	case len(v.LoginHint) > maxHint || len(v.DomainHint) > maxHint:
		return prterr.AADSTS(aadsts.InvalidRequest, "login_hint or domain_hint is longer than %d bytes", maxHint)
	case a.IDToken && v.Nonce == "":
		// OpenID Connect Core 3.2.2.1: without it a token could be played again.
		return prterr.AADSTS(aadsts.MissingParameter, "nonce is missing: an ID token needs one")
	}
	a.Nonce, a.Scope, a.Hint = v.Nonce, strings.Join(strings.Fields(v.Scope), " "), v.LoginHint
	if !v.V2 {
		a.Resource = v.Resource
	}
	a.Encrypted = v.WindowsAPIVersion != ""
	return nil
}
