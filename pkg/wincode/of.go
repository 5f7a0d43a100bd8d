package wincode

import (
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Of is the code that Windows shows for an error: the one that it carries, else the
// NTSTATUS of its AADSTS code, else that of its kind. It is 0 for nil only.
func Of(err error) Code {
	if err == nil {
		return 0
	}
	if h := prterr.HRESULTOf(err); h != 0 {
		return Code(h)
	}
	if c, ok := ofAADSTS(prterr.CodeOf(err)); ok {
		return c
	}
	switch kind, where := prterr.KindOf(err), prterr.WhereOf(err); {
	case ofDevice(where.URI):
		return byDevice(kind, where)
	case where.URI != "":
		return byServer(kind, where)
	default:
		return byUs(kind, where)
	}
}

// byUs is the code of what a component found out by itself.
func byUs(kind prterr.Kind, w prterr.Where) Code {
	switch kind {
	case prterr.Unauthenticated:
		return LogonFailure
	case prterr.Unavailable, prterr.Deadline:
		return ofNetwork(w)
	case prterr.KeysLost:
		return BadKeyset
	case prterr.TPMFailed:
		return TPMInternal
	case prterr.Interaction:
		return InteractionRequired
	case prterr.Internal:
		return InternalError
	case prterr.NotFound:
		return NoSuchUser
	default:
		return RequestNotAccepted
	}
}

// byServer is the code of what a server answered without a code of its own. Microsoft's
// page about PRTs tells two things apart: an error with HTTP 400, and one above, which is
// for the network (a server that throttles, or has a fault of its own). Nobody says that
// something missing is the user.
func byServer(kind prterr.Kind, w prterr.Where) Code {
	switch kind {
	case prterr.Exhausted, prterr.Internal, prterr.KeysLost, prterr.TPMFailed:
		return NetworkUnreachable
	case prterr.NotFound:
		return RequestNotAccepted
	default:
		return byUs(kind, w)
	}
}

// byDevice is the code of what another component of the device did not do. What one of them
// misses or does not take is neither the user's name nor the password, nor has a server
// refused it, and that it is down is no matter of the network: nobody is to be sent to look
// there.
func byDevice(kind prterr.Kind, w prterr.Where) Code {
	switch kind {
	case prterr.KeysLost, prterr.TPMFailed, prterr.Interaction:
		return byUs(kind, w)
	default:
		return InternalError
	}
}

// ofDevice says whether a request went to another component of the device.
func ofDevice(uri string) bool {
	component, _, _ := strings.Cut(strings.TrimPrefix(uri, overGRPC), "/")
	return strings.HasPrefix(uri, overGRPC) && (component == "tpm-agent" || component == "dsreg")
}

// overGRPC begins the address of a request in the form of prterr.Where.
const overGRPC = "grpc://"

// ofAADSTS has the codes for which Windows has a word of its own.
func ofAADSTS(code aadsts.Code) (Code, bool) {
	switch code {
	case aadsts.InvalidCredentials, aadsts.NoPassword:
		return LogonFailure, true
	case aadsts.UserAccountNotFound:
		return NoSuchUser, true
	case aadsts.UserDisabled:
		return AccountDisabled, true
	case aadsts.AccountLocked:
		return AccountLockedOut, true
	case aadsts.PasswordExpired, aadsts.OnPremisesPasswordExpired:
		return PasswordExpired, true
	case aadsts.TenantNotFound, aadsts.InvalidDomain:
		return NoSuchRealm, true
	}
	row, ok := aadsts.Lookup(code)
	switch {
	case !ok:
		return 0, false
	case row.Interactive():
		return InteractionRequired, true
	case row.HTTPStatus > http.StatusBadRequest:
		return NetworkUnreachable, true // 401, 429, 503
	}
	return 0, false
}

// ofNetwork tells a request that got no answer from a server that says it is down.
func ofNetwork(w prterr.Where) Code {
	switch Code(w.HTTPError) {
	case NameNotResolved:
		return BadNetworkPath
	case Timeout, ConnectionReset:
		return UnexpectedNetworkError
	default:
		return NetworkUnreachable
	}
}
