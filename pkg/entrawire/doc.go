// Package entrawire holds the shapes of the PRT protocol: what crosses between a
// device and its identity provider, byte for byte.
//
// What lives here: claim sets and answers with their member names and order, the
// two encrypted forms (a session key wrapped for a transport key, an answer under
// a session key), each once as Entra has it and once as a TPM can hold it, the
// session-key signature, key blobs, certificate requests and
// device certificates. What never may: policy. Whether a nonce is fresh, a device
// enabled or version 1 of the derivation still good is decided by the caller;
// here it is only read. The README says where each fact comes from.
//
// The TPM agent and the identity provider are the two sides; tools and tests call
// the software helpers.
package entrawire

// Application ids that the protocol itself uses, as GUIDs.
const (
	// BrokerClientID is the authentication broker.
	BrokerClientID = "29d9ed98-a469-4536-ade2-f981bc1d605e"
	// SignInClientID is the Windows sign-in, which asks for PRTs and renews them.
	SignInClientID = "38aa3b87-a06d-4817-b275-7a316988d93b"
	// RegistrationClientID is device registration as a resource.
	RegistrationClientID = "01cb2876-7ebd-4aa4-9cc9-d28bd4d359a9"
)

const (
	// RegistrationResource is the audience of tokens for device registration.
	RegistrationResource = "urn:ms-drs:enterpriseregistration.windows.net"
	// BrokerIssuer is the iss claim of requests a broker signs.
	BrokerIssuer = "aad:brokerplugin"
	// SessionAudience is the aud claim of session-signed requests.
	SessionAudience = "login.microsoftonline.com"
	// CookieName is the header and cookie that carries a PRT cookie.
	CookieName = "x-ms-RefreshTokenCredential"
	// DeviceCookieName is the header and cookie that carries a device proof.
	DeviceCookieName = "x-ms-DeviceCredential"
	// CookieAPIVersion says that a client can answer a nonce challenge.
	CookieAPIVersion = "2.0.1"
	// TokenType is the token_type of every answer.
	TokenType = "Bearer"
	// WinVer is the win_ver claim of requests that this implementation signs.
	WinVer = "Lockstep"
)

// Values of the grant_type claim.
const (
	GrantPassword     = "password"
	GrantRefreshToken = "refresh_token"
	GrantHello        = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	GrantSAML1        = "urn:ietf:params:oauth:grant-type:saml1_1-bearer"
	GrantSAML2        = "urn:ietf:params:oauth:grant-type:saml2-bearer"
	GrantDeviceAuth   = "device_auth"
	// GrantDeviceRemoval is ours: the protocol removes a device over mutual TLS.
	// It is a value of its own so that no device proof doubles as a removal.
	GrantDeviceRemoval = "urn:lockstep:params:grant-type:device-removal"
	// GrantDataKey is ours: how the public service delivers the key under which a
	// device's data-protection keys rest is not known. As a value of its own it keeps
	// the three requests under a session key apart.
	GrantDataKey = "urn:lockstep:params:grant-type:data-key"
	// GrantDeviceCheck is ours too, and of its own for the same reason: what asks
	// whether a device stands must neither sign it in nor remove it.
	GrantDeviceCheck = "urn:lockstep:params:grant-type:device-check"
)

// Scopes.
const (
	// ScopePRT is the scope of a request for a PRT and of a renewal. aza is what
	// asks for a PRT, ugs for the user's group data.
	ScopePRT = "openid aza ugs"
	// ScopeToken is the scope of an app-token request.
	ScopeToken = "openid"
	// ScopeTokenPRT also asks for a new PRT in the same answer.
	ScopeTokenPRT = "openid aza"
	scopeOpenID   = "openid"
	scopeAZA      = "aza"
)
