package aadsts

// Values of the member error.
const (
	grant       = "invalid_grant"
	interaction = "interaction_required"
	login       = "login_required"
	request     = "invalid_request"
	scope       = "invalid_scope"
	resource    = "invalid_resource"
	client      = "unauthorized_client"
	secret      = "invalid_client"
	unavailable = "temporarily_unavailable"
)

// Values of the member suberror.
const (
	basic        = "basic_action"      // something simple, such as a second factor
	additional   = "additional_action" // something outside of the sign-in, such as enrolment
	message      = "message_only"      // nothing the user could do
	badToken     = "bad_token"         // dead for every resource
	consent      = "consent_required"
	pwExpired    = "user_password_expired"
	deviceFailed = "device_authentication_failed"
)

// onPage marks what a user meets on a page.
const onPage = true

// table has one line a code, ordered by number:
// code, name, meaning, status, error, suberror, error of v1, on a page, rows.
var table = [...]Row{
	{InteractionRequired, "InteractionRequired", "The account and the tenant do not match: sign in again.", 400, interaction, "", "", false, ""},
	{InvalidResource, "InvalidResource", "The resource is disabled or does not exist: check the resource name.", 400, scope, "", resource, false, ""},
	{InvalidReplyTo, "InvalidReplyTo", "The redirect address is not registered for the application: register it.", 400, request, "", "", onPage, "APP05 BRO10"},
	{InvalidAssertion, "InvalidAssertion", "The assertion is not valid: get a fresh one from its issuer.", 400, grant, "", "", false, "FED06 ISS04 REN05"},
	{CertificateRefused, "CertificateValidationFailed", "The certificate cannot be used to sign in: choose another one, or sign in another way.", 400, grant, "", "", onPage, ""},
	{UserNotInTenant, "UserUnauthorized", "The user does not belong to this tenant: use an account of the device's tenant.", 400, grant, "", "", false, "ISS27 ISS04 REN05"},
	{InvalidJWT, "InvalidJwtToken", "The signed token cannot be read or its signature is wrong: send the token as it was issued.", 400, grant, "", "", false, ""},
	{UserAccountNotFound, "UserAccountNotFound", "The user does not exist in the tenant: check the user name.", 400, grant, "", "", false, ""},
	{InstanceNotFound, "NoSuchInstanceForDiscovery", "The host of the authority is not known here: check the address of the authority.", 400, "invalid_instance", "", "", false, ""},
	{AccountLocked, "IdsLocked", "The account is locked after too many wrong passwords: wait, then try again.", 400, grant, "", "", false, ""},
	{PasswordExpired, "InvalidPasswordExpiredPassword", "The password has expired: change it.", 400, grant, pwExpired, "", false, ""},
	{NoPassword, "InvalidOrNullPassword", "The directory has no password for this user: sign in with the federation provider.", 400, grant, "", "", false, "ISS04 REN05"},
	{UserDisabled, "UserDisabled", "The user account is disabled: ask an administrator.", 400, grant, badToken, "", false, "INV01 ISS06"},
	{UserInformationMissing, "UserInformationNotProvided", "There is no session to sign in with silently: sign in.", 400, login, "", "", false, "BRO10"},
	{TenantNotIdentified, "MissingTenantRealmAndNoUserInformationProvided", "The request names no tenant: add one.", 400, request, "", "", false, ""},
	{EnrolmentInterrupt, "UserStrongAuthEnrollmentRequiredInterrupt", "The user has to register a second factor: sign in interactively and register one.", 400, interaction, "", "", onPage, ""},
	{StrongAuthRequired, "UserStrongAuthClientAuthNRequiredInterrupt", "A second factor is required and none was shown: answer the challenge.", 400, grant, basic, interaction, false, ""},
	{MFARequired, "UserStrongAuthClientAuthNRequired", "A policy asks for a second factor: sign in interactively with the claims of this answer.", 400, grant, basic, interaction, false, "CA05 CA08 CA12 MFA15"},
	{MFAExpired, "UserStrongAuthExpired", "The second factor was shown too long ago: show it again.", 400, grant, basic, interaction, false, "INV15"},
	{MFAEnrolmentRequired, "UserStrongAuthEnrollmentRequired", "A policy asks for a second factor and the user has registered none: register one.", 400, grant, basic, interaction, false, "CA12 CA19"},
	{FlowTokenExpired, "FlowTokenExpired", "The sign-in page is too old: start the sign-in again.", 400, grant, "", "", onPage, ""},
	{DeviceAuthenticationRequired, "DeviceAuthenticationRequired", "A policy asks for a device and none was shown: sign in through the broker of a registered device.", 400, grant, basic, interaction, false, "CA02 CA03 APP15"},
	{InvalidPKeyAuth, "PKeyAuthInvalidJwtUnauthorized", "The answer to the device challenge is not valid: sign a new challenge with the device key.", 400, grant, "", "", false, ""},
	{NotAssigned, "EntitlementGrantsNotFound", "The user is not assigned to the application: ask an administrator to assign it.", 400, interaction, "", "", false, ""},
	{PasswordResetRegistration, "PasswordResetRegistrationRequiredInterrupt", "The user has to register for password reset: sign in interactively and do so.", 400, interaction, "", "", onPage, ""},
	{InvalidCredentials, "InvalidUserNameOrPassword", "The user name or the password is wrong: check both.", 400, grant, "", "", false, "ISS06 INV09 REN04 A40"},
	{InvalidDomain, "InvalidDomainName", "The domain belongs to no tenant: check the domain of the user name.", 400, request, "", "", false, ""},
	{DeviceNotWorkplaceJoined, "DeviceIsNotWorkplaceJoined", "A policy asks for a registered device: register this one.", 400, interaction, additional, "", false, ""},
	{ConditionalAccessFailed, "ConditionalAccessFailed", "A conditional access policy refuses the sign-in: see the sign-in log for its name.", 400, interaction, message, "", false, ""},
	{SessionInvalid, "SsoArtifactInvalidOrExpired", "The session is not valid any more, because it expired or the password changed: sign in again.", 400, grant, badToken, "", false, ""},
	{SessionRevoked, "SsoArtifactRevoked", "The session was revoked, for example by a password change: sign in again.", 400, grant, badToken, "", false, ""},
	{PasswordChangeRequired, "PasswordChangeCompromisedPassword", "The password is known to others: change it.", 400, grant, pwExpired, "", false, ""},
	{KeepSignedInInterrupt, "KmsiInterrupt", "The page asks whether to stay signed in: answer it.", 400, interaction, "", "", onPage, ""},
	{OnPremisesPasswordExpired, "InvalidPasswordExpiredOnPremPassword", "The password of the local directory has expired: change it there.", 400, grant, pwExpired, "", false, ""},
	{DeviceAuthenticationFailed, "DeviceAuthenticationFailed", "The device could not be authenticated: check that it is still registered.", 400, grant, deviceFailed, "", false, "INV06 INV17 ISS08 REG06 REG20"},
	{ExternalChallenge, "ExternalSecurityChallenge", "A check outside of this directory was not passed: sign in interactively.", 400, interaction, "", "", false, ""},
	{BrowserNonceRequired, "ChromeBrowserSsoInterruptRequired", "The PRT cookie needs a nonce: follow the redirect and send a cookie with its sso_nonce.", 400, interaction, "", "", onPage, ""},
	{FreshTokenNeeded, "FreshTokenNeeded", "The token was revoked, for example by a password change: sign in again.", 400, grant, badToken, "", false, "INV09"},
	{DeviceInformationNotPresent, "DeviceInformationNotProvided", "The request holds no device: sign it with the device key.", 400, grant, "", "", false, "ISS08"},
	{NotMultiTenant, "ApplicationNotMultiTenant", "The application belongs to one tenant: use the address of that tenant instead of common.", 400, request, "", "", false, ""},
	{LoopDetected, "LoopDetected", "The same request came again and again: look into the cache of the client before asking anew.", 400, grant, "", "", false, ""},
	{ConfirmSignIn, "CmsiInterrupt", "The user has to confirm that this application was meant: answer the page.", 400, interaction, "", "", onPage, ""},
	{AuthenticatorPrompt, "AuthenticatorRegistrationPrompt", "The page asks to register an authenticator app: register one or skip the page.", 400, interaction, "", "", onPage, ""},
	{UserNotInDirectory, "UserAccountNotInDirectory", "The user is not in the directory of this tenant: check the tenant of the request.", 400, grant, "", "", false, ""},
	{DeviceNotCompliant, "DeviceNotCompliant", "A policy asks for a compliant device: enrol this one and make it compliant.", 400, grant, additional, interaction, false, "CA02 APP15"},
	{DeviceNotDomainJoined, "DeviceNotDomainJoined", "A policy asks for a domain-joined device: use one.", 400, grant, message, interaction, false, "CA03 APP15"},
	{AppNotApproved, "ApplicationUsedIsNotAnApprovedApp", "A policy asks for an approved application: use one.", 400, grant, message, interaction, false, ""},
	{BlockedByPolicy, "BlockedByConditionalAccess", "A conditional access policy blocks this sign-in: see the sign-in log for its name.", 400, grant, message, "access_denied", false, "ISS18 REN11 CA01 CA04 CA14 CA15 CA16 A14"},
	{ProofUpBlocked, "ProofUpBlockedDueToRisk", "A second factor cannot be registered from here, the sign-in is at risk: use a trusted place or device.", 400, interaction, "", "", false, ""},
	{ProofUpBlockedByPolicy, "ProofUpBlockedDueToSecurityInfoAcr", "A policy does not let a second factor be registered from here: use a trusted place or device.", 400, interaction, "", "", false, "CA19"},
	{UserAtRisk, "ProofUpBlockedDueToUserRisk", "The user is at risk and has no second factor: ask an administrator.", 400, interaction, "", "", false, ""},
	{CodeRedeemed, "AuthorizationCodeAlreadyRedeemed", "The authorization code was redeemed already: start the sign-in again.", 400, grant, "", "", false, ""},
	{ConsentRequired, "DelegationDoesNotExist", "Nobody has consented to what the application asks for: sign in interactively and consent.", 400, grant, consent, interaction, false, ""},
	{PreauthorizationMissing, "FirstPartyPreauthorizationMissing", "The two applications have no authorization between them: ask for another resource.", 400, grant, "", "", false, ""},
	{AuthorizationDeclined, "UserDeclinedConsent", "The user declined the sign-in: start again if that was a mistake.", 400, "authorization_declined", "", "", false, ""},
	{InvalidGrant, "InvalidGrant", "The grant is not valid for this request: start again from the sign-in.", 400, grant, badToken, "", false, "ISS05 ISS07 ISS09 REN04 REN06 BRO09 BRO11 APP02 APP03 A33"},
	{ApplicationDisabled, "UnauthorizedClient", "The application is disabled: ask an administrator.", 400, client, "", "", false, ""},
	{InvalidClient, "InvalidClient", "The client could not be authenticated: check its secret.", 401, secret, "", "", false, ""},
	{UnsupportedGrantType, "UnsupportedGrantType", "The grant type is not supported here: check grant_type.", 400, "unsupported_grant_type", "", "", false, "ISS05"},
	{UnsupportedResponseType, "UnsupportedResponseType", "The response type is not supported here: check response_type.", 400, "unsupported_response_type", "", "", false, ""},
	{UnsupportedResponseMode, "UnsupportedResponseMode", "The response mode is not supported for this response type: check response_mode.", 400, request, "", "", false, ""},
	{ExpiredGrant, "ExpiredOrRevokedGrant", "The code or refresh token has expired: sign in again.", 400, grant, badToken, "", false, ""},
	{InvalidScope, "InvalidScope", "The scope is not valid: check its spelling and the resource it belongs to.", 400, scope, "", "", false, "APP02 APP03"},
	{AuthorizationPending, "AuthorizationPending", "The user has not finished the sign-in yet: ask again after the interval.", 400, "authorization_pending", "", "", false, ""},
	{BadVerificationCode, "BadVerificationCode", "The code is not one that was handed out: check it.", 400, "bad_verification_code", "", "", false, ""},
	{CodeExpired, "CodeExpired", "The code has expired: ask for a new one.", 400, "expired_token", "", "", false, ""},
	{DeviceCodeExpired, "DeviceCodeExpired", "The device code has expired: start again on the device.", 400, "expired_token", "", "", false, ""},
	{SignInFrequency, "BadTokenDueToSignInFrequency", "A policy limits how long a sign-in counts, and the time is over: sign in again.", 400, grant, "token_expired", "", false, "INV15"},
	{SessionTooOld, "InvalidSessionDueToSignInFrequency", "A policy limits how long a session counts, and the time is over: sign in again.", 400, grant, "token_expired", "", false, "INV15"},
	{TenantNotFound, "InvalidTenantName", "The tenant does not exist: check the domain of the user name.", 400, request, "", "", false, ""},
	{ExternalRetryable, "ExternalServerRetryableError", "The service is not ready: try again.", 503, unavailable, "", "", false, ""},
	{MissingField, "MissingRequiredField", "A field of the sign-in page is missing: start the sign-in again.", 400, request, "", "", false, ""},
	{MissingImmutableID, "MissingSamlAttribute", "The SAML assertion lacks ImmutableID: add the claim at the federation provider.", 400, grant, "", "", false, ""},
	{InvalidRequest, "InvalidRequest", "The request is not valid: see the field that the message names.", 400, request, "", "", false, "ISS05 APP02 APP03 APP05 REN06 BRO10"},
	{Throttled, "TenantThrottlingError", "Too many requests: wait a little.", 429, unavailable, "", "", false, ""},
	{AdminConsentRequired, "AdminConsentRequired", "An administrator has to consent to what the application asks for: ask one.", 400, interaction, "", "", false, ""},
	{WrongAccessPass, "InvalidAccessPass", "The temporary access pass is wrong or has expired: ask an administrator for a new one.", 400, grant, "", "", onPage, ""},
	{KeyNotFound, "KeyNotFound", "The key is not registered for this user: provision it again.", 400, grant, "", "", false, ""},
	{DeviceDisabled, "DeviceDisabled", "The device is disabled: ask an administrator.", 400, grant, deviceFailed, "", false, "INV06 INV17 ISS06 REN06 BRO08"},
	{InvalidNonce, "InvalidRequestNonce", "The nonce is missing, unknown, too old or used up: get a new one.", 400, grant, "", "", false, "ISS03 ISS06 ISS27 REN06 PRO05 PRO06 BRO08 A05 A34"},
	{InvalidSessionKey, "InvalidSessionKey", "The request is not signed with the session key of its PRT: sign in again.", 400, grant, "", "", false, "PRO03 PRO06 PRO11 REN06 REG20 APP02 APP03 BRO08 BRO09"},
	{RegistrationNotAllowed, "DeviceRegistrationNotAllowed", "This user may not register devices: ask an administrator.", 400, grant, "", "", false, ""},
	{ResourceNotFound, "InvalidResourceServicePrincipalNotFound", "The resource is not known in this tenant: check the resource name.", 400, scope, "", resource, false, "APP05"},
	{StrongAuthFailed, "AuthenticationFailedDuringStrongAuthentication", "The second factor was not accepted: try again.", 400, grant, "", "", false, ""},
	{AssertionExpired, "InvalidAssertionTimeRange", "The assertion is outside of its time: get a fresh token and ask again.", 400, grant, "", "", false, ""},
	{CodeVerifierMismatch, "CodeVerifierMismatch", "The code_verifier does not fit the code_challenge of the sign-in: send the verifier that belongs to it.", 400, grant, "", "", false, ""},
	{ApplicationNotFound, "UnauthorizedClientApplicationNotFound", "The application is not registered in the tenant: check client_id.", 400, client, "", "", false, "APP05 ISS05 BRO08 BRO10"},
	{GrantNeedsInteraction, "InteractionRequired", "The grant needs the user: sign in interactively.", 400, interaction, "", "", false, ""},
	{ClientAssertionSubject, "ClientAssertionSubjectMismatch", "The client assertion is not of this client: iss and sub must be client_id.", 401, secret, "", "", false, ""},
	{ClientAssertionAudience, "ClientAssertionAudienceMismatch", "The client assertion is for another server: aud must be the address of this token endpoint.", 401, secret, "", "", false, ""},
	{ClientAssertionExpired, "InvalidClientAssertionTimeRange", "The client assertion is outside of its time: check the clock of the client.", 401, secret, "", "", false, ""},
	{PublicClientProof, "PublicClientWithProof", "The application has no secret or certificate registered: send none.", 401, secret, "", "", false, ""},
	{ClientAssertionInvalid, "InvalidClientAssertionSignature", "The client assertion is not signed with a key of the application: register its certificate.", 401, secret, "", "", false, ""},
	{ResponseTypeNotEnabled, "ResponseTypeIdTokenNotEnabled", "The application may not get an id_token from the authorization endpoint: enable it for the application.", 400, "unsupported_response_type", "", "", false, ""},
	{ExpiredToken, "ExpiredOrRevokedGrantInactiveToken", "The token has expired: sign in again.", 400, grant, badToken, "", false, "INV16 ISS21 APP06"},
	{SPATokenExpired, "ExpiredOrRevokedGrantSpaToken", "The refresh token of the single-page application is at its fixed end: sign in again.", 400, grant, "", "", false, ""},
	{MissingParameter, "MissingRequiredField", "A required parameter is missing: see the field that the message names.", 400, request, "", "", false, "ISS05 REN06 BRO10"},
	{PostRequired, "BadRequestMethod", "The endpoint takes POST requests only: send one.", 400, request, "", "", false, ""},
	{KDFVersionInvalid, "KDFVersionInvalid", "Symmetric Key Derivation Function version '1' is invalid: update the device.", 400, grant, "", "", false, "PRO06"},
	{WrongClientSecret, "InvalidClientSecret", "The client secret is wrong: send its value, not its id.", 401, secret, "", "", false, ""},
	{MissingClientSecret, "MissingClientSecret", "The request lacks client_secret or client_assertion: send one, or make the application a public client.", 401, secret, "", "", false, ""},
	{ExpiredClientSecret, "ExpiredClientSecret", "The client secret has expired: make a new one.", 401, secret, "", "", false, ""},
	{MalformedRequest, "MalformedRequest", "The request is malformed: see the field that the message names.", 400, request, "", "", false, "A34 BRO08"},
	{ProofKeyRequired, "ProofKeyRequired", "A code for a single-page application needs a proof key: send code_challenge.", 400, request, "", "", false, ""},
	{CrossOriginNotAllowed, "CrossOriginTokenRedemption", "Only a single-page application redeems codes across origins: register the redirect address as one.", 400, request, "", "", false, ""},
	{CrossOriginOnly, "CrossOriginOnlyTokenRedemption", "A code of a single-page application is redeemed across origins only: send the Origin header.", 400, request, "", "", false, ""},
	{SSOPermissionRequired, "UserRequiredToPermitSso", "The user has to permit single sign-on: sign in interactively.", 400, grant, "", "", false, ""},
}
