package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// offer is the new keys that a tenant is asked to take: of each the public half,
// and what proves them.
type offer struct {
	keys        state.Keys
	request     []byte // PKCS#10
	attestation *idpv1.Attestation
	// asked says that they were offered before and it is not known what came of it.
	asked bool
}

// machine is what a device says of itself.
type machine struct {
	displayName, deviceType, osVersion, domain string
}

// registered is the identity provider's answer, not checked yet.
type registered struct {
	certificate                []byte
	thumbprint, user, tenantID string
	protection                 idpv1.KeyProtection
	native                     bool
	administrators             []string
	// removed says that the device that this one replaces is gone.
	removed bool
}

// joinType is the kind as the request numbers it; the certificate has it as text.
func joinType(kind entrawire.JoinType) idpv1.JoinType {
	if kind == entrawire.JoinRegistered {
		return idpv1.JoinType_JOIN_TYPE_REGISTER
	}
	return idpv1.JoinType_JOIN_TYPE_JOIN
}

// register asks for a new device with the token of a user. replaced is a device of this
// computer whose keys are lost, or empty.
func (c cloud) register(ctx context.Context, kind entrawire.JoinType, token secret.Text, o offer, m machine, replaced ids.DeviceID) (registered, error) {
	resp, err := c.devices.RegisterDevice(ctx, &idpv1.RegisterDeviceRequest{
		AccessToken: token.Reveal(), JoinType: joinType(kind),
		CertificateRequest: o.request, TransportKey: o.keys.Transport, Attestation: o.attestation,
		DisplayName: m.displayName, DeviceType: m.deviceType, OsVersion: m.osVersion, TargetDomain: m.domain,
		ReturnClientSid: true, ReplacedDeviceId: string(replaced),
	})
	if err != nil {
		return registered{}, err
	}
	return registered{
		certificate: resp.GetCertificate(), thumbprint: resp.GetThumbprint(),
		user: resp.GetUserPrincipalName(), tenantID: resp.GetTenantId(),
		protection: resp.GetKeyProtection(), native: resp.GetNativeSessionKeys(), administrators: resp.GetAdministratorSids(),
		removed: resp.GetReplacedDeviceRemoved(),
	}, nil
}

// joinHybrid asks for the keys of a synchronised computer; identity and signature
// are by the key that was synchronised with it.
func (c cloud) joinHybrid(ctx context.Context, w state.Waiting, o offer, m machine, identity string, signature []byte) (registered, error) {
	resp, err := c.devices.JoinHybridDevice(ctx, &idpv1.JoinHybridDeviceRequest{
		DeviceId: string(w.Computer.ID), TargetTenantId: string(w.TenantID),
		CertificateRequest: o.request, TransportKey: o.keys.Transport, Attestation: o.attestation,
		DisplayName: m.displayName, DeviceType: m.deviceType, OsVersion: m.osVersion, TargetDomain: m.domain,
		ClientIdentity: identity, Signature: signature,
	})
	if err != nil {
		return registered{}, err
	}
	return registered{
		certificate: resp.GetCertificate(), thumbprint: resp.GetThumbprint(), tenantID: resp.GetTenantId(),
		protection: resp.GetKeyProtection(), native: resp.GetNativeSessionKeys(),
	}, nil
}

// replace asks for other keys of the same device; proof is by its old key.
func (c cloud) replace(ctx context.Context, proof string, o offer) (registered, error) {
	resp, err := c.devices.ReplaceDeviceKeys(ctx, &idpv1.ReplaceDeviceKeysRequest{
		Request: proof, CertificateRequest: o.request, TransportKey: o.keys.Transport, Attestation: o.attestation,
	})
	if err != nil {
		return registered{}, err
	}
	return registered{
		certificate: resp.GetCertificate(), thumbprint: resp.GetThumbprint(), tenantID: resp.GetTenantId(),
		protection: resp.GetKeyProtection(), native: resp.GetNativeSessionKeys(),
	}, nil
}
