package directory

import (
	"context"
	"errors"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// AssertionVerifier checks the assertion of a federation provider: its signature
// by the domain's certificate, issuer, audience, times, and that it was not used
// before. Errors are *prterr.Error.
type AssertionVerifier interface {
	Verify(ctx context.Context, domain tenant.Domain, xml []byte) (Subject, error)
}

// Subject is whom an assertion is about.
type Subject struct {
	ImmutableID string
	UPN         ids.UPN
	// MultipleAuthn says that the provider claims more than one factor.
	MultipleAuthn bool
}

// Assertion signs a federated user of a tenant in. The name is what the request
// says and may be empty; then every federated domain of the tenant is tried, and
// the one whose certificate verifies is the user's. The user is found by
// ImmutableID, and must be of that domain and of the name in the assertion, so
// that one federation provider cannot speak for the users of another. What it claims
// of a second factor counts where the tenant says that it may, and nowhere else: the
// method says which it is.
func (d *Directory) Assertion(ctx context.Context, t *tenant.Tenant, name ids.UPN, xml []byte) (store.User, methods.Method, error) {
	refused := prterr.AADSTS(aadsts.InvalidAssertion, "")
	domain, subject, err := d.verify(ctx, t, name, xml)
	if err != nil {
		return store.User{}, "", err
	}
	u, err := d.store.UserByImmutableID(ctx, t.ID, subject.ImmutableID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, "", refused
	case err != nil:
		return store.User{}, "", prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	case u.UPN.Domain() != domain.Name || u.UPN != subject.UPN || name != "" && u.UPN != name:
		return store.User{}, "", refused
	case !u.Enabled:
		return u, "", prterr.AADSTS(aadsts.UserDisabled, "")
	case subject.MultipleAuthn && domain.FederatedMFA:
		return u, methods.FederatedMulti, nil
	}
	return u, methods.FederatedSingle, nil
}

func (d *Directory) verify(ctx context.Context, t *tenant.Tenant, name ids.UPN, xml []byte) (tenant.Domain, Subject, error) {
	var last error = prterr.AADSTS(aadsts.InvalidAssertion, "")
	if d.assertions == nil {
		return tenant.Domain{}, Subject{}, last
	}
	for _, dom := range t.Domains {
		if dom.Federated == nil || dom.Federated.Certificate == nil || name != "" && dom.Name != name.Domain() {
			continue
		}
		s, err := d.assertions.Verify(ctx, dom, xml)
		if err == nil {
			return dom, s, nil
		}
		last = err
	}
	return tenant.Domain{}, Subject{}, last
}
