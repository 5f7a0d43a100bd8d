package wincode

// networkRows are requests that got no answer, or none that could be read.
func networkRows() []Row {
	return []Row{
		{
			Code: BadNetworkPath, Name: "STATUS_BAD_NETWORK_PATH", Seen: "status", Events: []uint32{1022, 1084, 1007}, Made: true,
			Meaning: "The name of the server could not be found.", Cause: "DNS does not answer, or the name is not public where the device is.",
			Evidence: "HTTP Error 0x80072ee7; the first event 1022 before 1084 names the address.", Next: "Resolve that host name on the device; check DNS and proxy.",
		},
		{
			Code: UnexpectedNetworkError, Name: "STATUS_UNEXPECTED_NETWORK_ERROR", Seen: "status", Events: []uint32{1022, 1084, 1007}, Made: true,
			Meaning: "The connection began and then broke, or the answer did not come in time.", Cause: "A slow or lossy network, a firewall that drops, a server under load.",
			Evidence: "HTTP Error 0x80072ee2 (too late) or 0x80072efe (cut off).", Next: "Try again; if it stays, look at what lies between, for the address in event 1022.",
		},
		{
			Code: NetworkUnreachable, Name: "STATUS_NETWORK_UNREACHABLE", Seen: "status", Events: []uint32{1022, 1084, 1007}, Made: true,
			Meaning: "The server could not be reached, or says that it is not able to answer.", Cause: "No network, a closed port, a certificate that is not trusted, a provider that is down, or one that throttles.",
			Evidence: "HTTP Error tells which; Endpoint URI tells whom.", Next: "Bring the network, then lock and unlock: that forces an attempt. Sign-in from the cache works meanwhile.",
		},
		{
			Code: Timeout, Name: "WINHTTP_TIMEOUT (12002)", Seen: "HTTP Error, join", Events: []uint32{1084}, Made: true,
			Meaning: "The server did not answer in time.", Cause: "A slow network, or a firewall that drops packets.",
			Evidence: "The address in Endpoint URI and event 1022.", Next: "Open that address from the device as the system account does.",
		},
		{
			Code: NameNotResolved, Name: "WINHTTP_NAME_NOT_RESOLVED (12007)", Seen: "HTTP Error", Events: []uint32{1084}, Made: true,
			Meaning: "The host name could not be resolved.", Cause: "DNS is not reachable or does not know it.",
			Evidence: "The host in Endpoint URI.", Next: "Resolve it on the device; the system account may have another proxy than the user.",
		},
		{
			Code: CannotConnect, Name: "WINHTTP_CANNOT_CONNECT (12029)", Seen: "HTTP Error, join", Events: []uint32{1084}, Made: true,
			Meaning: "No connection could be made.", Cause: "The network is off, or nobody listens there.",
			Evidence: "The address in Endpoint URI.", Next: "Check the network, then the firewall for that address.",
		},
		{
			Code: ConnectionReset, Name: "WINHTTP_CONNECTION_ERROR (12030)", Seen: "HTTP Error", Events: []uint32{1084}, Made: true,
			Meaning: "The connection was cut off.", Cause: "A device between that inspects traffic, or a server that restarts.",
			Evidence: "It stays with one address and not with others.", Next: "Except the address from inspection.",
		},
		{
			Code: SecureFailure, Name: "WINHTTP_SECURE_FAILURE (12175)", Seen: "HTTP Error, join", Events: []uint32{1084}, Made: true,
			Meaning: "The server's certificate was not accepted, or TLS could not be agreed.", Cause: "A proxy that opens TLS, a missing root, or a clock that is wrong.",
			Evidence: "The issuer of the certificate at the address in Endpoint URI.", Next: "Except the sign-in hosts from TLS inspection; set the clock.",
		},
		{
			Code: 0x80072F9A, Name: "WINHTTP_CLIENT_CERT_NO_PRIVATE_KEY (12186)", Seen: "device authentication",
			Meaning: "The device certificate is there, its key is not.", Cause: "The key container is gone, or the account may not use it.",
			Evidence: "KeySignTest FAILED.", Next: "As for 0x80090016: recover the device.",
		},
		{
			Code: 0x8007000D, Name: "ERROR_INVALID_DATA", Seen: "join", Made: true,
			Meaning: "The answer was not JSON.", Cause: "A page of a proxy or of a captive network came in its place.",
			Evidence: "The body of the answer begins with <html.", Next: "Let the device's system account through the proxy.",
		},
	}
}
