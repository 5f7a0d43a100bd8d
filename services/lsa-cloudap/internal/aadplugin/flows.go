package aadplugin

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// authenticate is the first sign-in, steps B to E. For a federated user the
// assertion comes before the nonce, so that the nonce is as fresh as can be.
func (p *Plugin) authenticate(ctx context.Context, upn ids.UPN, password secret.Text) (issued, error) {
	tenant, err := p.device.tenant(ctx)
	if err != nil {
		return issued{}, err
	}
	proof, err := p.prove(ctx, upn, password)
	if err != nil {
		return issued{}, err
	}
	return p.request(ctx, tenant, upn, partition.Password, func(nonce string) (string, error) {
		return p.device.signRequest(ctx, upn, proof, nonce)
	})
}

// authenticateHello is the same with the Hello key of the user. Whose domain it is
// makes no difference to the key; the realm is asked for so that an unknown one is
// told before the PIN is used.
func (p *Plugin) authenticateHello(ctx context.Context, upn ids.UPN, h helloPIN) (issued, error) {
	tenant, err := p.device.tenant(ctx)
	if err != nil {
		return issued{}, err
	}
	if _, err := p.cloud.realm(ctx, upn); err != nil {
		return issued{}, err
	}
	return p.request(ctx, tenant, upn, partition.Hello, func(nonce string) (string, error) {
		return p.device.signHello(ctx, upn, h, nonce)
	})
}

// authenticateCard is the same with a smart card, which only the user's federation
// provider can judge.
func (p *Plugin) authenticateCard(ctx context.Context, upn ids.UPN, card smartCard) (issued, error) {
	tenant, err := p.device.tenant(ctx)
	if err != nil {
		return issued{}, err
	}
	realm, err := p.cloud.realm(ctx, upn)
	if err != nil {
		return issued{}, err
	}
	if !realm.federated {
		return issued{}, prterr.New(prterr.Invalid, "the user is not federated: use the smart card at a sign-in page")
	}
	assertion, err := p.federation.assertionByCard(ctx, realm, upn, card)
	if err != nil {
		return issued{}, err
	}
	return p.request(ctx, tenant, upn, partition.SmartCard, func(nonce string) (string, error) {
		return p.device.signRequest(ctx, upn, proof{assertion: assertion}, nonce)
	})
}

// request is steps C to E: a nonce, a signed request, a PRT.
func (p *Plugin) request(ctx context.Context, tenant ids.TenantID, upn ids.UPN, kind partition.Kind, sign func(nonce string) (string, error)) (issued, error) {
	nonce, err := p.cloud.nonce(ctx)
	if err != nil {
		return issued{}, err
	}
	request, err := sign(nonce)
	if err != nil {
		return issued{}, err
	}
	got, err := p.cloud.requestPRT(ctx, request)
	if err != nil {
		return issued{}, err
	}
	got.kind = kind
	return got, got.mustBe(tenant, upn)
}

// renew is the renewal, steps C to F. Without a password there is no proof: the
// existing PRT and the signature of its session key carry the request.
func (p *Plugin) renew(ctx context.Context, c cached, upn ids.UPN, password secret.Text) (issued, error) {
	proof, err := p.prove(ctx, upn, password)
	if err != nil {
		return issued{}, err
	}
	nonce, err := p.cloud.nonce(ctx)
	if err != nil {
		return issued{}, err
	}
	request, err := p.device.signRenewal(ctx, c, upn, proof, nonce)
	if err != nil {
		return issued{}, err
	}
	answer, err := p.cloud.renewPRT(ctx, request)
	if err != nil {
		return issued{}, spent(err)
	}
	got, err := p.device.openRenewal(ctx, c, answer)
	if err != nil {
		return issued{}, err
	}
	// A user may have been renamed since; the object id stays.
	if !got.is(c.key) {
		return issued{}, prterr.New(prterr.Denied, "%s: the renewed PRT is for another user or tenant", idpName)
	}
	got.kind = c.key.Kind
	return got, nil
}

// prove discovers the realm of the user and turns the password into what that
// realm takes.
func (p *Plugin) prove(ctx context.Context, upn ids.UPN, password secret.Text) (proof, error) {
	realm, err := p.cloud.realm(ctx, upn)
	if err != nil || password.Empty() {
		return proof{}, err
	}
	if !realm.federated {
		return proof{password: password}, nil
	}
	assertion, err := p.federation.assertion(ctx, realm, upn, password)
	return proof{assertion: assertion}, err
}

// validate finds out whether a PRT that somebody else obtained is good for a
// partition (app token, step D): it is redeemed at the identity provider, signed
// with the partition's session key. A forged PRT, or one with another session
// key, does not pass there; one of another user does not pass here.
func (p *Plugin) validate(ctx context.Context, offered cached) error {
	// The redemption is part of step D, not a second step C of the trace.
	ctx = step.In(ctx, "")
	nonce, err := p.cloud.nonce(ctx)
	if err != nil {
		return err
	}
	request, err := p.device.signToken(ctx, offered, tokenRequest{
		client: entrawire.BrokerClientID, redirectURI: signinpage.BrokerRedirect, nonce: nonce,
	})
	if err != nil {
		return err
	}
	sealed, err := p.cloud.redeemPRT(ctx, request)
	if err != nil {
		return err
	}
	answer, err := p.device.openToken(ctx, offered, entrawire.BrokerClientID, sealed, true)
	if err != nil {
		return err
	}
	who, err := readIDToken(answer.GetIdToken())
	if err != nil {
		return err
	}
	if !who.is(offered.key) {
		return prterr.New(prterr.Denied, "the offered PRT belongs to another user or tenant")
	}
	return nil
}
