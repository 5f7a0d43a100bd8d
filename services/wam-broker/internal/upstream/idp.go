package upstream

import (
	"context"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// maxNonce bounds a nonce, in bytes.
const maxNonce = 1024

// IdP is the identity provider as the broker needs it.
type IdP struct {
	nonces idpv1.NonceServiceClient
	tokens idpv1.TokenServiceClient
}

// NewIdP uses an authenticated connection.
func NewIdP(conn grpc.ClientConnInterface) *IdP {
	return &IdP{nonces: idpv1.NewNonceServiceClient(conn), tokens: idpv1.NewTokenServiceClient(conn)}
}

// Nonce gets a fresh nonce.
func (i *IdP) Nonce(ctx context.Context) (string, error) {
	resp, err := i.nonces.IssueNonce(ctx, &idpv1.IssueNonceRequest{})
	if err != nil {
		return "", err
	}
	n := resp.GetNonce()
	if len(n) > maxNonce || !entrawire.IsOpaque(n) {
		return "", prterr.New(prterr.Denied, "the identity provider's nonce is not 1 to %d letters, digits, dots, dashes or underscores", maxNonce)
	}
	return n, nil
}

// RedeemRefreshToken sends a request that holds the app's refresh token and
// gives the encrypted answer (app token, step B). Claims is a claims challenge, or
// empty.
func (i *IdP) RedeemRefreshToken(ctx context.Context, request secret.Text, claims string) (string, error) {
	resp, err := i.tokens.RedeemRefreshToken(ctx, &idpv1.RedeemRefreshTokenRequest{Request: request.Reveal(), Claims: claims})
	if err != nil {
		return "", err
	}
	return sized(resp.GetAnswer())
}

// RedeemPRT sends a request that holds the PRT and gives the encrypted answer
// (app token, step C). Claims is a claims challenge, or empty.
func (i *IdP) RedeemPRT(ctx context.Context, request secret.Text, claims string) (string, error) {
	resp, err := i.tokens.RedeemPRT(ctx, &idpv1.RedeemPRTRequest{Request: request.Reveal(), Claims: claims})
	if err != nil {
		return "", err
	}
	return sized(resp.GetAnswer())
}

// sized bounds what is passed on to the authority. Form and content are checked
// where it is opened, so that there is one error for all that is wrong with it.
func sized(answer string) (string, error) {
	if answer == "" || len(answer) > jose.MaxToken {
		return "", prterr.New(prterr.Denied, "the identity provider's answer is not 1 to %d bytes", jose.MaxToken)
	}
	return answer, nil
}
