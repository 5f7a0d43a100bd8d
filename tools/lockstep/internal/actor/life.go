package actor

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// Unlock types a password, or a PIN, at the locked screen of a session. It reports
// whether a renewal goes on behind it, and the kind of credential that the session has
// from here on.
func (l LogonUI) Unlock(ctx context.Context, d Desktop, password, pin secret.Text) (renewing bool, kind string, _ trace.TraceID, _ error) {
	ctx, span := l.Tracer.Start(ctx, "unlock")
	defer span.End()
	req := &lsav1.UnlockUserRequest{LogonSession: d.Session.Reveal(), Credential: &lsav1.UnlockUserRequest_Password{Password: password.Reveal()}}
	if !pin.Empty() {
		req.Credential = &lsav1.UnlockUserRequest_Pin{Pin: pin.Reveal()}
	}
	resp, err := lsav1.NewLogonServiceClient(l.LSA).UnlockUser(ctx, req)
	return resp.GetRenewalStarted(), resp.GetCredentialKind(), span.SpanContext().TraceID(), err
}

// SignInOther hands over what the credential provider of somebody else gave.
func (l LogonUI) SignInOther(ctx context.Context, user, provider string, buffer secret.Bytes) (Desktop, trace.TraceID, error) {
	return l.logon(ctx, &lsav1.LogonUserRequest{
		UserPrincipalName: user, Credential: &lsav1.LogonUserRequest_Other{Other: &lsav1.OtherCredential{Provider: provider, Buffer: buffer.Reveal()}},
	})
}

// OpenBreakGlass lifts the limit on the time without the identity provider.
func (o Operator) OpenBreakGlass(ctx context.Context, d time.Duration) error {
	_, err := lsav1.NewOfflinePolicyServiceClient(o.LSA).OpenBreakGlass(ctx, &lsav1.OpenBreakGlassRequest{For: durationpb.New(d)})
	return err
}

// CloseBreakGlass puts it back.
func (o Operator) CloseBreakGlass(ctx context.Context) error {
	_, err := lsav1.NewOfflinePolicyServiceClient(o.LSA).CloseBreakGlass(ctx, &lsav1.CloseBreakGlassRequest{})
	return err
}
