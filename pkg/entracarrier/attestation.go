package entracarrier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// requestAttestationChallenge asks for a credential, at a place of ours. A server
// that has no such place, as Entra's, is the error NotFound without a code: the
// device goes on without attestation.
func (c *Carrier) requestAttestationChallenge(ctx context.Context, req *idpv1.RequestAttestationChallengeRequest) (*idpv1.RequestAttestationChallengeResponse, error) {
	body, err := c.extension(ctx, http.MethodPost, entrawire.ChallengePath, entrawire.ChallengeRequest{
		EndorsementKey: req.GetEndorsementKey(), EndorsementCertificate: req.GetEndorsementCertificate(), AttestationKey: req.GetAttestationKey(),
		Tenant: req.GetTenant(),
	}, nil)
	if err != nil {
		return nil, err
	}
	var doc entrawire.ChallengeAnswer
	if err := jose.DecodeObject(body, &doc); err != nil {
		return nil, badAnswer("%v", err)
	}
	return &idpv1.RequestAttestationChallengeResponse{Challenge: doc.Challenge, CredentialBlob: doc.CredentialBlob, EncryptedSecret: doc.EncryptedSecret}, nil
}

// replaceDeviceKeys puts new keys in the place of a device's own, at a place of ours.
func (c *Carrier) replaceDeviceKeys(ctx context.Context, req *idpv1.ReplaceDeviceKeysRequest) (*idpv1.ReplaceDeviceKeysResponse, error) {
	doc := struct {
		Request            string                 `json:"Request"`
		CertificateRequest certificateRequest     `json:"CertificateRequest"`
		TransportKey       []byte                 `json:"TransportKey"`
		Attestation        *entrawire.Attestation `json:"LockstepAttestation,omitempty"`
	}{req.GetRequest(), pkcs10(req.GetCertificateRequest()), req.GetTransportKey(), attested(req.GetAttestation())}
	body, err := c.extension(ctx, http.MethodPost, entrawire.ReplacementPath, doc, nil)
	if err != nil {
		return nil, err
	}
	a, err := readJoin(body)
	if err != nil {
		return nil, err
	}
	return &idpv1.ReplaceDeviceKeysResponse{
		Certificate: a.GetCertificate(), Thumbprint: a.GetThumbprint(), TenantId: a.GetTenantId(),
		KeyProtection: a.GetKeyProtection(), NativeSessionKeys: a.GetNativeSessionKeys(),
	}, nil
}

// extension sends a document, or nothing, to a place of ours. That the server has none
// may be said in several ways.
func (c *Carrier) extension(ctx context.Context, verb, path string, doc any, header http.Header) ([]byte, error) {
	var raw []byte
	var err error
	if doc != nil {
		if raw, err = json.Marshal(doc); err != nil {
			return nil, prterr.Wrap(prterr.Internal, err, "the request does not encode")
		}
	}
	a, err := c.json(ctx, verb, at(c.registration, path, nil), raw, header)
	switch a.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil, prterr.New(prterr.NotFound, "the identity provider does not know this request")
	}
	return ok(a, err)
}

// certificateRequest is the form of one in a document.
type certificateRequest struct {
	Type string `json:"Type"`
	Data string `json:"Data"`
}

func pkcs10(der []byte) certificateRequest {
	return certificateRequest{"pkcs10", base64.StdEncoding.EncodeToString(der)}
}

// attested is nil for a device that proves nothing.
func attested(a *idpv1.Attestation) *entrawire.Attestation {
	if a == nil {
		return nil
	}
	out := &entrawire.Attestation{Challenge: a.GetChallenge(), DeviceKey: statement(a.GetDeviceKey()), TransportKey: statement(a.GetTransportKey())}
	if a.GetStorageKey() != nil {
		s := statement(a.GetStorageKey())
		out.StorageKey = &s
	}
	return out
}

func statement(s *idpv1.KeyStatement) entrawire.KeyStatement {
	return entrawire.KeyStatement{PublicArea: s.GetPublicArea(), Attestation: s.GetAttestation(), Signature: s.GetSignature()}
}

// protection is what an answer says of the keys. One that says nothing is Entra's,
// and nothing is known there.
func protection(s entrawire.KeyState) idpv1.KeyProtection {
	switch s.Protection {
	case entrawire.ProtectionHardware:
		return idpv1.KeyProtection_KEY_PROTECTION_HARDWARE
	case entrawire.ProtectionEmulated:
		return idpv1.KeyProtection_KEY_PROTECTION_EMULATED
	default:
		return idpv1.KeyProtection_KEY_PROTECTION_SOFTWARE
	}
}
