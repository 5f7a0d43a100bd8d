package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// authenticate is the first sign-in, steps B to E. For a federated user the
// assertion comes before the nonce, so that the nonce is as fresh as can be.
func (p *Plugin) authenticate(ctx context.Context, upn ids.UPN, password secret.Text) (authority.Issued, error) {
	device, err := p.device.joined(ctx)
	if err != nil {
		return authority.Issued{}, err
	}
	proof, err := p.prove(ctx, upn, password)
	if err != nil {
		return authority.Issued{}, err
	}
	return device.issued(p.prt.Request(ctx, device.tenant, upn, authority.KindPassword, proof))
}

// authenticateHello is the same with the Hello key of the user. Whose domain it is
// makes no difference to the key; the realm is asked for so that an unknown one is
// told before the PIN is used.
func (p *Plugin) authenticateHello(ctx context.Context, upn ids.UPN, h helloPIN) (authority.Issued, error) {
	device, err := p.device.joined(ctx)
	if err != nil {
		return authority.Issued{}, err
	}
	if _, err := p.cloud.realm(ctx, upn); err != nil {
		return authority.Issued{}, err
	}
	return device.issued(p.prt.RequestSigned(ctx, device.tenant, upn, authority.KindHello, func(ctx context.Context, nonce string) (string, error) {
		return p.device.signHello(ctx, upn, h, nonce)
	}))
}

// authenticateCard is the same with a smart card, which only the user's federation
// provider can judge.
func (p *Plugin) authenticateCard(ctx context.Context, upn ids.UPN, card smartCard) (authority.Issued, error) {
	device, err := p.device.joined(ctx)
	if err != nil {
		return authority.Issued{}, err
	}
	realm, err := p.cloud.realm(ctx, upn)
	if err != nil {
		return authority.Issued{}, err
	}
	if !realm.federated {
		return authority.Issued{}, prterr.New(prterr.Invalid, "the user is not federated: use the smart card at a sign-in page")
	}
	assertion, err := p.federation.assertionByCard(ctx, realm, upn, card)
	if err != nil {
		return authority.Issued{}, err
	}
	return device.issued(p.prt.Request(ctx, device.tenant, upn, authority.KindSmartCard, asserted(assertion)))
}

// renew is the renewal, steps C to F. Without a password there is no proof.
func (p *Plugin) renew(ctx context.Context, c authority.Cached, upn ids.UPN, password secret.Text) (authority.Issued, error) {
	proof, err := p.prove(ctx, upn, password)
	if err != nil {
		return authority.Issued{}, err
	}
	return p.prt.Renew(ctx, c, upn, proof)
}

// prove discovers the realm of the user and turns the password into what that realm
// takes: the password itself, or an assertion of the federation provider. Without a
// password there is no credential.
func (p *Plugin) prove(ctx context.Context, upn ids.UPN, password secret.Text) (*tpmv1.Credential, error) {
	realm, err := p.cloud.realm(ctx, upn)
	if err != nil || password.Empty() {
		return nil, err
	}
	if !realm.federated {
		return &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: password.Reveal()}}, nil
	}
	assertion, err := p.federation.assertion(ctx, realm, upn, password)
	if err != nil {
		return nil, err
	}
	return asserted(assertion), nil
}

func asserted(assertion secret.Text) *tpmv1.Credential {
	return &tpmv1.Credential{Kind: &tpmv1.Credential_SamlAssertion{SamlAssertion: assertion.Reveal()}}
}
