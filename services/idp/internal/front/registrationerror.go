package front

import (
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// registrationClass is how the registration service names a class of errors.
type registrationClass struct {
	status        int
	code, subcode string
}

func codeIn(err error) bool { return prterr.CodeOf(err) != 0 }

func classOf(err error) registrationClass {
	if prterr.CodeOf(err) == aadsts.RegistrationNotAllowed {
		return registrationClass{http.StatusForbidden, "authorization_error", "error_registration_not_allowed"}
	}
	if prterr.CodeOf(err) == aadsts.DeviceAuthenticationFailed {
		return registrationClass{http.StatusBadRequest, "invalid_request", "error_missing_device"}
	}
	switch prterr.KindOf(err) {
	case prterr.Unauthenticated, prterr.Interaction:
		return registrationClass{http.StatusUnauthorized, "authentication_error", "error_token_not_valid"}
	case prterr.Denied:
		return registrationClass{http.StatusForbidden, "authorization_error", "error_denied"}
	case prterr.NotFound:
		return registrationClass{http.StatusNotFound, "invalid_request", "error_missing_device"}
	case prterr.Conflict:
		return registrationClass{http.StatusBadRequest, "invalid_request", "error_conflict"}
	case prterr.Exhausted:
		return registrationClass{http.StatusTooManyRequests, "server_busy", "error_throttled"}
	case prterr.Invalid:
		return registrationClass{http.StatusBadRequest, "invalid_request", "error_invalid_request"}
	default:
		return registrationClass{http.StatusServiceUnavailable, "internal_error", "error_internal"}
	}
}

// operation is what was tried.
func (x *exchange) operation() string {
	switch path := strings.ToLower(x.route.template); {
	case strings.HasSuffix(path, "/discover"):
		return "Discover"
	case strings.HasSuffix(path, "/lockstep/attestation"):
		return "Attestation"
	case strings.HasSuffix(path, "/lockstep/device"):
		return "DeviceCheck"
	case strings.HasSuffix(path, "/lockstep/keys"):
		return "DeviceRenew"
	case strings.HasSuffix(path, "/lockstep/pinreset"):
		return "PINReset"
	case strings.HasSuffix(path, "/key"):
		return "KeyProvisioning"
	case strings.Contains(path, "/nonce/"):
		return "Nonce"
	case x.r.Method == http.MethodDelete:
		return "DeviceDelete"
	case x.r.Method == http.MethodPut:
		return "DeviceRenew"
	default:
		return "DeviceJoin"
	}
}
