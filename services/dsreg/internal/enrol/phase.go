package enrol

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// phase is where an attempt was when it failed, as dsregcmd /status names it.
type phase string

// The phases.
const (
	preCheck phase = "pre-check"
	discover phase = "discover"
	auth     phase = "auth"
	joining  phase = "join"
)

// Windows codes of failed registrations, as Microsoft's page about troubleshooting
// hybrid joined devices lists them.
const (
	codeNoSCP            = 0x801c001d // the tenant is not configured, or as another
	codeDiscoveryTimeout = 0x801c001f
	codeDiscovery        = 0x801c0021
	codeServerBusy       = 0x801c0025
	codeTenantNotFound   = 0x801c003a
	codeRealm            = 0x801c003d
	codeDirectory        = 0x801c03f2 // DirectoryError: the object is not there yet
	codeAuthentication   = 0x801c0002 // AuthenticationError
	codeAuthorization    = 0x801c0003 // AuthorizationError
	codeService          = 0x801c0006
	codeWrongState       = 0x8007139f // ERROR_INVALID_STATE: nobody was asked

	codeTokenRefused = 0xcaa90006
	codeToken        = 0xcaa1002d
	codeTokenTimeout = 0xcaa82ee2
	codeTokenNetwork = 0xcaa82efd

	codeBadAnswer  = 0x8007000d // ERROR_INVALID_DATA: not JSON, such as a proxy's page
	codeCannotConn = 0x80072efd // ERROR_INTERNET_CANNOT_CONNECT
	codeTimeout    = 0x80072ee2 // ERROR_INTERNET_TIMEOUT

	codeBadKeyset = 0x80090016 // NTE_BAD_KEYSET
	codeNotReady  = 0x80090030 // NTE_DEVICE_NOT_READY: the tpm-agent cannot be reached
)

// phased says in which phase a call failed.
type phased struct {
	phase phase
	cause error
}

func (p *phased) Error() string { return p.cause.Error() }
func (p *phased) Unwrap() error { return p.cause }

// in marks an error with its phase; the innermost mark counts.
func in(p phase, err error) error {
	var marked *phased
	if err == nil || errors.As(err, &marked) {
		return err
	}
	return &phased{phase: p, cause: err}
}

// ofKeys is an error of the tpm-agent.
type ofKeys struct{ cause error }

func (k *ofKeys) Error() string { return k.cause.Error() }
func (k *ofKeys) Unwrap() error { return k.cause }

// keyConn is a connection to the tpm-agent whose errors say so: to an operator a TPM
// that cannot be reached is another matter than a network that cannot.
type keyConn struct{ grpc.ClientConnInterface }

// Invoke calls and marks the error.
func (c keyConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if err := c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...); err != nil {
		return &ofKeys{err}
	}
	return nil
}

// phaseOf is the phase of an error; what nobody marked was found before anybody was
// asked. keys says that it is the tpm-agent's.
func phaseOf(err error) (p phase, keys bool) {
	var k *ofKeys
	keys = errors.As(err, &k)
	var marked *phased
	if errors.As(err, &marked) {
		return marked.phase, keys
	}
	return preCheck, keys
}

// codesOf are the Windows code of a failure and the one below it, 0 when there is none.
func codesOf(err error) (code, sub uint32) {
	var known *prterr.Error
	if !errors.As(err, &known) {
		return codeService, 0
	}
	p, keys := phaseOf(err)
	switch {
	case known.HRESULT != 0:
		return known.HRESULT, 0
	case keys:
		return keyCode(known.Kind), 0
	case p == discover:
		return discoveryCodes(known)
	case p == auth:
		return tokenCode(known.Kind), 0
	case p == joining:
		return joinCode(known), 0
	default:
		return codeWrongState, 0
	}
}

func keyCode(k prterr.Kind) uint32 {
	switch k {
	case prterr.KeysLost, prterr.NotFound:
		return codeBadKeyset
	case prterr.Unavailable, prterr.Deadline:
		return codeNotReady
	default:
		return hresultTPMInternal
	}
}

func discoveryCodes(e *prterr.Error) (code, sub uint32) {
	switch {
	case e.Code == aadsts.TenantNotFound:
		return codeTenantNotFound, 0
	case e.Kind == prterr.Unavailable:
		return codeDiscovery, codeCannotConn
	case e.Kind == prterr.Deadline:
		return codeDiscoveryTimeout, codeTimeout
	case e.Kind == prterr.Exhausted:
		return codeServerBusy, 0
	case e.Kind == prterr.Denied:
		return codeDiscovery, codeBadAnswer
	case e.Kind == prterr.Conflict:
		return codeRealm, 0 // a federated domain
	default:
		return codeDiscovery, 0
	}
}

func tokenCode(k prterr.Kind) uint32 {
	switch k {
	case prterr.Unavailable:
		return codeTokenNetwork
	case prterr.Deadline:
		return codeTokenTimeout
	case prterr.Internal:
		return codeToken
	default:
		return codeTokenRefused
	}
}

func joinCode(e *prterr.Error) uint32 {
	switch {
	case serverCode(e) == directoryError:
		return codeDirectory
	case e.Kind == prterr.Unauthenticated:
		return codeAuthentication
	case e.Kind == prterr.Denied:
		return codeAuthorization
	case e.Kind == prterr.Unavailable:
		return codeCannotConn
	case e.Kind == prterr.Deadline:
		return codeTimeout
	case e.Kind == prterr.Exhausted:
		return codeServerBusy
	default:
		return codeService
	}
}

// directoryError is what the registration service says of an object that it does not
// have, in front of its message.
const directoryError = "DirectoryError"

// serverCode is what the identity provider calls the failure: the code of AADSTS, or
// the word in front of the message of device registration.
func serverCode(e *prterr.Error) string {
	switch {
	case e.Code != 0:
		return e.Code.String()
	case strings.HasPrefix(e.Msg, directoryError+":"):
		return directoryError
	default:
		return ""
	}
}
