package tpmio

// Windows codes that the rooms above give to failures of their own.
const (
	HRESULTBadKeyset = hresultBadKeyset
	HRESULTLockout   = hresultLockout
	HRESULTWrongPIN  = 0x80090033 // NTE_INCORRECT_PASSWORD
)
