package whatif

import (
	"context"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

// signIn is what the person does at LogonUI.
func (k *desk) signIn(ctx context.Context) (secret.Text, error) {
	req := &lsav1.LogonUserRequest{UserPrincipalName: k.person.name()}
	switch k.credential {
	case Password:
		k.proven = []string{pageagent.Password}
		req.Credential = &lsav1.LogonUserRequest_Password{Password: k.person.password.Reveal()}
	case Hello:
		req.Credential = &lsav1.LogonUserRequest_Pin{Pin: k.person.pin.Reveal()}
	case FIDO2, PhoneSignIn, AccessPass, Certificate:
		page, err := k.web.BeginWebSignIn(ctx, &lsav1.BeginWebSignInRequest{
			Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, LoginHint: k.person.name(),
		})
		if err != nil {
			return secret.Text{}, err
		}
		final, asked, err := k.interact(ctx, page.GetInteraction())
		if k.proven = asked; err != nil {
			return secret.Text{}, err
		}
		req.Credential = &lsav1.LogonUserRequest_WebSignIn{WebSignIn: &lsav1.WebSignIn{
			InteractionId: page.GetInteraction().GetInteractionId(), FinalUri: final,
		}}
	default:
		return secret.Text{}, fmt.Errorf("nobody here can sign in with %s", k.credential)
	}
	r, err := k.logon.LogonUser(ctx, req)
	return secret.NewText(r.GetLogonSession()), err
}

// provision has Windows Hello set up: the page that asks for more proof, and then the
// PIN. It answers what the person was asked for.
func (k *desk) provision(ctx context.Context) (asked []string, err error) {
	page, err := k.web.BeginWebSignIn(ctx, &lsav1.BeginWebSignInRequest{
		Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, LogonSession: k.session.Reveal(), LoginHint: k.person.name(),
	})
	if err != nil {
		return nil, err
	}
	final, asked, err := k.interact(ctx, page.GetInteraction())
	if err != nil {
		return asked, err
	}
	_, err = k.hello.ProvisionHello(ctx, &lsav1.ProvisionHelloRequest{
		LogonSession: k.session.Reveal(), InteractionId: page.GetInteraction().GetInteractionId(), FinalUri: final, Pin: k.person.pin.Reveal(),
	})
	return asked, err
}
