package wincode

// brokerRows are what applications and the token broker show.
func brokerRows() []Row {
	return []Row{
		{
			Code: 0x800704C7, Name: "ERROR_CANCELLED", Seen: "apps", Made: true,
			Meaning: "The user closed the sign-in window.", Cause: "Somebody did not want to, or could not, prove more.",
			Evidence: "The page began in the sign-in log and has no end.", Next: "Ask for the token again and finish the page.",
		},
		{
			Code: 0xCAA20002, Name: "ADAL_ACCESS_DENIED", Seen: "apps",
			Meaning: "The authorization server, or the user, refused.", Cause: "Consent was not given, or a policy blocks.",
			Evidence: "The AADSTS code beside it.", Next: "Look that code up.",
		},
		{
			Code: 0xCAA20003, Name: "ADAL_AUTHORIZATION_GRANT_FAILED", Seen: "apps; join, auth",
			Meaning: "The grant of the authorization was not accepted.", Cause: "A refresh token that is over, or a SAML assertion that the tenant does not take.",
			Evidence: "The AADSTS code beside it.", Next: "Sign in again; with federation check signing certificate and clock of the provider.",
		},
		{
			Code: InteractionRequired, Name: "ADAL_INTERACTION_REQUIRED", Seen: "apps, status", Made: true,
			Meaning: "The user has to do something at a page, or sign in again.", Cause: "A second factor, a consent, a policy that wants a fresh sign-in, or a PRT that is over.",
			Evidence: "The AADSTS code beside it tells which; AzureAdPrt NO tells a PRT that is over.", Next: "Let the app show its page; for a PRT that is over sign in to the device with the network.",
		},
		{
			Code: 0xCAA5001C, Name: "BROKER_OPERATION_FAILED", Seen: "apps, events", Made: true,
			Meaning: "The token broker could not do what the app asked.", Cause: "A component that it needs is down, or the session has no account.",
			Evidence: "The event's own fields, and the component that they name.", Next: "lockstep status shows which component does not answer.",
		},
		{
			Code: 0xCAA9004D, Name: "BROKER_UNDOCUMENTED (MSAL 3400073293)", Seen: "apps",
			Meaning: "The broker failed in a way that has no public name.", Cause: "People report it when the broker has no account that it could use silently.",
			Evidence: "WorkplaceJoined and AzureAdPrt both NO.", Next: "Sign in with the work account, or add it in the settings; else look at the broker's events.",
		},
		{
			Code: 0xCAA90056, Name: "ADAL_RENEW_BY_PRT_FAILED", Seen: "apps, events", Made: true,
			Meaning: "A token could not be renewed with the PRT.", Cause: "The identity provider refused the PRT, or was not reached.",
			Evidence: "The AADSTS code and address in the same event.", Next: "lockstep why names the cause; sign in again if the PRT is over.",
		},
	}
}
