// Package grants runs every signed request through the same phases.
//
// What lives here: the phases (read, algorithm, key, signature, nonce, replay,
// directory, answer), in an order that no kind of request can change, and the
// kinds: a PRT request, a renewal, an app-token request. A kind fills hooks; it
// cannot leave out a phase, because the phases call it and not the other way
// round. What never may: keys (they are the issuance room's) and wire forms of
// RPC or HTTP. The server's edge calls the kinds; the session and registration
// rooms bring kinds of their own.
//
// No credential is looked at before signature and nonce are good, so that
// nobody but a registered device can try passwords here.
package grants

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/consent"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Gate holds what the phases need. Every field must be set. It is safe for
// concurrent use.
type Gate struct {
	Tenants   *tenant.Set
	Directory *directory.Directory
	Authority *issuance.Authority
	Nonces    *nonce.Issuer
	Replays   *replay.Cache
	Log       *signinlog.Log
	Clock     clock.Clock
	Consents  *consent.Service
}

// parse is the phase that reads the token and fixes the algorithm by the step:
// what the header says can only agree. AADSTS9002313 and AADSTS70000.
func parse(request secret.Text, alg string) (*jose.Token, error) {
	read := jose.Parse
	if alg == jose.ES256 {
		read = jose.ParseES256
	}
	t, err := read(request.Reveal())
	switch {
	case errors.Is(err, jose.ErrAlgorithm) || err == nil && t.Header.Alg != alg:
		return nil, prterr.AADSTS(aadsts.InvalidGrant, "the request is not signed with the algorithm of this step, %s", alg)
	case err != nil:
		return nil, prterr.AADSTS(aadsts.MalformedRequest, "request: %v", err)
	}
	return t, nil
}

// claims is the phase that reads the claim set, still a stranger's word.
func claims(t *jose.Token, into any) error {
	if err := t.Claims(into); err != nil {
		return prterr.AADSTS(aadsts.MalformedRequest, "%v", err)
	}
	return nil
}

// shape turns a complaint about the claim set, which names the field and never
// quotes it, into an answer.
func shape(err error) error {
	var f *entrawire.FieldError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f) && strings.HasPrefix(f.Problem, "is missing"):
		return prterr.AADSTS(aadsts.MissingParameter, "%v", err)
	default:
		return prterr.AADSTS(aadsts.InvalidRequest, "%v", err)
	}
}

// fresh is the phase that checks the nonce and that neither it nor the request
// was used more often than the profile allows. AADSTS140000 for all of it.
func (g *Gate) fresh(ctx context.Context, p profile.Profile, t *jose.Token, text string) error {
	n, err := g.Nonces.Check(text)
	if err != nil {
		return err
	}
	if p.NonceOnce {
		if err := g.once(ctx, n.Digest, n.Expires); err != nil {
			return err
		}
	}
	if p.RequestOnce {
		return g.once(ctx, t.Digest(), n.Expires)
	}
	return nil
}

// freshByDate is what an old PRT cookie has in place of a nonce: the date it was
// made, at most so long ago; 0 takes none.
func (g *Gate) freshByDate(most time.Duration, made time.Time) error {
	age := g.Clock.Now().Sub(made)
	if most == 0 || made.IsZero() || age < 0 || age > most {
		return g.Nonces.Refuse(nonce.Undated)
	}
	return nil
}

func (g *Gate) once(ctx context.Context, d replay.Digest, until time.Time) error {
	first, err := g.Replays.Use(ctx, d, until)
	if err == nil && !first {
		return g.Nonces.Refuse(nonce.Replayed)
	}
	return err
}

// name is a user name for the log, or nothing when it is not one.
func name(s string) ids.UPN {
	upn, err := ids.ParseUPN(s)
	if err != nil {
		return ""
	}
	return upn
}

// client is an application id for the log, or nothing when it is not one.
func client(s string) ids.ClientID {
	id, err := ids.ParseClient(s)
	if err != nil {
		return ""
	}
	return id
}

// record ends the request in the sign-in log. It runs for every request, good or
// refused.
func (g *Gate) record(ctx context.Context, e *signinlog.Event, err *error) {
	g.complete(e)
	g.Log.Record(ctx, g.Clock.Now(), *e, *err)
}
