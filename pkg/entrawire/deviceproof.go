package entrawire

const shapeDeviceProof = "device proof"

// DeviceProofScheme is the scheme of an Authorization header that holds a device
// proof, where the protocol has the device certificate in TLS in its place. It is
// ours: a key that signs nothing but typed requests cannot do a handshake.
const DeviceProofScheme = "DeviceProof"

// DeviceProof is the claim set with which a device proves itself, signed with
// the device key: with GrantDeviceAuth in x-ms-DeviceCredential, with
// GrantDeviceRemoval to remove itself, with GrantDeviceCheck to ask whether its tenant
// takes it. Whoever takes one must compare GrantType with the one it is for; otherwise
// a sign-in header could remove the device.
type DeviceProof struct {
	// GrantType is GrantDeviceAuth, GrantDeviceRemoval or GrantDeviceCheck.
	GrantType string
	// Iss is BrokerIssuer.
	Iss string
	// RequestNonce of the identity provider.
	RequestNonce string
	// UAClientID, UARedirectURI and ClientPlatform tell about the browser.
	UAClientID, UARedirectURI, ClientPlatform string
	// WinVer is free text.
	WinVer string
	// WindowsAPIVersion is CookieAPIVersion in x-ms-DeviceCredential.
	WindowsAPIVersion string
}

func (p *DeviceProof) members() []member {
	return []member{
		{name: "grant_type", value: &p.GrantType},
		{name: "iss", value: &p.Iss},
		{name: "request_nonce", value: &p.RequestNonce},
		{name: "ua_client_id", value: &p.UAClientID},
		{name: "ua_redirect_uri", value: &p.UARedirectURI},
		{name: "x_client_platform", value: &p.ClientPlatform},
		{name: "win_ver", value: &p.WinVer},
		{name: "windows_api_version", value: &p.WindowsAPIVersion},
	}
}

// Encode writes the claim set.
func (p DeviceProof) Encode() ([]byte, error) { return encode(shapeDeviceProof, p.members()) }

// MarshalJSON is Encode.
func (p DeviceProof) MarshalJSON() ([]byte, error) { return p.Encode() }

// UnmarshalJSON reads the claim set strictly; jose.Token.Claims calls it.
func (p *DeviceProof) UnmarshalJSON(data []byte) error { return decodeAs(shapeDeviceProof, data, p) }

// Validate checks the form. The nonce is the caller's to judge.
func (p DeviceProof) Validate() error {
	c := checker{shape: shapeDeviceProof}
	c.require(p.GrantType == GrantDeviceAuth || p.GrantType == GrantDeviceRemoval || p.GrantType == GrantDeviceCheck, "grant_type", "is not one a device proof is for")
	c.require(p.Iss == BrokerIssuer, "iss", "is not aad:brokerplugin")
	c.short("request_nonce", p.RequestNonce)
	c.short("ua_client_id", p.UAClientID)
	c.short("ua_redirect_uri", p.UARedirectURI)
	c.short("x_client_platform", p.ClientPlatform)
	c.short("win_ver", p.WinVer)
	c.short("windows_api_version", p.WindowsAPIVersion)
	return c.err
}
