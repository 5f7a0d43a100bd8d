package wincode

// joinRows are what registration of the device ends with.
func joinRows() []Row {
	return []Row{
		{
			Code: 0x801C0002, Name: "DSREG_AUTHENTICATION_ERROR", Seen: "join", Events: []uint32{204, 304}, Made: true,
			Meaning: "Device registration did not take who asked.", Cause: "A wrong password, a user who may not join devices, or a proof that does not verify.",
			Evidence: "Server Message in the diagnostics of the registration.", Next: "Sign in as a user who may join, or add the user to those who may.",
		},
		{
			Code: 0x801C0003, Name: "DSREG_AUTHORIZATION_ERROR", Seen: "join", Events: []uint32{204, 304}, Made: true,
			Meaning: "Device registration knows who asked and does not allow it, or its answer was one that the device must not take.", Cause: "The user may not join devices, the tenant takes attested keys only, or somebody answers in the tenant's place.",
			Evidence: "Server Message says which of them it was.", Next: "Allow the user to join, use a TPM that the tenant trusts, or look at what lies between.",
		},
		{
			Code: 0x801C0006, Name: "DSREG_SERVER_ERROR", Seen: "join", Events: []uint32{204, 304}, Made: true,
			Meaning: "Device registration has a fault of its own.", Cause: "The service is down or under repair.",
			Evidence: "Https Status of 500 and above.", Next: "Try again later.",
		},
		{
			Code: 0x801C001D, Name: "DSREG_SCP_NOT_READABLE", Seen: "join", Events: []uint32{220, 304}, Made: true,
			Meaning: "The service connection point of the domain could not be read.", Cause: "It was never made, or no domain controller is in reach.",
			Evidence: "AD Configuration Test FAIL in the diagnostics.", Next: "Configure hybrid join in the domain; connect to its network.",
		},
		{
			Code: 0x801C001F, Name: "DSREG_DISCOVERY_TIMEOUT", Seen: "join", Events: []uint32{201, 307}, Made: true,
			Meaning: "Discovery of the registration service took too long.", Cause: "A firewall that drops requests of the system account.",
			Evidence: "DRS Discovery Test FAIL.", Next: "Open the registration host for the system account.",
		},
		{
			Code: 0x801C0021, Name: "DSREG_DISCOVERY_FAILED", Seen: "join", Events: []uint32{201, 307}, Made: true,
			Meaning: "The registration service could not be discovered.", Cause: "No network, or a proxy that only users get through.",
			Evidence: "DRS Discovery Test: FAIL with the code of the network behind the slash.", Next: "Let the system account reach the registration host.",
		},
		{
			Code: 0x801C0025, Name: "DSREG_SERVER_BUSY", Seen: "join", Events: []uint32{201, 204, 304, 307}, Made: true,
			Meaning: "Device registration is busy.", Cause: "Too many devices at once.",
			Evidence: "Https Status 503 or 429.", Next: "Wait as long as the message says; until then the device asks nobody. A hybrid join is tried again by itself.",
		},
		{
			Code: 0x801C003A, Name: "DSREG_TENANT_NOT_FOUND", Seen: "join", Events: []uint32{201, 307}, Made: true,
			Meaning: "The tenant was not found.", Cause: "The service connection point names a tenant that does not exist, or the wrong domain.",
			Evidence: "AADSTS90002 in Server Message.", Next: "Correct the tenant in the service connection point.",
		},
		{
			Code: 0x801C003D, Name: "DSREG_REALM_DISCOVERY_FAILED", Seen: "join", Events: []uint32{307}, Made: true,
			Meaning: "The realm of the domain could not be discovered.", Cause: "The sign-in host cannot be reached by the system account.",
			Evidence: "Token acquisition Test FAIL.", Next: "Open the sign-in host for the system account.",
		},
		{
			Code: 0x801C004D, Name: "DSREG_NO_DEVICE_TOKEN", Seen: "Windows Hello", Events: []uint32{7206},
			Meaning: "A Hello key could not be registered.", Cause: "The token for registration was not accepted.",
			Evidence: "Events 7206 and 7211 of Windows Hello.", Next: "Sign in again with the network, then set up Windows Hello.",
		},
		{
			Code: 0x8007139F, Name: "ERROR_INVALID_STATE", Seen: "join", Events: []uint32{307}, Made: true,
			Meaning: "The device is in no state for this change, so nobody was asked.", Cause: "It is joined or registered already, or its keys are well and need no recovery.",
			Evidence: "Error Phase pre-check, and no Server Message.", Next: "Look at the device state; leave first when the device shall belong elsewhere.",
		},
		{
			Code: 0x801C03F2, Name: "DSREG_DIRECTORY_ERROR", Seen: "join", Events: []uint32{204, 304}, Made: true,
			Meaning: "The directory does not have the computer's object yet, or does not take it.", Cause: "The sync of the domain has not run, or leaves the computer out; or many devices were registered at once (throttled, 300 s).",
			Evidence: "The object's userCertificate in the domain, and the device list of the tenant.", Next: "Run the sync, then sign in: the join goes on by itself. When the message says throttled, wait as long as it says.",
		},
		{
			Code: 0x801C044D, Name: "DSREG_TOKEN_WITHOUT_DEVICE", Seen: "Windows Hello", Events: []uint32{7206}, Made: true,
			Meaning: "The token that should register a Hello key names no device.", Cause: "The sign-in that it is from was not made with a registered device.",
			Evidence: "The claim deviceid is missing (lockstep describe shows claims).", Next: "Join the device, sign in, then set up Windows Hello.",
		},
		{
			Code: 0x801C044E, Name: "DSREG_NO_CREDENTIAL", Seen: "Windows Hello", Events: []uint32{7206},
			Meaning: "Registration of a Hello key had no credential to work with.", Cause: "The second factor at the page was given up.",
			Evidence: "Nothing in the sign-in log after the page began.", Next: "Set up Windows Hello again and finish the page.",
		},
	}
}
