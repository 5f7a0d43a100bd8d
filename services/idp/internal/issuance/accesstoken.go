package issuance

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// tokenClaims is the claim set of an access token. What a version does not have
// stays empty; amr, upn and deviceid are in both, because clients of version 2.0
// read them too.
type tokenClaims struct {
	Aud         string   `json:"aud"`
	Iss         string   `json:"iss"`
	Iat         int64    `json:"iat"`
	Nbf         int64    `json:"nbf"`
	Exp         int64    `json:"exp"`
	Acct        *int     `json:"acct,omitempty"`
	ACR         string   `json:"acr,omitempty"`
	ACRS        []string `json:"acrs,omitempty"`
	AIO         string   `json:"aio,omitempty"`
	AMR         []string `json:"amr,omitzero"`
	AppID       string   `json:"appid,omitempty"`
	AppIDACR    string   `json:"appidacr,omitempty"`
	AZP         string   `json:"azp,omitempty"`
	AZPACR      string   `json:"azpacr,omitempty"`
	Cnf         *cnf     `json:"cnf,omitempty"`
	DeviceID    string   `json:"deviceid,omitempty"`
	FamilyName  string   `json:"family_name,omitempty"`
	GivenName   string   `json:"given_name,omitempty"`
	IDP         string   `json:"idp,omitempty"`
	IDTyp       string   `json:"idtyp,omitempty"`
	IPAddress   string   `json:"ipaddr,omitempty"`
	Name        string   `json:"name,omitempty"`
	OID         string   `json:"oid"`
	Preferred   string   `json:"preferred_username,omitempty"`
	RH          string   `json:"rh,omitempty"`
	Roles       []string `json:"roles,omitempty"`
	Scope       string   `json:"scp,omitempty"`
	SignInState []string `json:"signin_state,omitempty"`
	Sub         string   `json:"sub"`
	Region      string   `json:"tenant_region_scope,omitempty"`
	TID         string   `json:"tid"`
	UniqueName  string   `json:"unique_name,omitempty"`
	UPN         string   `json:"upn,omitempty"`
	UTI         string   `json:"uti"`
	Ver         string   `json:"ver"`
	XMSCC       []string `json:"xms_cc,omitempty"`
}

// cnf binds a token to a key (RFC 7800).
type cnf struct {
	KeyID string `json:"kid"`
}

// Memory is what we remember in a token for ourselves, in the claim aio, which
// clients do not read: on-behalf-of has nothing but the token to go by, and a
// resource that asks for revocation compares it with the user as they are now.
type Memory struct {
	Credential    sealed.Credential `json:"r"`
	AuthTime      int64             `json:"w"`
	MFATime       int64             `json:"m,omitempty"`
	PasswordEpoch uint64            `json:"p"`
	SessionEpoch  uint64            `json:"e"`
	Origin        string            `json:"o,omitempty"`
	Session       string            `json:"s"`
	Certificate   []byte            `json:"c,omitempty"`
	// Used and PassEnds as in sealed.Details: a token on behalf of the user must not
	// forget them.
	Used     []methods.Used `json:"u,omitempty"`
	PassEnds int64          `json:"x,omitempty"`
}

// access are the claims of a user's access token.
func (g Grant) access(now time.Time, lifetime time.Duration, long bool) tokenClaims {
	c := g.envelope(now, lifetime)
	c.AMR, c.ACRS, c.OID, c.Name, c.Scope = notNil(g.AMR), g.ACRS, string(g.User.ID), g.User.DisplayName, g.Scopes
	c.Sub, c.UPN, c.AIO = pairwise(g.Tenant.ID, c.Aud, g.User.ID), string(g.User.UPN), g.remember()
	if g.Device != nil {
		c.DeviceID, c.SignInState = string(g.Device.ID), deviceState(*g.Device)
	}
	if long {
		c.XMSCC = []string{"CP1"}
	}
	if c.Ver == "2.0" {
		c.Preferred = string(g.User.UPN)
		return c
	}
	member := 0
	c.Acct, c.ACR, c.UniqueName = &member, "1", string(g.User.UPN)
	c.GivenName, c.FamilyName, c.IPAddress, c.Region = g.User.GivenName, g.User.Surname, g.IPAddress, g.Tenant.Region
	return c
}

// envelope is what all access tokens have: for whom, from whom, until when. The
// resource decides the version, and the endpoint only where it does not care. A
// resource has one audience per version, however a client spelled its name, so
// that it has one name to compare with.
func (g Grant) envelope(now time.Time, lifetime time.Duration) tokenClaims {
	version := g.Resource.Version
	if version == 0 {
		version = g.Version
	}
	c := tokenClaims{
		Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(lifetime).Unix(), TID: string(g.Tenant.ID), UTI: cmp.Or(g.TokenID, newID()),
		RH: routingHint(g.Tenant.ID, g.Client.ID),
	}
	if g.KeyID != "" {
		c.Cnf = &cnf{KeyID: g.KeyID}
	}
	client, proof := string(g.Client.ID), strconv.Itoa(g.Client.Proof)
	if version == 2 {
		c.Ver, c.Iss, c.Aud, c.AZP, c.AZPACR = "2.0", issuer2(g.Tenant.ID), string(g.Resource.ID), client, proof
		if c.Aud == "" {
			c.Aud = g.Resource.URI
		}
		return c
	}
	c.Ver, c.Iss, c.Aud, c.AppID, c.AppIDACR = "1.0", issuer(g.Tenant.ID), g.Resource.URI, client, proof
	return c
}

