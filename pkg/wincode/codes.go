package wincode

// Codes that components name. NTSTATUS values are those of sign-in, HRESULTs the rest.
const (
	NoSuchRealm            Code = 0xC000005F
	NoSuchUser             Code = 0xC0000064
	WrongPassword          Code = 0xC000006A
	LogonFailure           Code = 0xC000006D
	PasswordExpired        Code = 0xC0000071
	AccountDisabled        Code = 0xC0000072
	NotSupported           Code = 0xC00000BB
	BadNetworkPath         Code = 0xC00000BE
	UnexpectedNetworkError Code = 0xC00000C4
	RequestNotAccepted     Code = 0xC00000D0
	InternalError          Code = 0xC00000E5
	AccountLockedOut       Code = 0xC0000234
	NetworkUnreachable     Code = 0xC000023C

	Timeout         Code = 0x80072EE2
	NameNotResolved Code = 0x80072EE7
	CannotConnect   Code = 0x80072EFD
	ConnectionReset Code = 0x80072EFE
	SecureFailure   Code = 0x80072F8F

	BadKeyset           Code = 0x80090016
	TPMInternal         Code = 0x80290407
	InteractionRequired Code = 0xCAA2000C
)
