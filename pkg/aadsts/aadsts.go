// Package aadsts is the table of the identity provider's error codes: number,
// name, meaning, and how each looks on the OAuth wire. It is data; what makes an
// error of a row is pkg/prterr, what writes it to a wire is that wire's edge.
//
// Numbers, names and meanings are those of the public error reference; where
// the wire form was not observed it follows the neighbours of the same class.
package aadsts

import "fmt"

// Code is the number behind AADSTS.
type Code int

// The codes that this system answers with.
const (
	InteractionRequired         Code = 16000
	InvalidResource             Code = 50001
	InvalidReplyTo              Code = 50011
	InvalidAssertion            Code = 50013
	UserNotInTenant             Code = 50020
	UserAccountNotFound         Code = 50034
	AccountLocked               Code = 50053
	PasswordExpired             Code = 50055
	NoPassword                  Code = 50056
	UserDisabled                Code = 50057
	UserInformationMissing      Code = 50058
	TenantNotIdentified         Code = 50059
	InvalidCredentials          Code = 50126
	DeviceAuthenticationFailed  Code = 50155
	FreshTokenNeeded            Code = 50173
	InvalidGrant                Code = 70000
	UnsupportedGrantType        Code = 70003
	InvalidScope                Code = 70011
	InvalidClient               Code = 70002
	ExpiredToken                Code = 700082
	ApplicationNotFound         Code = 700016
	TenantNotFound              Code = 90002
	MissingParameter            Code = 900144
	InvalidRequest              Code = 90023
	MalformedRequest            Code = 9002313
	Throttled                   Code = 90055
	DeviceDisabled              Code = 135011
	InvalidNonce                Code = 140000
	InvalidSessionKey           Code = 140001
	RegistrationNotAllowed      Code = 240001
	KDFVersionInvalid           Code = 5000611
	MissingImmutableID          Code = 90020
	KeyNotFound                 Code = 135010
	DeviceInformationNotPresent Code = 50187

	MFARequired                  Code = 50076
	DeviceAuthenticationRequired Code = 50097
	DeviceNotCompliant           Code = 53000
	BlockedByPolicy              Code = 53003
	SignInFrequency              Code = 70043
)

// Row is one line of the table.
type Row struct {
	Code Code
	// Name is the symbolic name of the public reference.
	Name string
	// Meaning is one sentence for people, with what to do next.
	Meaning string
	// HTTPStatus of the answer that carries it.
	HTTPStatus int
	// OAuthError and SubError are the members error and suberror of RFC 6749 form.
	OAuthError, SubError string
}

// String is the code as people search for it.
func (c Code) String() string { return fmt.Sprintf("AADSTS%d", int(c)) }

// Lookup finds the row of a code.
func Lookup(c Code) (Row, bool) {
	for _, r := range Table() {
		if r.Code == c {
			return r, true
		}
	}
	return Row{}, false
}

