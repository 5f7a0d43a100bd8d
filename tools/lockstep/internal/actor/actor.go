// Package actor plays those who stand outside the components: the person at
// LogonUI, an app, a browser, the operator. Each has an identity of its own and
// reaches only what the allow-lists give it.
package actor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"google.golang.org/grpc"
)

// Desktop is what LogonUI opens: a logon session and whose it is.
type Desktop struct {
	Session        secret.Text
	UserID         string
	DisplayName    string
	FromCache      bool
	RenewalStarted bool
	// Kind of credential that the session has: password, hello, tap and so on.
	Kind string
	// SID is who the user is on this device.
	SID string
	// PRTPending says that the domain let the user in and the PRT is still to come.
	PRTPending bool
	// ByDomain says that the domain checked the password.
	ByDomain bool
	// HelloOffered says that Windows Hello is set up next, if the user wants.
	HelloOffered bool
}

// LogonUI is the sign-in screen.
type LogonUI struct {
	LSA    grpc.ClientConnInterface
	Tracer trace.Tracer
}

// SignIn types a user name and a password. The trace of everything that follows
// begins here.
func (l LogonUI) SignIn(ctx context.Context, user string, password secret.Text) (Desktop, trace.TraceID, error) {
	return l.logon(ctx, &lsav1.LogonUserRequest{
		UserPrincipalName: user,
		Credential:        &lsav1.LogonUserRequest_Password{Password: password.Reveal()},
	})
}

// SignInPIN types a user name and the PIN of the user's Windows Hello key.
func (l LogonUI) SignInPIN(ctx context.Context, user string, pin secret.Text) (Desktop, trace.TraceID, error) {
	return l.logon(ctx, &lsav1.LogonUserRequest{UserPrincipalName: user, Credential: &lsav1.LogonUserRequest_Pin{Pin: pin.Reveal()}})
}

func (l LogonUI) logon(ctx context.Context, req *lsav1.LogonUserRequest) (Desktop, trace.TraceID, error) {
	ctx, span := l.Tracer.Start(ctx, "sign in")
	defer span.End()
	id := span.SpanContext().TraceID()
	resp, err := lsav1.NewLogonServiceClient(l.LSA).LogonUser(ctx, req)
	if err != nil {
		return Desktop{}, id, err
	}
	return Desktop{
		Session: secret.NewText(resp.GetLogonSession()), UserID: resp.GetUserId(), DisplayName: resp.GetDisplayName(), Kind: resp.GetCredentialKind(),
		FromCache: resp.GetFromCache(), RenewalStarted: resp.GetRenewalStarted(), HelloOffered: resp.GetHelloOffered(),
		SID: resp.GetSid(), PRTPending: resp.GetPrtPending(), ByDomain: resp.GetByDomain(),
	}, id, nil
}

// SignOut ends the session.
func (l LogonUI) SignOut(ctx context.Context, d Desktop) error {
	_, err := lsav1.NewLogonServiceClient(l.LSA).LogoffUser(ctx, &lsav1.LogoffUserRequest{LogonSession: d.Session.Reveal()})
	return err
}

// App is a program that asks the broker for tokens.
type App struct {
	Broker   grpc.ClientConnInterface
	Tracer   trace.Tracer
	ClientID string
}

// Token asks for an access token, silently.
func (a App) Token(ctx context.Context, d Desktop, resource string, fresh bool) (*wamv1.RequestTokenResponse, trace.TraceID, error) {
	return a.Ask(ctx, d, Wish{Resource: resource, Fresh: fresh})
}

// Wish is what an app wants of the broker.
type Wish struct {
	Resource string
	// Fresh passes over a token that the broker has.
	Fresh bool
	// Interactive lets the broker ask the user at a sign-in page.
	Interactive bool
	// Claims is a claims challenge of the resource, or empty.
	Claims string
	// Account to use; empty is the default one.
	Account string
}

// Ask asks for an access token.
func (a App) Ask(ctx context.Context, d Desktop, w Wish) (*wamv1.RequestTokenResponse, trace.TraceID, error) {
	ctx, span := a.Tracer.Start(ctx, "request token")
	defer span.End()
	resp, err := wamv1.NewBrokerServiceClient(a.Broker).RequestToken(ctx, &wamv1.RequestTokenRequest{
		LogonSession: d.Session.Reveal(), ClientId: a.ClientID, Resource: w.Resource, ForceRefresh: w.Fresh, Interactive: w.Interactive, Claims: w.Claims,
		Account: w.Account,
	})
	return resp, span.SpanContext().TraceID(), err
}

// Operator administers the device, and the directory of its tenant.
type Operator struct {
	Dsreg, LSA, WAM, Directory grpc.ClientConnInterface
}

// Join joins the device to the user's tenant.
func (o Operator) Join(ctx context.Context, user string, password secret.Text, device string) (*dsregv1.JoinDeviceResponse, error) {
	return dsregv1.NewRegistrationServiceClient(o.Dsreg).JoinDevice(ctx, &dsregv1.JoinDeviceRequest{
		UserPrincipalName: user, Password: password.Reveal(), DisplayName: device,
	})
}

// Register registers the device for a work account, and no more: nobody on it has the
// account then.
func (o Operator) Register(ctx context.Context, user string, password secret.Text, device string) (*dsregv1.RegisterDeviceResponse, error) {
	return dsregv1.NewRegistrationServiceClient(o.Dsreg).RegisterDevice(ctx, &dsregv1.RegisterDeviceRequest{
		UserPrincipalName: user, Password: password.Reveal(), DisplayName: device,
	})
}

// DeviceState reads what the device is.
func (o Operator) DeviceState(ctx context.Context) (*dsregv1.GetDeviceStateResponse, error) {
	return dsregv1.NewDeviceStateServiceClient(o.Dsreg).GetDeviceState(ctx, &dsregv1.GetDeviceStateRequest{})
}

// Leave removes the device from its tenant.
func (o Operator) Leave(ctx context.Context) error { return o.leave(ctx, false) }

// LeaveUntold does so without telling the tenant, for one that knows the device no more.
func (o Operator) LeaveUntold(ctx context.Context) error { return o.leave(ctx, true) }

func (o Operator) leave(ctx context.Context, untold bool) error {
	_, err := dsregv1.NewRegistrationServiceClient(o.Dsreg).LeaveDevice(ctx, &dsregv1.LeaveDeviceRequest{LocalOnly: untold})
	return err
}

// SSOState reads what the device holds.
func (o Operator) SSOState(ctx context.Context) ([]*lsav1.PartitionState, error) {
	resp, err := o.State(ctx)
	return resp.GetPartitions(), err
}

// State is the same with what is known of users and of the device.
func (o Operator) State(ctx context.Context) (*lsav1.GetSSOStateResponse, error) {
	return lsav1.NewSSOStateServiceClient(o.LSA).GetSSOState(ctx, &lsav1.GetSSOStateRequest{})
}

// AwaitSSOState waits until no renewal runs and every partition is as wanted; nil
// wants nothing more. A renewal that the moved clock has woken may not have begun
// yet: then wanted has to say what that renewal leaves.
func (o Operator) AwaitSSOState(ctx context.Context, wanted func(*lsav1.PartitionState) bool) error {
	for {
		parts, err := o.SSOState(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(parts, func(p *lsav1.PartitionState) bool { return p.GetRenewalRunning() || wanted != nil && !wanted(p) }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the renewal does not end: %w", ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}
