package entrawire

import "github.com/lockstep-sso/lockstep/pkg/secret"

const shapeCookie = "PRT cookie"

// Cookie is the claim set of a PRT cookie, signed with the session key
// (MS-OAPXBC 3.2.5.2.1.1.1; browser SSO, step D).
type Cookie struct {
	// RefreshToken is the PRT.
	RefreshToken secret.Text
	// IsPrimary says so; the string "true" on the wire.
	IsPrimary bool
	// RequestNonce is the sso_nonce of the sign-in page.
	RequestNonce string
	// Iat is seconds since 1970 in the old form without a nonce, else 0.
	Iat int64
	// UAClientID, UARedirectURI and ClientPlatform tell about the browser.
	UAClientID, UARedirectURI, ClientPlatform string
	// WinVer is free text.
	WinVer string
	// WindowsAPIVersion is CookieAPIVersion when the client takes nonce challenges.
	WindowsAPIVersion string
	// GrantType has no place in a cookie: it is read so that another request that
	// was signed with the same session key does not pass for one.
	GrantType string
}

func (k *Cookie) members() []member {
	return []member{
		{name: "refresh_token", value: &k.RefreshToken},
		{name: "is_primary", value: &k.IsPrimary, how: quoted},
		{name: "request_nonce", value: &k.RequestNonce},
		{name: "iat", value: &k.Iat, how: quoted},
		{name: "ua_client_id", value: &k.UAClientID},
		{name: "ua_redirect_uri", value: &k.UARedirectURI},
		{name: "x_client_platform", value: &k.ClientPlatform},
		{name: "win_ver", value: &k.WinVer},
		{name: "windows_api_version", value: &k.WindowsAPIVersion},
		{name: "grant_type", value: &k.GrantType},
	}
}

// Encode writes the claim set, the PRT included.
func (k Cookie) Encode() ([]byte, error) { return encode(shapeCookie, k.members()) }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (k *Cookie) UnmarshalJSON(data []byte) error { return decodeAs(shapeCookie, data, k) }

// Validate checks the form. Whether a nonce is needed is the caller's to judge.
func (k Cookie) Validate() error {
	c := checker{shape: shapeCookie}
	c.require(!k.RefreshToken.Empty(), "refresh_token", "is missing")
	c.short("request_nonce", k.RequestNonce)
	c.short("ua_client_id", k.UAClientID)
	c.short("ua_redirect_uri", k.UARedirectURI)
	c.short("x_client_platform", k.ClientPlatform)
	c.short("win_ver", k.WinVer)
	c.short("windows_api_version", k.WindowsAPIVersion)
	c.require(k.GrantType == "", "grant_type", "has no place in a cookie")
	return c.err
}
