package adfscarrier

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
)

// requestLife is how long a request says that it is good for; clients of AD FS
// all say 10 minutes.
const requestLife = 10 * time.Minute

func (c *Conn) issueToken(ctx context.Context, req *federationv1.IssueTokenRequest, out *federationv1.IssueTokenResponse) error {
	at := endpoint{req.GetEndpointUrl(), req.GetCertificate() != nil}
	version, ok := c.version(at)
	if !ok && c.fallback != "" {
		if _, err := c.fetch(ctx, c.fallback); err != nil {
			return err
		}
		version, ok = c.version(at)
	}
	switch {
	case !ok && at.certificate:
		return prterr.New(prterr.Invalid, "endpoint_url is not a certificate endpoint: take one from the metadata")
	case !ok:
		return prterr.New(prterr.Invalid, "endpoint_url is not a password endpoint: take one from the metadata")
	}
	if req.GetAppliesTo() == "" {
		return prterr.New(prterr.Invalid, "applies_to is missing: give the cloud_audience_urn of realm discovery")
	}
	if req.GetUserPrincipalName() == "" {
		return prterr.New(prterr.Unauthenticated, "user_principal_name is empty")
	}
	now := c.clock.Now()
	id := "urn:uuid:" + uuid.NewString()
	xml, err := wstrust.Request{
		Version: version, MessageID: id, To: req.GetEndpointUrl(), Created: now, Expires: now.Add(requestLife),
		Username: req.GetUserPrincipalName(), Password: secret.NewText(req.GetPassword()), Certificate: proof(req.GetCertificate()), AppliesTo: req.GetAppliesTo(),
	}.Encode()
	if errors.Is(err, wstrust.ErrCharacter) {
		// No such user name or password can exist on this wire.
		return prterr.New(prterr.Unauthenticated, "user_principal_name or password has a character that the provider cannot be sent")
	} else if errors.Is(err, wstrust.ErrShape) && at.certificate {
		return prterr.New(prterr.Invalid, "certificate: give 1 to 8 certificates and a signature, and no password beside them")
	} else if err != nil {
		return prterr.Wrap(prterr.Internal, err, "the request for a token could not be written")
	}
	a, err := c.exchange(ctx, message{
		method: http.MethodPost, url: req.GetEndpointUrl(), action: version.Action(), body: xml, limit: wstrust.MaxMessage,
	})
	if err != nil {
		return err
	}
	assertion, err := a.assertion(version, req.GetAppliesTo(), id)
	if err != nil {
		return err
	}
	out.SamlAssertion = assertion.Reveal()
	return nil
}

// assertion takes the token out of an answer. The XML is read whatever the
// status is: AD FS says 500 to a wrong password, and the fault says why.
func (a answer) assertion(version wstrust.Version, audience, id string) (secret.Text, error) {
	r, err := wstrust.ReadAnswer(a.body)
	var fault *wstrust.Fault
	switch {
	case errors.As(err, &fault):
		return secret.Text{}, refusal(fault)
	case a.status != http.StatusOK:
		return secret.Text{}, refusedStatus(a.status)
	case err != nil:
		return secret.Text{}, notRead("the answer", err)
	case r.Version != version:
		return secret.Text{}, bad("the answer is of another version of WS-Trust")
	case r.RelatesTo != "" && r.RelatesTo != id:
		return secret.Text{}, bad("the answer is to another request")
	case r.AppliesTo != "" && r.AppliesTo != audience:
		return secret.Text{}, bad("the token is for another audience")
	case r.TokenType != wstrust.TokenSAML11 && r.TokenType != wstrust.TokenSAML11Profile:
		return secret.Text{}, bad("the token is not a SAML 1.1 assertion")
	}
	return r.Assertion, nil
}

// proof is the proof of a message, nil for none.
func proof(c *federationv1.CertificateProof) *wstrust.CertificateProof {
	if c == nil {
		return nil
	}
	return &wstrust.CertificateProof{Chain: c.GetChain(), Created: time.Unix(c.GetCreatedAt(), 0), Signature: c.GetSignature()}
}
