package signin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/authorize"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Certificate is a certificate whose key a TLS connection has proven.
type Certificate struct {
	FlowToken secret.Text
	// Chain is DER, the user's first.
	Chain [][]byte
	// Beside are the headers that came with it. They tell the device and never the
	// user.
	Beside authorize.Credentials
}

// SubmitCertificate signs in with a certificate, or takes it as the second step of the
// user whose it is when it is worth more than one factor. One of a single factor is a
// beginning, as a password is. There is no canary: the page that posts to the host
// which asks for certificates is not of its origin, and the flow token is sealed. What
// is proven goes on at the login host, with a canary.
func (s *Service) SubmitCertificate(ctx context.Context, f Certificate) (authorize.Outcome, error) {
	st, err := s.keep.Open(f.FlowToken)
	if err == nil {
		err = st.At(flowstate.SignIn, flowstate.Factor)
	}
	if err != nil {
		return authorize.Over(err), nil
	}
	if err := s.next.Beside(ctx, st, f.Beside); err != nil {
		return authorize.Outcome{}, err
	}
	u, method, err := s.holder(ctx, st, f.Chain)
	if err != nil {
		return s.wrong(ctx, st, u.UPN, err)
	}
	s.right(st, u, sealed.Certificate, method)
	return s.next.HandOver(ctx, st)
}

// holder finds the user of a certificate and what the certificate is worth. The user
// is of the tenant whose authority issued it: one tenant's authority speaks for nobody
// of another. AADSTS50017, whatever is wrong; 50057 for a disabled user, whose
// certificate is good.
func (s *Service) holder(ctx context.Context, st *flowstate.State, chain [][]byte) (store.User, methods.Method, error) {
	holders, err := s.certificates.Verify(chain)
	if err != nil {
		return store.User{}, "", wrongCertificate(err.Error())
	}
	for _, h := range holders {
		u, err := s.directory.UserByName(ctx, h.Name)
		if fatal(err) {
			return store.User{}, "", err
		}
		if err != nil || u.Tenant != h.Tenant.ID {
			continue
		}
		method := methods.CertificateSingle
		if h.MultiFactor {
			method = methods.CertificateMulti
		}
		switch second := st.Step == flowstate.Factor; {
		case second && (u.Tenant != st.Proof.Tenant || u.ID != st.Proof.User):
			return u, "", wrongCertificate("it is another user's than the first factor")
		case second && !h.MultiFactor:
			return u, "", wrongCertificate("certificates of the authority " + h.Authority + " are one factor")
		}
		_, err = s.directory.User(ctx, u.Tenant, u.ID)
		return u, method, err
	}
	return store.User{}, "", wrongCertificate("no user of the authority's tenant has the name in it")
}

// wrongCertificate is the one error for a certificate that is not good; why is for the
// log.
func wrongCertificate(why string) error {
	return signinlog.WithHidden(prterr.AADSTS(aadsts.CertificateRefused, ""), why)
}
