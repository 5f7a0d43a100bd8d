package wincode

// federationRows are about metadata exchange, WS-Trust and what a federation provider
// answers.
func federationRows() []Row {
	return []Row{
		{
			Code: 0x80048821, Name: "PPCRL_REQUEST_E_BAD_MEMBER_NAME_OR_PASSWORD", Seen: "WS-Trust fault", Made: true,
			Meaning: "The sign-in service says in a WS-Trust fault that name or password is wrong.", Cause: "An old client asks over WS-Trust with a wrong password.",
			Evidence: "The fault's internal error.", Next: "Check both.",
		},
		{
			Code: 0xC004848B, Name: "CLOUDAP_NO_PASSWORD_URL", Seen: "status", Events: []uint32{1088}, Made: true,
			Meaning: "The provider's metadata names no usable endpoint for passwords.", Cause: "The endpoint usernamemixed is off, or lies on another host than the metadata.",
			Evidence: "Event 1022 has the address of the metadata; read it.", Next: "Turn on adfs/services/trust/13/usernamemixed at the provider.",
		},
		{
			Code: 0xC004848C, Name: "CLOUDAP_NO_CERTIFICATE_URL", Seen: "status", Events: []uint32{1088}, Made: true,
			Meaning: "The provider's metadata names no endpoint for certificates.", Cause: "The endpoint certificatemixed is off.",
			Evidence: "The metadata at the address of event 1022.", Next: "Turn on adfs/services/trust/13/certificatemixed, or sign in with the password.",
		},
		{
			Code: 0xC00484C1, Name: "CLOUDAP_NO_SAML_TOKEN", Seen: "status", Events: []uint32{1088},
			Meaning: "The federation provider answered without a SAML token.", Cause: "A provider that is not AD FS and does not do WS-Trust fully.",
			Evidence: "The answer to the request in event 1022.", Next: "Ask the maker of the provider for WS-Trust 1.3 with SAML 1.1.",
		},
		{
			Code: 0x800484C1, Name: "CLOUDAP_NO_SAML_TOKEN (HRESULT)", Seen: "status", Events: []uint32{1088},
			Meaning: "The federation provider answered without a SAML token.", Cause: "See 0xc00484c1: the same in the other form.",
			Evidence: "See 0xc00484c1.", Next: "See 0xc00484c1.",
		},
		{
			Code: 0xC00CEE4F, Name: "WC_E_DTDPROHIBITED", Seen: "status", Events: []uint32{1088}, Made: true,
			Meaning: "The answer is XML with a document type, which is never read.", Cause: "A page of a proxy, or a provider that was tampered with.",
			Evidence: "The body at the address of event 1022 begins with <!DOCTYPE.", Next: "Reach the provider without the proxy.",
		},
		{
			Code: 0xCAA1002D, Name: "ADAL_WSTRUST_GENERAL", Seen: "join, auth", Made: true,
			Meaning: "The request to the federation provider failed without more detail.", Cause: "An answer of another version of WS-Trust.",
			Evidence: "The provider's own log.", Next: "Compare endpoints and versions in its metadata.",
		},
		{
			Code: 0xCAA82EE2, Name: "ADAL_INTERNET_TIMEOUT", Seen: "join, auth", Events: []uint32{305}, Made: true,
			Meaning: "The provider did not answer the broker in time.", Cause: "As 0x80072ee2.", Evidence: "The address in event 305.", Next: "Open it for the system account.",
		},
		{
			Code: 0xCAA82EFD, Name: "ADAL_INTERNET_CANNOT_CONNECT", Seen: "join, auth", Events: []uint32{305}, Made: true,
			Meaning: "The broker could not connect to the provider.", Cause: "As 0x80072efd.", Evidence: "The address in event 305.", Next: "Open it for the system account.",
		},
		{
			Code: 0xCAA82EFE, Name: "ADAL_INTERNET_CONNECTION_ABORTED", Seen: "join, auth", Events: []uint32{305},
			Meaning: "The connection of the broker was cut off.", Cause: "As 0x80072efe.", Evidence: "The address in event 305.", Next: "Except it from inspection.",
		},
		{
			Code: 0xCAA82F8F, Name: "ADAL_INTERNET_SECURE_FAILURE", Seen: "join, auth", Events: []uint32{305},
			Meaning: "The provider's certificate was not accepted by the broker.", Cause: "As 0x80072f8f.", Evidence: "The issuer of that certificate.", Next: "Except the host from TLS inspection; set the clock.",
		},
		{
			Code: 0xCAA90006, Name: "ADAL_TOKEN_ENDPOINT_ERROR", Seen: "join, auth", Events: []uint32{305}, Made: true,
			Meaning: "The token endpoint answered with an error.", Cause: "The identity provider refused; its own code says why.",
			Evidence: "The AADSTS code beside it.", Next: "Look that code up.",
		},
		{
			Code: 0xCAA90014, Name: "ADAL_WSTRUST_FAULT", Seen: "join, auth", Events: []uint32{305, 1088},
			Meaning: "The federation provider answered with a fault.", Cause: "A wrong password, or the relying party is not configured.",
			Evidence: "The subcode of the fault.", Next: "Check the provider's trust with the tenant.",
		},
		{
			Code: 0xCAA90017, Name: "ADAL_NOT_WSTRUST", Seen: "join, auth", Events: []uint32{305},
			Meaning: "The federation provider does not speak WS-Trust.", Cause: "Realm discovery names another protocol.",
			Evidence: "federation_protocol of realm discovery.", Next: "Use a provider with WS-Trust, or managed sign-in.",
		},
		{
			Code: 0xCAA90023, Name: "ADAL_NO_PASSWORD_ENDPOINT", Seen: "join, auth", Events: []uint32{305},
			Meaning: "The metadata has no endpoint for user name and password.", Cause: "See 0xc004848b.", Evidence: "The metadata.", Next: "Turn usernamemixed on.",
		},
		{
			Code: 0xCAA9002C, Name: "ADAL_MEX_NOT_XML", Seen: "join, auth; status", Events: []uint32{1088}, Made: true,
			Meaning: "The provider's metadata, or its answer, is not XML.", Cause: "A page of a proxy, or a wrong metadata address at the tenant.",
			Evidence: "What lies at the address of event 1022.", Next: "Correct the metadata address, or the proxy.",
		},
	}
}