// Table returns all rows, ordered by code.
func Table() []Row {
	const grant, interaction, request = "invalid_grant", "interaction_required", "invalid_request"
	return []Row{
		{InteractionRequired, "InteractionRequired", "The account and the tenant do not match: sign in again.", 400, interaction, ""},
		{InvalidResource, "InvalidResource", "The resource is disabled or does not exist: check the resource name.", 400, "invalid_resource", ""},
		{InvalidReplyTo, "InvalidReplyTo", "The redirect address is not registered for the application: register it.", 400, request, ""},
		{InvalidAssertion, "InvalidAssertion", "The assertion is not valid: get a fresh one from its issuer.", 400, grant, ""},
		{UserNotInTenant, "UserUnauthorized", "The user does not belong to this tenant: use an account of the device's tenant.", 400, grant, ""},
		{UserAccountNotFound, "UserAccountNotFound", "The user does not exist in the tenant: check the user name.", 400, grant, ""},
		{AccountLocked, "IdsLocked", "The account is locked after too many wrong passwords: wait, then try again.", 400, grant, ""},
		{PasswordExpired, "InvalidPasswordExpiredPassword", "The password has expired: change it.", 400, grant, "user_password_expired"},
		{NoPassword, "InvalidOrNullPassword", "The directory has no password for this user: sign in with the federation provider.", 400, grant, ""},
		{UserDisabled, "UserDisabled", "The user account is disabled: ask an administrator.", 400, grant, "bad_token"},
		{UserInformationMissing, "UserInformationNotProvided", "There is no session to sign in with silently: sign in.", 400, "login_required", ""},
		{TenantNotIdentified, "MissingTenantRealmAndNoUserInformationProvided", "The request names no tenant: add one.", 400, request, ""},
		{InvalidCredentials, "InvalidUserNameOrPassword", "The user name or the password is wrong: check both.", 400, grant, ""},
		{DeviceAuthenticationFailed, "DeviceAuthenticationFailed", "The device could not be authenticated: check that it is still registered.", 400, grant, "device_authentication_failed"},
		{FreshTokenNeeded, "FreshTokenNeeded", "The token was revoked, for example by a password change: sign in again.", 400, grant, "bad_token"},
		{DeviceInformationNotPresent, "DeviceInformationNotProvided", "The request holds no device: sign it with the device key.", 400, grant, ""},
		{MFARequired, "UserStrongAuthClientAuthNRequiredInterrupt", "A policy demands a second factor: sign in interactively.", 400, grant, "basic_action"},
		{DeviceAuthenticationRequired, "DeviceAuthenticationRequired", "A policy demands a device of the organisation: sign in from one.", 400, grant, "basic_action"},
		{DeviceNotCompliant, "DeviceNotCompliant", "A policy demands a compliant device: repair what the device management names.", 400, grant, "additional_action"},
		{BlockedByPolicy, "BlockedByConditionalAccess", "A policy blocks this sign-in: ask an administrator.", 400, grant, "message_only"},
		{SignInFrequency, "BadTokenDueToSignInFrequency", "A policy demands a more recent sign-in: sign in again.", 400, grant, "token_expired"},
		{InvalidGrant, "InvalidGrant", "The grant is not valid for this request: start again from the sign-in.", 400, grant, "bad_token"},
		{InvalidClient, "InvalidClient", "The client could not be authenticated: check its secret.", 401, "invalid_client", ""},
		{UnsupportedGrantType, "UnsupportedGrantType", "The grant type is not supported here: check grant_type.", 400, "unsupported_grant_type", ""},
		{InvalidScope, "InvalidScope", "The scope is not valid: check its spelling and the resource it belongs to.", 400, "invalid_scope", ""},
		{MissingImmutableID, "MissingSamlAttribute", "The SAML assertion lacks ImmutableID: add the claim at the federation provider.", 400, grant, ""},
		{TenantNotFound, "InvalidTenantName", "The tenant does not exist: check the domain of the user name.", 400, request, ""},
		{InvalidRequest, "InvalidRequest", "The request is not valid: see the field that the message names.", 400, request, ""},
		{Throttled, "TenantThrottlingError", "Too many requests: wait a little.", 429, "temporarily_unavailable", ""},
		{KeyNotFound, "KeyNotFound", "The key is not registered for this user: provision it again.", 400, grant, ""},
		{DeviceDisabled, "DeviceDisabled", "The device is disabled: ask an administrator.", 400, grant, "device_authentication_failed"},
		{InvalidNonce, "InvalidRequestNonce", "The nonce is missing, unknown, too old or used up: get a new one.", 400, grant, ""},
		{InvalidSessionKey, "InvalidSessionKey", "The request is not signed with the session key of its PRT: sign in again.", 400, grant, ""},
		{RegistrationNotAllowed, "DeviceRegistrationNotAllowed", "This user may not register devices: ask an administrator.", 400, grant, ""},
		{ApplicationNotFound, "UnauthorizedClientApplicationNotFound", "The application is not registered in the tenant: check client_id.", 400, "unauthorized_client", ""},
		{ExpiredToken, "ExpiredOrRevokedGrantInactiveToken", "The token has expired: sign in again.", 400, grant, "bad_token"},
		{MissingParameter, "MissingRequiredField", "A required parameter is missing: see the field that the message names.", 400, request, ""},
		{KDFVersionInvalid, "KDFVersionInvalid", "Symmetric Key Derivation Function version '1' is invalid: update the device.", 400, grant, ""},
		{MalformedRequest, "MalformedRequest", "The request is malformed: see the field that the message names.", 400, request, ""},
	}
}
