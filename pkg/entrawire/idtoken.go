package entrawire

import (
	"encoding/json"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
)

const (
	shapeIDToken    = "ID token"
	shapeClientInfo = "client_info"
)

// IDToken is the claim set of an ID token: unsigned beside a PRT, signed for a
// web application.
type IDToken struct {
	// Aud is the application the token is for, Iss the issuer's URL.
	Aud, Iss string
	// Iat, Nbf and Exp are seconds since 1970.
	Iat, Nbf, Exp int64
	// AMR is how the user proved who they are, such as "pwd" and "rsa".
	AMR []string
	// Methods is ours: how the user proved who they are, in the words of authentication
	// strengths, in the order of the proofs. It stands beside a PRT, where AMR cannot
	// tell a certificate from a Hello key.
	Methods []string
	// AuthTime is when the user last proved who they are, in seconds since 1970, 0 for
	// not said (OpenID Connect Core 2, auth_time).
	AuthTime int64
	// MFATime is ours: when a second factor was last shown, in seconds since 1970, 0 for
	// never. It stands beside a PRT, for a device that tells its user about it; who
	// judges a second factor judges the sealed artefact.
	MFATime int64
	// Name is the display name.
	Name string
	// Nonce of the application, in web sign-in.
	Nonce string
	// OID is the user's object id, TID the tenant's id; GUIDs.
	OID, TID string
	// Sub names the user to this application only.
	Sub string
	// TenantDisplayName names the organisation.
	TenantDisplayName string
	// UniqueName, UPN and PreferredUsername are the user principal name; clients
	// differ in which of the three they read.
	UniqueName, UPN, PreferredUsername string
	// DeviceID is the device the user signed in on, a GUID or empty.
	DeviceID string
	// Ver is "1.0" or "2.0".
	Ver string
}

func (t *IDToken) members() []member {
	return []member{
		{name: "aud", value: &t.Aud},
		{name: "iss", value: &t.Iss},
		{name: "iat", value: &t.Iat},
		{name: "nbf", value: &t.Nbf},
		{name: "exp", value: &t.Exp},
		{name: "amr", value: &t.AMR},
		{name: "lockstep_methods", value: &t.Methods},
		{name: "auth_time", value: &t.AuthTime},
		{name: "mfa_time", value: &t.MFATime},
		{name: "name", value: &t.Name},
		{name: "nonce", value: &t.Nonce},
		{name: "oid", value: &t.OID},
		{name: "preferred_username", value: &t.PreferredUsername},
		{name: "sub", value: &t.Sub},
		{name: "tenant_display_name", value: &t.TenantDisplayName},
		{name: "tid", value: &t.TID},
		{name: "unique_name", value: &t.UniqueName},
		{name: "upn", value: &t.UPN},
		{name: "deviceid", value: &t.DeviceID},
		{name: "ver", value: &t.Ver},
	}
}

// Encode writes the claim set.
func (t IDToken) Encode() ([]byte, error) { return encode(shapeIDToken, t.members()) }

// MarshalJSON is Encode.
func (t IDToken) MarshalJSON() ([]byte, error) { return t.Encode() }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (t *IDToken) UnmarshalJSON(data []byte) error { return decodeAs(shapeIDToken, data, t) }

// Validate checks the form: who the user is and that the times make sense.
// Whether the token is expired is the caller's to judge.
func (t IDToken) Validate() error {
	c := checker{shape: shapeIDToken}
	_, err := ids.ParseUser(t.OID)
	c.require(err == nil, "oid", "is not a GUID")
	_, err = ids.ParseTenant(t.TID)
	c.require(err == nil, "tid", "is not a GUID")
	c.require(t.Name != "", "name", "is missing")
	c.require(t.Exp > t.Iat, "exp", "is not after iat")
	c.short("name", t.Name)
	c.short("upn", t.UPN)
	return c.err
}

// ClientInfo names the account that tokens are for.
type ClientInfo struct {
	// UID is the user's object id, UTID the tenant's id.
	UID  ids.UserID   `json:"uid"`
	UTID ids.TenantID `json:"utid"`
}

// EncodeClientInfo makes the client_info member of an answer: base64url JSON.
func EncodeClientInfo(user ids.UserID, tenant ids.TenantID) string {
	return jose.EncodeSegment([]byte(`{"uid":` + quote(string(user)) + `,"utid":` + quote(string(tenant)) + `}`))
}

// ParseClientInfo reads the client_info member of an answer.
func ParseClientInfo(s string) (ClientInfo, error) {
	raw, err := jose.DecodeSegment(s)
	if err != nil {
		return ClientInfo{}, err
	}
	var wire map[string]json.RawMessage
	if err := jose.DecodeObject(raw, &wire); err != nil {
		return ClientInfo{}, err
	}
	c := checker{shape: shapeClientInfo}
	uid, err := jose.Text(wire["uid"])
	c.require(err == nil, "uid", "is missing or not a string")
	utid, err := jose.Text(wire["utid"])
	c.require(err == nil, "utid", "is missing or not a string")
	user, err := ids.ParseUser(uid)
	c.require(err == nil, "uid", "is not a GUID")
	tenant, err := ids.ParseTenant(utid)
	c.require(err == nil, "utid", "is not a GUID")
	if c.err != nil {
		return ClientInfo{}, c.err
	}
	return ClientInfo{UID: user, UTID: tenant}, nil
}
