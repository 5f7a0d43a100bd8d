package tpmio

import (
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Windows codes of the same failures, as people look them up.
const (
	hresultBadKeyset   = 0x80090016 // NTE_BAD_KEYSET: the key set is not there
	hresultTPMInternal = 0x80290407 // TPM internal error
	hresultLockout     = 0x8009002D // NTE_AUTHENTICATION_IGNORED: dictionary-attack lock-out
)

// LinkError is a TPM that cannot be talked to: a socket that broke, a device that
// is gone.
type LinkError struct{ cause error }

func (e *LinkError) Error() string { return "link to the TPM: " + e.cause.Error() }

// Unwrap gives the cause.
func (e *LinkError) Unwrap() error { return e.cause }

// Named gives an error of a TPM command its name. A blob that does not load is
// reported as lost; whether one key is damaged or the TPM was cleared, the caller
// tells by the name of the storage root key.
func Named(err error, what string) error {
	var named *prterr.Error
	var link *LinkError
	var rc tpm2.TPMRC
	switch {
	case err == nil:
		return nil
	case errors.As(err, &named):
		return err
	case errors.As(err, &link):
		return prterr.Wrap(prterr.TPMFailed, err, "%s: the TPM does not answer", what).WithHRESULT(hresultTPMInternal)
	case !errors.As(err, &rc):
		return prterr.Wrap(prterr.TPMFailed, err, "%s: the TPM's answer is not understood", what).WithHRESULT(hresultTPMInternal)
	case rc.Is(tpm2.TPMRCIntegrity), rc.Is(tpm2.TPMRCInsufficient):
		return KeysLost(what)
	case rc.Is(tpm2.TPMRCBadAuth), rc.Is(tpm2.TPMRCAuthFail):
		return prterr.Wrap(prterr.Denied, err, "%s: the key is not usable here", what)
	case rc.Is(tpm2.TPMRCLockout):
		return prterr.Wrap(prterr.Exhausted, err, "%s: the TPM is locked after wrong attempts: wait", what).WithHRESULT(hresultLockout)
	default:
		return prterr.Wrap(prterr.TPMFailed, err, "%s: the TPM failed", what).WithHRESULT(hresultTPMInternal)
	}
}

// KeysLost is the error for keys that this TPM does not know any more.
func KeysLost(what string) error {
	return prterr.New(prterr.KeysLost, "%s: the TPM does not know this key any more: register the device again", what).WithHRESULT(hresultBadKeyset)
}
