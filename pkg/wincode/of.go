package wincode

import (
	"net/http"

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
	switch prterr.KindOf(err) {
	case prterr.Unauthenticated:
		return LogonFailure
	case prterr.Unavailable, prterr.Deadline:
		return ofNetwork(prterr.WhereOf(err))
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

// ofAADSTS has the codes for which Windows has a word of its own.
func ofAADSTS(code aadsts.Code) (Code, bool) {
	switch code {
	case aadsts.InvalidCredentials:
		return LogonFailure, true
	case aadsts.UserAccountNotFound:
		return NoSuchUser, true
	case aadsts.UserDisabled:
		return AccountDisabled, true
	case aadsts.AccountLocked:
		return AccountLockedOut, true
	case aadsts.PasswordExpired:
		return PasswordExpired, true
	case aadsts.TenantNotFound:
		return NoSuchRealm, true
	}
	row, ok := aadsts.Lookup(code)
	switch {
	case !ok:
		return 0, false
	case row.Interactive():
		return InteractionRequired, true
	case row.HTTPStatus == http.StatusUnauthorized:
		return LogonFailure, true
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
