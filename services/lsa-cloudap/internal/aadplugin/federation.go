package aadplugin

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
)

const federationName = "federation provider"

// federation is the federation provider, another organisation.
type federation struct {
	service federationv1.FederationServiceClient
	timeout time.Duration
}

// assertion trades the password for a SAML assertion: metadata exchange, then
// WS-Trust at the first password endpoint. The password goes to the organisation
// it belongs to, and from here on the identity provider sees the assertion only.
func (f federation) assertion(ctx context.Context, r realm, upn ids.UPN, password secret.Text) (secret.Text, error) {
	meta, err := f.metadata(ctx, r)
	if err != nil {
		return secret.Text{}, err
	}
	endpoints := meta.GetUsernameMixedUrls()
	if len(endpoints) == 0 || !httpsURL(endpoints[0]) {
		return secret.Text{}, authority.BadAnswer(federationName, "metadata names no https endpoint for passwords")
	}
	return f.issue(ctx, &federationv1.IssueTokenRequest{
		EndpointUrl: endpoints[0], UserPrincipalName: string(upn), Password: password.Reveal(), AppliesTo: r.audience,
	})
}

// hresultNoCertificateURL is what CloudAP shows when metadata has no endpoint for
// certificates.
const hresultNoCertificateURL = 0xC004848C

// assertionByCard is the same with a proof by the key of a smart card.
func (f federation) assertionByCard(ctx context.Context, r realm, upn ids.UPN, card smartCard) (secret.Text, error) {
	meta, err := f.metadata(ctx, r)
	if err != nil {
		return secret.Text{}, err
	}
	endpoints := meta.GetCertificateMixedUrls()
	if len(endpoints) == 0 || !httpsURL(endpoints[0]) {
		var named *prterr.Error
		err := authority.BadAnswer(federationName, "metadata names no https endpoint for certificates")
		if errors.As(err, &named) {
			return secret.Text{}, named.WithHRESULT(hresultNoCertificateURL)
		}
		return secret.Text{}, err
	}
	return f.issue(ctx, &federationv1.IssueTokenRequest{
		EndpointUrl: endpoints[0], UserPrincipalName: string(upn), AppliesTo: r.audience,
		Certificate: &federationv1.CertificateProof{Chain: card.chain, CreatedAt: card.created.Unix(), Signature: card.signature},
	})
}

func (f federation) metadata(ctx context.Context, r realm) (*federationv1.GetMetadataResponse, error) {
	if f.service == nil {
		return nil, prterr.New(prterr.Conflict, "the user is federated and no federation provider is configured")
	}
	meta, err := call(ctx, f.timeout, f.service.GetMetadata, &federationv1.GetMetadataRequest{MetadataUrl: r.metadataURL})
	return meta, authority.Stranger(federationName, err)
}

func (f federation) issue(ctx context.Context, req *federationv1.IssueTokenRequest) (secret.Text, error) {
	token, err := call(ctx, f.timeout, f.service.IssueToken, req)
	if err != nil {
		return secret.Text{}, authority.Stranger(federationName, err)
	}
	xml := token.GetSamlAssertion()
	if xml == "" || len(xml) > artefact.MaxAssertion {
		return secret.Text{}, authority.BadAnswer(federationName, "saml_assertion is empty or too long")
	}
	return secret.NewText(xml), nil
}

// httpsURL reports whether s is a plain absolute https URL.
func httpsURL(s string) bool {
	if s == "" || !artefact.Line(s, artefact.MaxURI) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}
