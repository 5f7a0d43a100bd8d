package oauth

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// freshMFA is how long a second factor counts as fresh, as observed.
const freshMFA = 10 * time.Minute

// The methods that a claims request, or amr_values, can demand.
const (
	methodMFA   = "mfa"
	methodFresh = "ngcmfa"
)

// claimsRequest is what a request demands of its access token (OpenID Connect Core
// 5.5). It can raise what is demanded and never lower it: what is not known here
// is not looked at, and the policies are asked in any case.
type claimsRequest struct {
	// longLived: the client takes claims challenges (xms_cc with CP1).
	longLived bool
	// mfa and fresh demand a second factor, ever or within minutes.
	mfa, fresh bool
	// device demands a device of the tenant.
	device bool
	// contexts are authentication contexts, acrs.
	contexts []string
}

// demand is the value of one claim; null is one that asks for nothing special.
type demand struct {
	Essential bool     `json:"essential"`
	Value     string   `json:"value"`
	Values    []string `json:"values"`
}

func (d demand) all() []string {
	if d.Value != "" {
		return append([]string{d.Value}, d.Values...)
	}
	return d.Values
}

func (d demand) has(value string) bool {
	return slices.ContainsFunc(d.all(), func(v string) bool { return strings.EqualFold(v, value) })
}

func parseClaims(text string) (claimsRequest, error) {
	var c claimsRequest
	if text == "" {
		return c, nil
	}
	wrong := prterr.AADSTS(aadsts.InvalidRequest, "claims is not a claims request: an object with access_token, in JSON")
	var outer struct {
		AccessToken map[string]json.RawMessage `json:"access_token"`
	}
	if err := jose.DecodeObject([]byte(text), &outer); err != nil {
		return c, wrong
	}
	for name, raw := range outer.AccessToken {
		var d demand
		if !slices.Contains([]string{"xms_cc", "amr", "deviceid", "acrs"}, name) {
			continue
		}
		if err := json.Unmarshal(raw, &d); err != nil {
			return c, wrong
		}
		switch name {
		case "xms_cc":
			c.longLived = d.has("cp1")
		case "amr":
			c.mfa, c.fresh = d.has(methodMFA), d.has(methodFresh)
		case "deviceid":
			c.device = d.Essential
		case "acrs":
			c.contexts = d.all()
		}
	}
	if len(c.contexts) > 25 || slices.ContainsFunc(c.contexts, func(s string) bool { return s == "" || len(s) > 64 }) {
		return c, wrong
	}
	return c, nil
}

// demandMethods adds what the parameter amr_values demands.
func (c *claimsRequest) demandMethods(amrValues string) {
	for _, v := range strings.FieldsFunc(amrValues, func(r rune) bool { return r == ' ' || r == ',' }) {
		c.mfa = c.mfa || strings.EqualFold(v, methodMFA)
		c.fresh = c.fresh || strings.EqualFold(v, methodFresh)
	}
}
