package wincode

// statusRows are what sign-in to the device ends with.
func statusRows() []Row {
	return []Row{
		{
			Code: NoSuchRealm, Name: "STATUS_NO_SUCH_LOGON_SESSION", Seen: "status", Events: []uint32{1006, 1144, 1022, 1081, 1007}, Made: true,
			Meaning: "Nobody knows the domain of the user name.", Cause: "The part behind @ is mistyped, or is no domain of any tenant there.",
			Evidence: "Event 1144 has the user name, event 1081 AADSTS90002.", Next: "Correct the user name, or add the domain to the tenant.",
		},
		{
			Code: NoSuchUser, Name: "STATUS_NO_SUCH_USER", Seen: "status", Events: []uint32{1006, 1144, 1081, 1007}, Made: true,
			Meaning: "The tenant has no such user, or this device has no such account or key.", Cause: "A mistyped name, a user who was deleted, or a PIN for a user without Windows Hello here.",
			Evidence: "AADSTS50034 in the attempt; a name without @ means an account of the device; a PIN without NgcSet.", Next: "Correct the name; else look for the user in the directory (lockstep tenant user list).",
		},
		{
			Code: WrongPassword, Name: "STATUS_WRONG_PASSWORD", Seen: "status", Events: []uint32{1006, 1144, 1081, 1007},
			Meaning: "The password is wrong.", Cause: "It was mistyped, or changed elsewhere and the old one typed.",
			Evidence: "AADSTS50126, or a fault FailedAuthentication of the federation provider (event 1088).", Next: "Type the newest password while the network is there.",
		},
		{
			Code: LogonFailure, Name: "STATUS_LOGON_FAILURE", Seen: "status", Events: []uint32{1006, 1144, 1081, 1088, 1007}, Made: true,
			Meaning: "The identity provider, or the federation provider, did not take the credential.", Cause: "A wrong password or PIN; sometimes a device whose certificate is not accepted.",
			Evidence: "Server Error Description: AADSTS50126 is the password, AADSTS50155 the device. The endpoint shows who refused.", Next: "Check the name, type the newest password; for a device code check DeviceAuthStatus.",
		},
		{
			Code: PasswordExpired, Name: "STATUS_PASSWORD_EXPIRED", Seen: "status", Events: []uint32{1081, 1007}, Made: true,
			Meaning: "The password is right and too old.", Cause: "The organisation limits the age of passwords.",
			Evidence: "AADSTS50055 or AADSTS50144 in the attempt.", Next: "Set a new password where the organisation keeps them, then sign in with it.",
		},
		{
			Code: AccountDisabled, Name: "STATUS_ACCOUNT_DISABLED", Seen: "status", Events: []uint32{1081, 1007}, Made: true,
			Meaning: "The account is disabled.", Cause: "An administrator disabled the user.",
			Evidence: "AADSTS50057 in the attempt; the user is listed as kept out.", Next: "An administrator enables the user; the next sign-in with the network lets them in again.",
		},
		{
			Code: 0x80070533, Name: "ERROR_ACCOUNT_DISABLED", Seen: "sign-in", Made: true,
			Meaning: "This device keeps the user out, also without a network.", Cause: "The identity provider said earlier that the user is disabled or deleted, and the device remembers it.",
			Evidence: "UserBlocked in lockstep status, with code and time.", Next: "Enable the user, then sign in once with the network.",
		},
		{
			Code: 0x8007052E, Name: "ERROR_LOGON_FAILURE", Seen: "sign-in", Made: true,
			Meaning: "The cache does not know this password, and nobody else could be asked.", Cause: "A mistyped password without a network, or a new password that this device has not seen yet.",
			Evidence: "An attempt with 0xc000023c beside it: the identity provider was not reached.", Next: "Type the password that was last used here, or bring the network.",
		},
		{
			Code: 0x80070775, Name: "ERROR_ACCOUNT_LOCKED_OUT", Seen: "sign-in", Made: true,
			Meaning: "Sign-in from the cache rests after too many wrong passwords.", Cause: "Ten wrong passwords in a row on this device.",
			Evidence: "Sign-in works with the network.", Next: "Wait ten minutes, or sign in with the network.",
		},
		{
			Code: 0x80070032, Name: "ERROR_NOT_SUPPORTED", Seen: "sign-in", Made: true,
			Meaning: "The plug-in does not take this kind of credential.", Cause: "A credential provider of somebody else handed its own buffer to the sign-in.",
			Evidence: "No request left the device: there is no event 1022.", Next: "Sign in with a kind that this device offers, or install the provider's own plug-in.",
		},
		{
			Code: 0x8007051F, Name: "ERROR_NO_LOGON_SERVERS", Seen: "sign-in", Made: true,
			Meaning: "The device was offline for longer than its policy lets people sign in.", Cause: "The setting offline-lifetime is over for this user, or the clock went back.",
			Evidence: "OfflineLimit and LastOnline in lockstep status.", Next: "Bring the network and sign in; an administrator of the device can open it for a while (OpenBreakGlass).",
		},
		{
			Code: NotSupported, Name: "STATUS_NOT_SUPPORTED", Seen: "sign-in",
			Meaning: "The sign-in method is not supported.", Cause: "A foreign credential provider, or Windows Hello with a key form that the domain cannot check.",
			Evidence: "The kind of credential in the attempt.", Next: "Sign in another way; see 0x80070032.",
		},
		{
			Code: RequestNotAccepted, Name: "STATUS_REQUEST_NOT_ACCEPTED", Seen: "status", Events: []uint32{1081, 1088, 1007}, Made: true,
			Meaning: "The server understood the request and refused it.", Cause: "A policy, a device that is unknown or disabled, or a grant that is over.",
			Evidence: "Server Error Code and Description of the attempt.", Next: "Look up the AADSTS code: lockstep error CODE.",
		},
		{
			Code: InternalError, Name: "STATUS_INTERNAL_ERROR", Seen: "status", Events: []uint32{1007}, Made: true,
			Meaning: "A component failed.", Cause: "A fault of the component, or a disk that is full.",
			Evidence: "The component's own log at the time of the attempt.", Next: "Read that log; free space on the disk of the state folder.",
		},
		{
			Code: AccountLockedOut, Name: "STATUS_ACCOUNT_LOCKED_OUT", Seen: "status", Events: []uint32{1081, 1007}, Made: true,
			Meaning: "The identity provider has locked the account for a while.", Cause: "Too many wrong passwords, here or elsewhere.",
			Evidence: "AADSTS50053 in the attempt, and wrong passwords in the sign-in log.", Next: "Wait; if nobody here typed them, look in the sign-in log from where they came.",
		},
		{
			Code: 0xC0048442, Name: "CLOUDAP_NO_SID", Seen: "status",
			Meaning: "The token of the sign-in has no security identifier.", Cause: "A synchronised user without the on-premises SID, on a hybrid joined device.",
			Evidence: "The user's object in the directory has no SID.", Next: "Let the sync write the user again.",
		},
		{
			Code: 0xC004844C, Name: "CLOUDAP_MALFORMED_UPN", Seen: "status", Events: []uint32{1144},
			Meaning: "The user name is not a user principal name.", Cause: "The name of the domain account has no routable suffix.",
			Evidence: "Event 1144 has the name as it was given.", Next: "Give the user a name with a domain that the tenant has verified.",
		},
		{
			Code: 0xD0048451, Name: "KEY_SIGN_TEST_FAILED", Seen: "status, KeySignTest",
			Meaning: "The device key did not sign.", Cause: "The TPM lost the key, or does not work.",
			Evidence: "KeySignTest in lockstep status --live; 0x80090016 tells lost keys from a broken TPM (0x80290407).", Next: "Sign in once more: a hybrid device recovers by itself, any other wants its administrator.",
		},
	}
}
