package entracarrier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// hybridRequest is the document of a synchronised computer (MS-DVRJ, sync-join).
type hybridRequest struct {
	CertificateRequest certificateRequest
	JoinType           int
	Attributes         map[string]string
	ServerAdJoinData   serverAdJoinData
}

type certificateRequest struct{ Type, Data string }

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

// joinHybridDevice asks for the keys of a synchronised computer, API version 2.0. It
// has no place for an attestation.
func (c *Carrier) joinHybridDevice(ctx context.Context, req *idpv1.JoinHybridDeviceRequest) (*idpv1.JoinHybridDeviceResponse, error) {
	b64 := base64.StdEncoding.EncodeToString
	number, _ := joinType(idpv1.JoinType_JOIN_TYPE_HYBRID)
	raw, err := json.Marshal(hybridRequest{
		CertificateRequest: certificateRequest{"pkcs10", b64(req.GetCertificateRequest())}, JoinType: number,
		Attributes: map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"},
		ServerAdJoinData: serverAdJoinData{
			TransportKey: b64(req.GetTransportKey()), TargetDomain: req.GetTargetDomain(), DeviceType: req.GetDeviceType(),
			OSVersion: req.GetOsVersion(), DeviceDisplayName: req.GetDisplayName(), TargetDomainID: req.GetTargetTenantId(),
			ClientIdentity: clientIdentity{"sha256signed", req.GetClientIdentity(), b64(req.GetSignature())},
		},
	})
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the enrolment request does not encode")
	}
	address := at(c.registration, devicePath+url.PathEscape(req.GetDeviceId()), url.Values{"api-version": {"2.0"}})
	body, err := ok(c.json(ctx, http.MethodPut, address, raw, nil))
	if err != nil {
		return nil, err
	}
	var doc struct {
		Certificate struct{ Thumbprint, RawBody string }
	}
	if err := jose.DecodeObject(body, &doc); err != nil {
		return nil, badAnswer("%v", err)
	}
	der, tenant, err := readCertificate(doc.Certificate.RawBody)
	if err != nil {
		return nil, err
	}
	return &idpv1.JoinHybridDeviceResponse{Certificate: der, Thumbprint: doc.Certificate.Thumbprint, TenantId: tenant}, nil
}