func issuer2(t ids.TenantID) string {
	return "https://login.microsoftonline.com/" + string(t) + "/v2.0"
}

func (g Grant) remember() string {
	m := Memory{
		Credential: g.From.Credential, AuthTime: g.From.AuthTime.Unix(), MFATime: g.From.MFATime,
		PasswordEpoch: g.From.PasswordEpoch, SessionEpoch: g.From.SessionEpoch, Origin: g.From.Origin, Session: g.From.SessionID,
		Used: g.From.Used, PassEnds: g.From.PassEnds,
	}
	if g.Device != nil {
		m.Certificate = g.From.Certificate[:]
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return "" // strings and numbers: cannot fail
	}
	return jose.EncodeSegment(raw)
}

// routingHint looks like the claim rh, which resources must not read.
func routingHint(t ids.TenantID, client ids.ClientID) string {
	sum := sha256.Sum256([]byte(string(t) + "|" + string(client)))
	return "1." + jose.EncodeSegment(sum[:24]) + "."
}

// deviceState are the values of the claim signin_state about the device.
func deviceState(d store.Device) (state []string) {
	if d.Managed {
		state = append(state, "dvc_mngd")
	}
	if d.Compliant {
		state = append(state, "dvc_cmp")
	}
	if d.Trust == store.TrustHybrid {
		state = append(state, "dvc_dmjd")
	}
	return state
}

// notNil keeps amr an array in JSON.
func notNil(s []string) []string { return append([]string{}, s...) }

func (a *Authority) signClaims(claims any) (secret.Text, error) {
	raw, err := json.Marshal(claims)
	if err != nil {
		return secret.Text{}, fmt.Errorf("token: %w", err)
	}
	return a.sign(raw)
}

// AccessToken is what a token of ours says about a user. That it is ours and in
// its time is checked; whether it is for whoever brings it, and whether anything
// was revoked since, is the caller's to judge.
type AccessToken struct {
	Tenant   ids.TenantID
	User     ids.UserID
	Client   ids.ClientID
	Audience string
	Scopes   []string
	DeviceID ids.DeviceID
	// KeyID is of the key that it is bound to, or empty.
	KeyID string
	// CAE says that its client takes claims challenges.
	CAE             bool
	Issued, Expires time.Time
	// From is how and when the user proved who they are: an artefact of no type.
	From sealed.Artefact
}

// ReadAccessToken takes an access token of a user that was issued here. The
// algorithm and the key are fixed here; the token has no say. It reports ok=false
// for everything else, and not why.
func (a *Authority) ReadAccessToken(text secret.Text) (AccessToken, bool) {
	t, err := jose.Parse(text.Reveal())
	if err != nil || a.Verify(t) != nil {
		return AccessToken{}, false
	}
	var c tokenClaims
	if t.Claims(&c) != nil || c.IDTyp != "" {
		return AccessToken{}, false
	}
	now := a.clock.Now()
	out := AccessToken{Audience: c.Aud, Scopes: strings.Fields(c.Scope), Issued: time.Unix(c.Iat, 0), Expires: time.Unix(c.Exp, 0), CAE: slices.Contains(c.XMSCC, "CP1")}
	var errs [3]error
	out.Tenant, errs[0] = ids.ParseTenant(c.TID)
	out.User, errs[1] = ids.ParseUser(c.OID)
	out.Client, errs[2] = ids.ParseClient(c.AppID + c.AZP)
	if errs != [3]error{} || now.Before(time.Unix(c.Nbf, 0)) || !now.Before(out.Expires) {
		return AccessToken{}, false
	}
	if c.Iss != issuer(out.Tenant) && c.Iss != issuer2(out.Tenant) {
		return AccessToken{}, false
	}
	if c.Cnf != nil {
		out.KeyID = c.Cnf.KeyID
	}
	return out, out.recall(c)
}

// recall fills From. A token without a memory, such as an ID token, is not one.
func (t *AccessToken) recall(c tokenClaims) bool {
	raw, err := jose.DecodeSegment(c.AIO)
	var m Memory
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return false
	}
	t.From = sealed.Artefact{
		Tenant: t.Tenant, User: t.User, Client: t.Client, SessionID: m.Session, Credential: m.Credential, AMR: c.AMR, AuthTime: time.Unix(m.AuthTime, 0),
		PasswordEpoch: m.PasswordEpoch, SessionEpoch: m.SessionEpoch, Issued: t.Issued, Expires: t.Expires,
		Details: sealed.Details{MFATime: m.MFATime, Origin: m.Origin, Used: m.Used, PassEnds: m.PassEnds},
	}
	if len(m.Certificate) == len(t.From.Certificate) && c.DeviceID != "" {
		id, err := ids.ParseDevice(c.DeviceID)
		t.DeviceID, t.From.Device, t.From.Certificate = id, id, [sha256.Size]byte(m.Certificate)
		return err == nil
	}
	return true
}

// Is reports whether the token is for a resource.
func (t AccessToken) Is(r tenant.Resource) bool { return r.Is(t.Audience) }

// ForRegistration reports whether the token is for device registration.
func (t AccessToken) ForRegistration() bool { return t.Audience == entrawire.RegistrationResource }
