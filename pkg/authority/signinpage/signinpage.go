// Package signinpage makes the address of a sign-in page that brings a PRT or a
// consent, and reads where the page ended.
//
// What lives here: the request of RFC 6749 section 4.1.1 with the proof key of RFC
// 7636, the state that makes an end this page's and nobody else's, and the reading of
// that end as from a stranger. What never may: a call, a cookie, memory of a page. The
// authorities of the PRT call it: the CloudAP plug-in and the WAM plug-in.
package signinpage

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	// UpdateResource is what a PRT is asked for at a page: nothing but the PRT.
	UpdateResource = "urn:aad:tb:update:prt"
	// FreshFactor demands a second factor of the last ten minutes.
	FreshFactor = "ngcmfa"
	// AppRedirect is, with the application's id behind it, the address that every
	// application has for the broker of Windows.
	AppRedirect = "ms-appx-web://Microsoft.AAD.BrokerPlugin/"
	// BrokerRedirect is the address registered for the broker itself.
	BrokerRedirect = AppRedirect + "DRS"
	// chance is how many random bytes a state and a verifier have.
	chance = 32
)

// Request is what a page is asked for.
type Request struct {
	Tenant ids.TenantID
	// Client whose page it is, and Resource that it wants. Both empty is the broker's
	// own page for a new PRT.
	Client, Resource string
	// Consents is a page of an application: it ends at the address of that application.
	Consents bool
	// FreshFactor demands a second factor of the last ten minutes.
	FreshFactor bool
	// Hint is a user name, Claims a claims challenge in JSON; either may be empty.
	Hint   ids.UPN
	Claims string
	// SignIn demands a sign-in whatever PRT there is.
	SignIn bool
}

// State is what the end of a page is judged by. It is a secret of whoever began the
// page: verifier and state belong together and to nobody else.
type State struct {
	Purpose  int32        `json:"purpose"`
	Tenant   ids.TenantID `json:"tenant"`
	Client   string       `json:"client"`
	Redirect string       `json:"redirect"`
	State    string       `json:"state"`
	Verifier string       `json:"verifier"`
}

// Begin makes the address of a page of a tenant, under the base address of sign-in
// pages, and the state of its end. The endpoint is the one without a version, because
// pages for a PRT name a resource. Nonce is a fresh one of the identity provider; the
// header that proves the device to the page has the same.
func (r Request) Begin(base, nonce string) (string, State) {
	s := State{Tenant: r.Tenant, Client: r.Client, Redirect: BrokerRedirect, State: random(), Verifier: random()}
	if s.Client == "" {
		s.Client = entrawire.BrokerClientID
	}
	if r.Consents {
		s.Redirect = AppRedirect + r.Client
	}
	resource := r.Resource
	if resource == "" {
		resource = UpdateResource
	}
	challenge := sha256.Sum256([]byte(s.Verifier))
	query := url.Values{
		"response_type": {"code"}, "scope": {"openid"}, "resource": {resource}, "client_id": {s.Client}, "redirect_uri": {s.Redirect},
		"state": {s.State}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"sso_nonce": {nonce},
	}
	if r.FreshFactor {
		query.Set("amr_values", FreshFactor)
	}
	for name, value := range map[string]string{"login_hint": string(r.Hint), "claims": r.Claims} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if r.SignIn {
		query.Set("prompt", "login")
	}
	return base + "/" + string(r.Tenant) + "/oauth2/authorize?" + query.Encode(), s
}

// Encode writes the state for whoever keeps it until the page ends, at most 4 KiB.
func (s State) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the state of the page does not encode")
	}
	return b, nil
}

// ReadState reads what Encode wrote; anything else is prterr.Invalid.
func ReadState(raw []byte) (State, error) {
	var s State
	bad := prterr.New(prterr.Invalid, "state is not one of this plug-in's")
	if len(raw) > artefact.MaxPageState || json.Unmarshal(raw, &s) != nil || s.State == "" || s.Verifier == "" || s.Redirect == "" {
		return State{}, bad
	}
	if _, err := ids.ParseTenant(string(s.Tenant)); err != nil {
		return State{}, bad
	}
	return s, nil
}

// random is text of 43 characters from 32 random bytes, as RFC 7636 section 4.1 has it.
func random() string {
	raw := make([]byte, chance)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Code reads the address that a page ended at. It comes from a browser, so from a
// stranger: it must begin with our redirect address and carry our state, and until
// then not even its error is believed (RFC 6749 section 10.12).
func (s State) Code(final secret.Text) (secret.Text, error) {
	foreign := prterr.New(prterr.Denied, "final_uri is not the end of this page: begin again")
	address, _, _ := strings.Cut(final.Reveal(), "#")
	to, query, found := strings.Cut(address, "?")
	// Browsers differ in whether they keep the case of a host they do not know.
	if !found || !strings.EqualFold(to, s.Redirect) {
		return secret.Text{}, foreign
	}
	values, err := url.ParseQuery(query)
	if err != nil || len(values["state"]) != 1 || subtle.ConstantTimeCompare([]byte(values["state"][0]), []byte(s.State)) != 1 {
		return secret.Text{}, foreign
	}
	if values.Has("error") {
		return secret.Text{}, pageError(values)
	}
	if len(values["code"]) != 1 || !artefact.Opaque(values["code"][0], artefact.MaxFinalURI) {
		return secret.Text{}, foreign
	}
	return secret.NewText(values["code"][0]), nil
}

// pageError makes an error of the parameters of RFC 6749 section 4.1.2.1. Of a known
// code only the number is taken; the words are ours.
func pageError(values url.Values) error {
	if number, _, found := strings.Cut(strings.TrimPrefix(values.Get("error_description"), "AADSTS"), ":"); found {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			if _, known := aadsts.Lookup(aadsts.Code(n)); known {
				return prterr.AADSTS(aadsts.Code(n), "")
			}
		}
	}
	if values.Get("error") == "access_denied" || values.Get("error_subcode") == "cancel" {
		return prterr.New(prterr.Denied, "the sign-in at the page was cancelled")
	}
	return prterr.New(prterr.Denied, "the sign-in page ended with an error")
}
