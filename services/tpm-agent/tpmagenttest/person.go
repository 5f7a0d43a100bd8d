package tpmagenttest

import (
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Person is somebody with a Hello key on a device, for tests of who registers such
// keys and takes their assertions: bytes and text go in and out, no contract.
type Person struct {
	agent *Agent
	user  *tpmv1.HelloUser
	pin   string
}

// Person names a user of the device.
func (a *Agent) Person(tenant, user, pin string) *Person {
	return &Person{agent: a, user: &tpmv1.HelloUser{TenantId: tenant, UserId: user}, pin: pin}
}

// Enrolment is what a registration wants of a pending set: a PKCS#10 request and the
// RSA1 blob of the transport key.
func (a *Agent) Enrolment(id Identity) (csr, transportKey []byte, err error) {
	resp, err := a.Devices().CreateCertificateRequest(a.t.Context(), &tpmv1.CreateCertificateRequestRequest{KeySetId: id.KeySetID})
	if err != nil {
		return nil, nil, err
	}
	transportKey, err = entrawire.MarshalRSA1(id.Transport)
	return resp.GetCertificateRequest(), transportKey, err
}

// Install makes a pending set the device's identity.
func (a *Agent) Install(id Identity, certificate []byte) error {
	_, err := a.Devices().InstallDeviceCertificate(a.t.Context(), &tpmv1.InstallDeviceCertificateRequest{
		KeySetId: id.KeySetID, Certificate: certificate, NativeSessionKeys: a.Native,
	})
	return err
}

// SetUpHello makes the person's Hello key and returns its RSA1 blob.
func (p *Person) SetUpHello() ([]byte, error) {
	resp, err := p.agent.Hello().CreateHelloKey(p.agent.t.Context(), &tpmv1.CreateHelloKeyRequest{User: p.user, Pin: p.pin})
	return resp.GetPublicKey(), err
}

// ForgetHello destroys it.
func (p *Person) ForgetHello() error {
	_, err := p.agent.Hello().DeleteHelloKey(p.agent.t.Context(), &tpmv1.DeleteHelloKeyRequest{User: p.user})
	return err
}

// HelloRequest is a request for a PRT with the person's key, in the name of anybody.
func (p *Person) HelloRequest(upn, nonce string) (string, error) {
	resp, err := p.agent.Hello().SignHelloPRTRequest(p.agent.t.Context(), &tpmv1.SignHelloPRTRequestRequest{
		User: p.user, UserPrincipalName: upn, Pin: p.pin, RequestNonce: nonce,
	})
	return resp.GetRequest(), err
}
