package actor

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// SetUpHello makes a Windows Hello key for the user of a desktop: the page that wants
// a second factor of just now, and then the PIN. It answers with what the person was
// asked for at the page.
func (l LogonUI) SetUpHello(ctx context.Context, d Desktop, pages pageagent.Config, pin secret.Text) (prompts []string, err error) {
	begun, err := lsav1.NewWebSignInServiceClient(l.LSA).BeginWebSignIn(ctx, &lsav1.BeginWebSignInRequest{
		Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, LogonSession: d.Session.Reveal(),
	})
	if err != nil {
		return nil, err
	}
	final, prompts, err := Show(ctx, pages, begun.GetInteraction())
	if err != nil {
		return prompts, err
	}
	_, err = lsav1.NewHelloServiceClient(l.LSA).ProvisionHello(ctx, &lsav1.ProvisionHelloRequest{
		LogonSession: d.Session.Reveal(), InteractionId: begun.GetInteraction().GetInteractionId(), FinalUri: final, Pin: pin.Reveal(),
	})
	return prompts, err
}

// SignInAtPage is web sign-in: what LogonUI itself has no box for, such as a security
// key or a Temporary Access Pass.
func (l LogonUI) SignInAtPage(ctx context.Context, user string, pages pageagent.Config) (Desktop, []string, trace.TraceID, error) {
	begun, err := lsav1.NewWebSignInServiceClient(l.LSA).BeginWebSignIn(ctx, &lsav1.BeginWebSignInRequest{
		Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, LoginHint: user,
	})
	if err != nil {
		return Desktop{}, nil, trace.TraceID{}, err
	}
	final, prompts, err := Show(ctx, pages, begun.GetInteraction())
	if err != nil {
		return Desktop{}, prompts, trace.TraceID{}, err
	}
	d, id, err := l.logon(ctx, &lsav1.LogonUserRequest{Credential: &lsav1.LogonUserRequest_WebSignIn{
		WebSignIn: &lsav1.WebSignIn{InteractionId: begun.GetInteraction().GetInteractionId(), FinalUri: final},
	}})
	return d, prompts, id, err
}
