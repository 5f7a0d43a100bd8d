package authority

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// TokenRequest is what an app-token request depends on.
type TokenRequest struct {
	Client      ids.ClientID
	Resource    string
	RedirectURI string
	Nonce       string
	// RefreshToken of the app, sealed; nil redeems the PRT.
	RefreshToken []byte
	// NewPRT asks for a new PRT in the same answer; with the PRT only.
	NewPRT bool
}

// SignToken has an app-token request built and signed with the session key.
func (a *Authority) SignToken(ctx context.Context, c Cached, r TokenRequest) (string, error) {
	req := &tpmv1.SignTokenRequestRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), ClientId: string(r.Client), Resource: r.Resource,
		RedirectUri: r.RedirectURI, RequestNonce: r.Nonce, RequestNewPrt: r.NewPRT,
		Grant: &tpmv1.SignTokenRequestRequest_Prt{Prt: c.PRT.Reveal()},
	}
	if p := c.sealedPRT(); p != nil {
		req.Grant = &tpmv1.SignTokenRequestRequest_SealedPrt{SealedPrt: p}
	}
	if r.RefreshToken != nil {
		req.Grant = &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: &tpmv1.SealedToken{Sealed: r.RefreshToken}}
	}
	resp, err := call(ctx, a.timeout, a.keys.SignTokenRequest, req)
	return signed(resp.GetRequest(), err)
}

// OpenToken has the answer to an app-token request opened. What comes back was said
// by the identity provider, so it is checked here; the message itself is passed on as
// it is, because the contract embeds it. The refresh token in it is sealed under the
// data key of the user: while that is locked the error is datakey.Locked.
func (a *Authority) OpenToken(ctx context.Context, c Cached, client ids.ClientID, answer string) (*tpmv1.OpenTokenAnswerResponse, error) {
	return a.open(ctx, c, client, answer, false)
}

// OpenAccess is OpenToken without the refresh token, which is forgotten: it needs no
// data key.
func (a *Authority) OpenAccess(ctx context.Context, c Cached, client ids.ClientID, answer string) (*tpmv1.OpenTokenAnswerResponse, error) {
	return a.open(ctx, c, client, answer, true)
}

func (a *Authority) open(ctx context.Context, c Cached, client ids.ClientID, answer string, discard bool) (*tpmv1.OpenTokenAnswerResponse, error) {
	opened, err := call(ctx, a.timeout, a.keys.OpenTokenAnswer, &tpmv1.OpenTokenAnswerRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), ClientId: string(client), Answer: answer, DiscardRefreshToken: discard,
	})
	if err != nil {
		return nil, err
	}
	_, lifeOK := artefact.Life(opened.GetExpiresIn())
	_, newLifeOK := artefact.Life(opened.GetNewPrtExpiresIn())
	switch {
	case !artefact.Line(opened.GetAccessToken(), artefact.MaxToken):
		return nil, BadAnswer(idpName, "access_token is too long or has a character that is not allowed")
	case opened.GetAccessToken() != "" && !lifeOK:
		return nil, BadAnswer(idpName, "expires_in is not 1 second to 400 days")
	case len(opened.GetIdToken()) > artefact.MaxToken || len(opened.GetRefreshToken().GetSealed()) > artefact.MaxSealed:
		return nil, BadAnswer(idpName, "id_token or refresh_token is too long")
	case opened.GetNewPrt() != "" && (!newLifeOK || !artefact.Opaque(opened.GetNewPrt(), artefact.MaxPRT)):
		return nil, BadAnswer(idpName, "the new PRT or its lifetime is malformed")
	}
	return opened, nil
}

// signed checks the form of what the tpm-agent signed, unless it failed to.
func signed(token string, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if !artefact.Opaque(token, artefact.MaxToken) {
		return "", BadAnswer(tpmName, "it is not a compact token")
	}
	return token, nil
}
