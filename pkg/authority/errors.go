package authority

import (
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	idpName = "identity provider"
	tpmName = "tpm-agent"
)

// Stranger keeps kind and code of an error from outside the device and drops its
// text: whoever got the password could send it back in there, and from here it
// would reach logs. The meaning of a code comes from our own table. Who names the
// other side.
func Stranger(who string, err error) error {
	if err == nil {
		return nil
	}
	var e *prterr.Error
	if !errors.As(err, &e) {
		return prterr.New(prterr.KindOf(err), "%s: the call failed", who)
	}
	kind := e.Kind
	if kind == prterr.KeysLost || kind == prterr.TPMFailed {
		kind = prterr.Internal // only the tpm-agent can know that; a stranger's word starts no recovery
	}
	own := prterr.New(kind, "%s: %s", who, meaning(kind))
	if row, ok := aadsts.Lookup(e.Code); ok {
		own.Code, own.Msg = e.Code, row.Meaning
	}
	own.Where, own.RetryAfter = e.Where, e.RetryAfter // our own carriers wrote them
	return own.WithHRESULT(e.HRESULT)
}

func meaning(k prterr.Kind) string {
	switch k {
	case prterr.Unavailable:
		return "cannot be reached: check the network"
	case prterr.Deadline:
		return "did not answer in time: try again"
	case prterr.Unauthenticated:
		return "the user name or the password is wrong: check both"
	case prterr.Exhausted:
		return "is busy: wait a little"
	case prterr.Interaction:
		return "the user must sign in again"
	case prterr.Internal:
		return "failed"
	default:
		return "refused the request"
	}
}

// BadAnswer is an answer that cannot be used. Trying again may help, because the
// other side may be repaired; so the kind is Unavailable.
func BadAnswer(who, what string) error {
	return prterr.New(prterr.Unavailable, "%s: answer is not usable: %s", who, what)
}

// Spent turns the identity provider's word that a PRT is no good any more into
// prterr.Interaction: only a sign-in helps. Wrong credentials, a disabled user or a
// disabled device are not among them.
func Spent(err error) error {
	switch prterr.CodeOf(err) {
	case aadsts.FreshTokenNeeded, aadsts.SessionRevoked, aadsts.ExpiredToken, aadsts.ExpiredGrant, aadsts.InvalidGrant, aadsts.InvalidSessionKey:
		var e *prterr.Error
		if errors.As(err, &e) {
			again := *e
			again.Kind = prterr.Interaction
			return &again
		}
	}
	return err
}
