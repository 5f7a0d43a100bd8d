package resource

import (
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// standardSignIns and maxSignIns are how many events one answer carries.
const standardSignIns, maxSignIns = 100, 1000

// SignIns are the newest events of the tenant's sign-in log, newest first, each as
// JSON in the shape of the public service. The log tells who was where: it is for who
// administers the tenant, and for applications that act for themselves, which an
// administrator gave a secret.
func (s *Service) SignIns(ctx context.Context, c Call, limit int) ([]string, error) {
	b, err := s.bearer(ctx, c)
	switch {
	case err != nil:
		return nil, err
	case !b.appOnly && !b.user.Administrator:
		return nil, prterr.New(prterr.Denied, "the user of the token does not administer the tenant: sign an administrator in")
	case limit < 0 || limit > maxSignIns:
		return nil, prterr.New(prterr.Invalid, "limit is not 0 to %d", maxSignIns)
	case limit == 0:
		limit = standardSignIns
	}
	var out []string
	for _, e := range slices.Backward(s.cfg.Log.Events()) {
		if len(out) == limit {
			break
		}
		if e.Tenant == b.tenant.ID {
			out = append(out, e.EntraJSON())
		}
	}
	return out, nil
}
