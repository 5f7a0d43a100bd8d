package entracarrier

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// devicePath is where devices are registered; a device's id follows to name one.
const devicePath = "/EnrollmentServer/device/"

// joinRequest is the document of protocol section 4.3.
type joinRequest struct {
	CertificateRequest certificateRequest `json:"CertificateRequest"`
	TransportKey       string             `json:"TransportKey"`
	TargetDomain       string             `json:"TargetDomain"`
	DeviceType         string             `json:"DeviceType"`
	OSVersion          string             `json:"OSVersion"`
	DeviceDisplayName  string             `json:"DeviceDisplayName"`
	JoinType           int                `json:"JoinType"`
	Attributes         map[string]string  `json:"Attributes"`
	// Attestation is ours. It is there only for a server that gave a challenge.
	Attestation *entrawire.Attestation `json:"LockstepAttestation,omitempty"`
	// Replaces is ours too, and there only when a device takes the place of another.
	Replaces string `json:"LockstepReplaces,omitempty"`
}

// joinTypes are the numbers of the wire.
func joinType(t idpv1.JoinType) (int, bool) {
	switch t {
	case idpv1.JoinType_JOIN_TYPE_JOIN:
		return 0, true
	case idpv1.JoinType_JOIN_TYPE_REGISTER:
		return 4, true
	case idpv1.JoinType_JOIN_TYPE_HYBRID:
		return 6, true
	case idpv1.JoinType_JOIN_TYPE_JOIN_VARIANT:
		return 8, true
	default:
		return 0, false
	}
}

// registerDevice is the enrolment request, API version 2.0.
func (c *Carrier) registerDevice(ctx context.Context, req *idpv1.RegisterDeviceRequest) (*idpv1.RegisterDeviceResponse, error) {
	number, known := joinType(req.GetJoinType())
	if !known {
		return nil, prterr.New(prterr.Invalid, "join_type is not set")
	}
	doc := joinRequest{
		CertificateRequest: pkcs10(req.GetCertificateRequest()), Attestation: attested(req.GetAttestation()),
		TransportKey: base64.StdEncoding.EncodeToString(req.GetTransportKey()), TargetDomain: req.GetTargetDomain(),
		DeviceType: req.GetDeviceType(), OSVersion: req.GetOsVersion(), DeviceDisplayName: req.GetDisplayName(), JoinType: number,
		Attributes: map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"}, Replaces: req.GetReplacedDeviceId(),
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the enrolment request does not encode")
	}
	body, err := ok(c.json(ctx, http.MethodPost, at(c.registration, devicePath, url.Values{"api-version": {"2.0"}}), raw, http.Header{
		"Authorization": {"Bearer " + req.GetAccessToken()},
	}))
	if err != nil {
		return nil, err
	}
	return readJoin(body)
}

// readJoin reads the answer. The tenant stands in the certificate alone; whether
// it is the right one is the caller's to check.
func readJoin(body []byte) (*idpv1.RegisterDeviceResponse, error) {
	var doc struct {
		Certificate       struct{ Thumbprint, RawBody string }
		User              struct{ Upn string }
		MembershipChanges []struct{ AddSIDs []string }
		LockstepKeys      entrawire.KeyState
		LockstepReplaced  bool
	}
	if err := jose.DecodeObject(body, &doc); err != nil {
		return nil, badAnswer("%v", err)
	}
	der, tenant, err := readCertificate(doc.Certificate.RawBody)
	if err != nil {
		return nil, err
	}
	out := &idpv1.RegisterDeviceResponse{
		Certificate: der, Thumbprint: doc.Certificate.Thumbprint, UserPrincipalName: doc.User.Upn, TenantId: tenant,
		KeyProtection: protection(doc.LockstepKeys), NativeSessionKeys: doc.LockstepKeys.NativeSessionKeys,
		ReplacedDeviceRemoved: doc.LockstepReplaced,
	}
	for _, change := range doc.MembershipChanges {
		out.AdministratorSids = append(out.AdministratorSids, change.AddSIDs...)
	}
	return out, nil
}

// readCertificate reads a device certificate and the tenant in it.
func readCertificate(text string) (der []byte, tenant string, err error) {
	if der, err = base64.StdEncoding.Strict().DecodeString(text); err != nil {
		return nil, "", badAnswer("Certificate.RawBody is not base64")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, "", badAnswer("Certificate.RawBody is not an X.509 certificate")
	}
	id, err := entrawire.ParseDeviceCertificate(cert)
	if err != nil {
		return nil, "", badAnswer("%v", err)
	}
	return der, string(id.TenantID), nil
}

// deleteDevice removes the device that signed the proof; its id is that of the
// certificate in the proof.
func (c *Carrier) deleteDevice(ctx context.Context, req *idpv1.DeleteDeviceRequest) (*idpv1.DeleteDeviceResponse, error) {
	proof, err := jose.Parse(req.GetRequest())
	if err != nil || len(proof.Header.X5C) == 0 {
		return nil, prterr.New(prterr.Invalid, "request is not a signed proof with a certificate")
	}
	cert, err := x509.ParseCertificate(proof.Header.X5C[0])
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "request has a certificate that is not X.509")
	}
	address := at(c.registration, devicePath+url.PathEscape(cert.Subject.CommonName), url.Values{"api-version": {"1.0"}})
	_, err = ok(c.do(ctx, http.MethodDelete, address, nil, http.Header{
		"Authorization": {entrawire.DeviceProofScheme + " " + req.GetRequest()},
	}))
	if prterr.KindOf(err) == prterr.Unauthenticated {
		return nil, prterr.New(prterr.Unauthenticated, "the identity provider removes a device only for its certificate in TLS: leave with local_only, and remove the device object in the tenant")
	}
	return &idpv1.DeleteDeviceResponse{}, err
}
