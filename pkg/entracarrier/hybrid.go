package entracarrier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// hybridRequest is the document of a synchronised computer (MS-DVRJ, sync-join).
type hybridRequest struct {
	CertificateRequest certificateRequest
	JoinType           int
	Attributes         map[string]string
	ServerAdJoinData   serverAdJoinData
	Attestation        *entrawire.Attestation `json:"LockstepAttestation,omitempty"`
}

type serverAdJoinData struct {
	TransportKey      string
	TargetDomain      string
	DeviceType        string
	OSVersion         string
	DeviceDisplayName string
	TargetDomainID    string `json:"TargetDomainId"`
	ClientIdentity    clientIdentity
}

type clientIdentity struct{ Type, Sid, SignedBlob string }

// joinHybridDevice asks for the keys of a synchronised computer, API version 2.0. The
// place for an attestation is ours.
func (c *Carrier) joinHybridDevice(ctx context.Context, req *idpv1.JoinHybridDeviceRequest) (*idpv1.JoinHybridDeviceResponse, error) {
	b64 := base64.StdEncoding.EncodeToString
	number, _ := joinType(idpv1.JoinType_JOIN_TYPE_HYBRID)
	raw, err := json.Marshal(hybridRequest{
		CertificateRequest: pkcs10(req.GetCertificateRequest()), JoinType: number,
		Attributes: map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"},
		ServerAdJoinData: serverAdJoinData{
			TransportKey: b64(req.GetTransportKey()), TargetDomain: req.GetTargetDomain(), DeviceType: req.GetDeviceType(),
			OSVersion: req.GetOsVersion(), DeviceDisplayName: req.GetDisplayName(), TargetDomainID: req.GetTargetTenantId(),
			ClientIdentity: clientIdentity{"sha256signed", req.GetClientIdentity(), b64(req.GetSignature())},
		},
		Attestation: attested(req.GetAttestation()),
	})
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the enrolment request does not encode")
	}
	address := at(c.registration, devicePath+url.PathEscape(req.GetDeviceId()), url.Values{"api-version": {"2.0"}})
	body, err := ok(c.json(ctx, http.MethodPut, address, raw, nil))
	if err != nil {
		return nil, err
	}
	a, err := readJoin(body)
	if err != nil {
		return nil, err
	}
	return &idpv1.JoinHybridDeviceResponse{
		Certificate: a.GetCertificate(), Thumbprint: a.GetThumbprint(), TenantId: a.GetTenantId(),
		KeyProtection: a.GetKeyProtection(), NativeSessionKeys: a.GetNativeSessionKeys(),
	}, nil
}
