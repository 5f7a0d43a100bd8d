package wincode

// tpmRows are about keys and the TPM.
func tpmRows() []Row {
	return []Row{
		{
			Code: BadKeyset, Name: "NTE_BAD_KEYSET", Seen: "status, join", Events: []uint32{304, 1007}, Made: true,
			Meaning: "The keys of this device are gone.", Cause: "The TPM was cleared, the disk was moved or copied to another machine, or key files are lost.",
			Evidence: "KeySignTest FAILED and AadRecoveryEnabled YES.", Next: "A hybrid joined device recovers at the next sign-in; else an administrator of the device recovers it.",
		},
		{
			Code: 0x8009000B, Name: "NTE_BAD_KEY_STATE", Seen: "app tokens", Made: true,
			Meaning: "The data-protection key is locked, so sealed refresh tokens do not open.", Cause: "Nobody has unlocked it since the start, and the identity provider was not reached.",
			Evidence: "App tokens fail and the PRT is well; the network is off.", Next: "Bring the network: the next token request unlocks it.",
		},
		{
			Code: 0x80090030, Name: "NTE_DEVICE_NOT_READY", Seen: "join", Events: []uint32{304}, Made: true,
			Meaning: "The component that holds the keys cannot be reached.", Cause: "The tpm-agent does not run, or is starting.",
			Evidence: "KeySignTest is not run, and sign-in fails the same way.", Next: "Start the tpm-agent; no key is lost.",
		},
		{
			Code: 0x80090031, Name: "NTE_AUTHENTICATION_IGNORED", Seen: "PIN, join", Made: true,
			Meaning: "The TPM, or the guard before it, takes no more guesses for a while.", Cause: "Too many wrong PINs.",
			Evidence: "Wrong PINs (0x80090033) before it.", Next: "Wait for the time that is named, or reset the PIN.",
		},
		{
			Code: 0x80090033, Name: "NTE_INCORRECT_PASSWORD", Seen: "PIN", Made: true,
			Meaning: "The PIN is wrong.", Cause: "It was mistyped or forgotten.",
			Evidence: "The message has the number of tries that are left.", Next: "Type it again with care, or use \"I forgot my PIN\".",
		},
		{
			Code: TPMInternal, Name: "TPM_E_PCP_INTERNAL_ERROR", Seen: "status, join", Events: []uint32{304, 1007}, Made: true,
			Meaning: "The TPM does not work.", Cause: "A fault of the chip, its firmware or its driver; after some failures only a restart helps.",
			Evidence: "The same code in the tpm-agent's log; keys are not lost.", Next: "Restart the device; update the firmware. Nothing is thrown away meanwhile.",
		},
		{
			Code: 0x80280036, Name: "TPM_E_DISABLED_CMD", Seen: "join",
			Meaning: "The TPM runs in a mode (FIPS) that registration cannot use.", Cause: "A setting of the TPM's firmware.",
			Evidence: "The properties of the TPM.", Next: "Turn the mode off, or let registration use software keys.",
		},
	}
}
