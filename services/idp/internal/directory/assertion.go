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
	// Certificate says that it was by the key of a certificate.
	Certificate bool
}

// Assertion signs a federated user of a tenant in. The name is what the request
// says and may be empty; then every federated domain of the tenant is tried, and
// the one whose certificate verifies is the user's. The user is found by
// ImmutableID, and must be of that domain and of the name in the assertion, so
// that one federation provider cannot speak for the users of another. What it claims
// of a second factor counts where the tenant says that it may, and nowhere else: the
// method says which it is.
func (d *Directory) Assertion(ctx context.Context, t *tenant.Tenant, name ids.UPN, xml []byte) (store.User, methods.Method, error) {
	u, method, _, err := d.assertion(ctx, t, name, xml)
	return u, method, err
}

// Federated is Authenticate with an assertion, which also tells whether the provider
// judged a smart card and not a password.
func (d *Directory) Federated(ctx context.Context, t *tenant.Tenant, c Credential) (u store.User, method methods.Method, card bool, err error) {
	name, err := d.name(t, c)
	if err != nil {
		return store.User{}, "", false, err
	}
	u, method, subject, err := d.assertion(ctx, t, name, c.Assertion)
	if err == nil && u.Tenant != t.ID { // see Authenticate
		return store.User{}, "", false, prterr.AADSTS(aadsts.UserNotInTenant, "")
	}
	return u, method, subject.Certificate, err
}

func (d *Directory) assertion(ctx context.Context, t *tenant.Tenant, name ids.UPN, xml []byte) (store.User, methods.Method, Subject, error) {
	refused := prterr.AADSTS(aadsts.InvalidAssertion, "")
	domain, subject, err := d.verify(ctx, t, name, xml)
	if err != nil {
		return store.User{}, "", Subject{}, err
	}
	u, err := d.store.UserByImmutableID(ctx, t.ID, subject.ImmutableID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, "", Subject{}, refused
	case err != nil:
		return store.User{}, "", Subject{}, prterr.Wrap(prterr.Internal, err, "the directory cannot be read")
	case u.UPN.Domain() != domain.Name || u.UPN != subject.UPN || name != "" && u.UPN != name:
		return store.User{}, "", Subject{}, refused
	case !u.Enabled:
		return u, "", Subject{}, prterr.AADSTS(aadsts.UserDisabled, "")
	case subject.MultipleAuthn && domain.FederatedMFA:
		return u, methods.FederatedMulti, subject, nil
	}
	return u, methods.FederatedSingle, subject, nil
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
