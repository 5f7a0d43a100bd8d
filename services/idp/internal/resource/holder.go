package resource

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Holder is a user whose access token was checked.
type Holder struct {
	Tenant *tenant.Tenant
	Client ids.ClientID
	// User as the directory has it now.
	User store.User
	// AMR is how the user proved who they are, when the token was issued.
	AMR []string
}

// Holder checks a user's access token for a resource of ours beside Graph, as a
// resource server does. One that is bound to a key is not taken, because nothing here
// brings its proof; neither is an application's.
func (s *Service) Holder(ctx context.Context, token secret.Text, want tenant.Resource) (Holder, error) {
	b, err := s.bearerFor(ctx, Call{Token: token}, want)
	switch {
	case err != nil:
		return Holder{}, err
	case b.appOnly:
		return Holder{}, refused(want)
	}
	return Holder{Tenant: b.tenant, Client: b.client, User: b.user, AMR: b.amr}, nil
}
