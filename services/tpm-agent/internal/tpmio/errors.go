package tpmio

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// LinkError is a TPM that cannot be talked to: a socket that broke, a device that
// is gone.
type LinkError struct {
	cause   error
	notSent bool
}

func (e *LinkError) Error() string { return "link to the TPM: " + e.cause.Error() }

// Unwrap gives the cause.
func (e *LinkError) Unwrap() error { return e.cause }

// NotSent reports that the command surely had no effect. Without it, the command
// may have been executed and must not be sent again.
func (e *LinkError) NotSent() bool { return e.notSent }

// linkError wraps what a transport gave; a transport that knows says whether the
// command left.
func linkError(err error) *LinkError {
	var left interface{ NotSent() bool }
	return &LinkError{err, errors.As(err, &left) && left.NotSent()}
}

// CommandError is a response code with the command that it was the answer to.
type CommandError struct {
	Code  tpm2.TPMCC
	cause error
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("TPM command %#x: %v", uint32(e.Code), e.cause)
}

// Unwrap gives the response code.
func (e *CommandError) Unwrap() error { return e.cause }

// Named gives an error of a TPM command its name. A blob that does not load is
// reported as lost; whether one key is damaged or the TPM was cleared, the caller
// tells by the name of the storage root key.
func Named(err error, what string) error {
	c := Classify(err)
	switch c {
	case OK:
		return nil
	case Other:
		return err
	case Blob:
		return KeysLost(what)
	default:
		r := reactions[c]
		return prterr.Wrap(r.kind, err, "%s: %s", what, r.text).WithHRESULT(r.hresult)
	}
}

// KeysLost is the error for keys that this TPM does not know any more.
func KeysLost(what string) error {
	r := reactions[Blob]
	return prterr.New(r.kind, "%s: %s", what, r.text).WithHRESULT(r.hresult)
}
