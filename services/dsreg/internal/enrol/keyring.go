package enrol

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// maxKeySet bounds the name of a key set, in bytes.
const maxKeySet = 128

// keyring is the tpm-agent as enrolment needs it.
type keyring struct {
	keys     tpmv1.DeviceKeyServiceClient
	provider tpmv1.ProviderServiceClient
}

func newKeyring(to grpc.ClientConnInterface) keyring {
	conn := keyConn{to}
	return keyring{keys: tpmv1.NewDeviceKeyServiceClient(conn), provider: tpmv1.NewProviderServiceClient(conn)}
}

// create makes a pending key set and checks that it is two RSA-2048 keys.
func (k keyring) create(ctx context.Context) (state.Keys, error) {
	resp, err := k.keys.CreateDeviceKeys(ctx, &tpmv1.CreateDeviceKeysRequest{})
	if err != nil {
		return state.Keys{}, err
	}
	s := state.Keys{ID: resp.GetKeySetId(), Device: resp.GetDevicePublicKey(), Transport: resp.GetTransportPublicKey()}
	dk, ok := publicKey(s.Device)
	tk, err := entrawire.ParseRSA1(s.Transport)
	switch {
	case s.ID == "" || len(s.ID) > maxKeySet:
		return state.Keys{}, badKeys("key_set_id is not 1 to 128 bytes")
	case !ok:
		return state.Keys{}, badKeys("device_public_key is not an RSA key")
	case err != nil:
		return state.Keys{}, badKeys("transport_public_key is not an RSA1 blob of an RSA-2048 key")
	case dk.Equal(tk):
		return state.Keys{}, badKeys("device key and transport key are the same")
	}
	return s, nil
}

func publicKey(spki []byte) (*rsa.PublicKey, bool) {
	pub, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, false
	}
	key, ok := pub.(*rsa.PublicKey)
	return key, ok
}

func badKeys(what string) error {
	return &ofKeys{prterr.New(prterr.TPMFailed, "the tpm-agent's answer was not used: %s", what)}
}

// request has a certificate request signed and checks that it is for the set's
// device key.
func (k keyring) request(ctx context.Context, s state.Keys) ([]byte, error) {
	resp, err := k.keys.CreateCertificateRequest(ctx, &tpmv1.CreateCertificateRequestRequest{KeySetId: s.ID})
	if err != nil {
		return nil, err
	}
	der := resp.GetCertificateRequest()
	csr, err := entrawire.ParseCSR(der)
	if err != nil {
		return nil, &ofKeys{prterr.Wrap(prterr.TPMFailed, err, "the tpm-agent's certificate request was not used")}
	}
	if !bytes.Equal(csr.RawSubjectPublicKeyInfo, s.Device) {
		return nil, badKeys("the certificate request is for another key")
	}
	return der, nil
}

// install makes a set the device's identity. native says how session keys will come.
func (k keyring) install(ctx context.Context, set string, certificate []byte, native bool) error {
	_, err := k.keys.InstallDeviceCertificate(ctx, &tpmv1.InstallDeviceCertificateRequest{
		KeySetId: set, Certificate: certificate, NativeSessionKeys: native,
	})
	return err
}

// removal has the proof signed with which the installed device key removes
// itself from its tenant.
func (k keyring) removal(ctx context.Context, nonce string) (string, error) {
	resp, err := k.keys.SignDeviceRemoval(ctx, &tpmv1.SignDeviceRemovalRequest{RequestNonce: nonce})
	if err != nil {
		return "", err
	}
	if n := len(resp.GetRequest()); n == 0 || n > jose.MaxToken {
		return "", badKeys("the removal proof is empty or too long")
	}
	return resp.GetRequest(), nil
}

// check has the proof signed with which the device asks whether it stands.
func (k keyring) check(ctx context.Context, nonce string) (string, error) {
	resp, err := k.keys.SignDeviceCheck(ctx, &tpmv1.SignDeviceCheckRequest{RequestNonce: nonce})
	if err != nil {
		return "", err
	}
	if n := len(resp.GetRequest()); n == 0 || n > jose.MaxToken {
		return "", badKeys("the proof for a check is empty or too long")
	}
	return resp.GetRequest(), nil
}

// destroy ends the installed keys. Keys that are gone already are no error.
func (k keyring) destroy(ctx context.Context) error { return k.drop(ctx, "") }

// drop ends a set; empty is the installed one.
func (k keyring) drop(ctx context.Context, set string) error {
	_, err := k.keys.DeleteDeviceKeys(ctx, &tpmv1.DeleteDeviceKeysRequest{KeySetId: set})
	if kind := prterr.KindOf(err); kind == prterr.NotFound || kind == prterr.KeysLost {
		return nil
	}
	return err
}

// installedKey is the DER public half of the installed device key, nil when none
// is installed.
func (k keyring) installedKey(ctx context.Context) ([]byte, error) {
	resp, err := k.keys.ListKeys(ctx, &tpmv1.ListKeysRequest{})
	if err != nil {
		return nil, err
	}
	for _, d := range resp.GetKeys() {
		if d.GetInstalled() && d.GetPurpose() == tpmv1.KeyPurpose_KEY_PURPOSE_DEVICE && len(d.GetPublicKey()) > 0 {
			return d.GetPublicKey(), nil
		}
	}
	return nil, nil
}
