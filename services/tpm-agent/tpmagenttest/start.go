// Package tpmagenttest starts agents for tests, plays the two components that may
// call one, and holds the conformance suite of the agent's contract.
package tpmagenttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
)

// Agent is a running agent with connections as its callers.
type Agent struct {
	t testing.TB
	// Dial connects as a component.
	Dial func(caller string) grpc.ClientConnInterface
	// Service is nil for an agent that is not in this process.
	Service *tpmagent.Service
	// Native registers so that session keys come wrapped for the storage key.
	Native bool
}

// Start runs an agent in this process. The zero Config is one on a volatile soft
// TPM in a folder of the test's own.
func Start(t testing.TB, cfg tpmagent.Config) *Agent {
	t.Helper()
	if cfg.StateDir == "" {
		cfg.StateDir = t.TempDir()
	}
	if cfg.TPM == "" && cfg.Transport == nil {
		cfg.TPM = "mem:"
	}
	s, err := tpmagent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &Agent{t: t, Service: s, Dial: func(caller string) grpc.ClientConnInterface {
		conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "tpm-agent", Allow: tpmagent.Allow()}, s.Register)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return conn
	}}
}

// Soft runs an agent on a volatile soft TPM, with a clock, for the tests of other
// components.
func Soft(t testing.TB, clk clock.Clock) *Agent {
	t.Helper()
	return Start(t, tpmagent.Config{Clock: clk})
}

// Devices is the agent's door for dsreg.
func (a *Agent) Devices() tpmv1.DeviceKeyServiceClient {
	return tpmv1.NewDeviceKeyServiceClient(a.Dial("dsreg"))
}

// PRT is the agent's door for lsa-cloudap, the authority of the PRT on a joined device.
func (a *Agent) PRT() tpmv1.PRTKeyServiceClient {
	return tpmv1.NewPRTKeyServiceClient(a.Dial("lsa-cloudap"))
}

// Identity is an installed registration as the other side knows it.
type Identity struct {
	KeySetID    string
	DeviceKey   *rsa.PublicKey
	Transport   *rsa.PublicKey
	Certificate []byte
	// Keys are set when the registration was attested.
	Keys *Attested
}

// Create makes a pending key set.
func (a *Agent) Create() Identity {
	a.t.Helper()
	resp, err := a.Devices().CreateDeviceKeys(a.t.Context(), &tpmv1.CreateDeviceKeysRequest{})
	if err != nil {
		a.t.Fatal(err)
	}
	dk, err := x509.ParsePKIXPublicKey(resp.GetDevicePublicKey())
	if err != nil {
		a.t.Fatal(err)
	}
	tk, err := entrawire.ParseRSA1(resp.GetTransportPublicKey())
	if err != nil {
		a.t.Fatal(err)
	}
	return Identity{KeySetID: resp.GetKeySetId(), DeviceKey: dk.(*rsa.PublicKey), Transport: tk}
}

// Register makes a key set and installs the certificate of a joined device for it.
func (a *Agent) Register() Identity {
	a.t.Helper()
	return a.RegisterAs(entrawire.JoinJoined)
}

// RegisterAs does so for a joined or for a registered device.
func (a *Agent) RegisterAs(join entrawire.JoinType) Identity {
	a.t.Helper()
	id := a.Create()
	id.Certificate = CertificateOf(a.t, id.DeviceKey, join)
	var err error
	if a.Native {
		if id.Keys, err = Attest(a.t.Context(), a.Devices(), id.KeySetID); err != nil {
			a.t.Fatal(err)
		}
	}
	_, err = a.Devices().InstallDeviceCertificate(a.t.Context(), &tpmv1.InstallDeviceCertificateRequest{
		KeySetId: id.KeySetID, Certificate: id.Certificate, NativeSessionKeys: a.Native,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

// Certificate makes the certificate of a joined device for a device key, from an
// authority that is gone at once: the agent does not judge who signed.
func Certificate(t testing.TB, dk crypto.PublicKey) []byte {
	t.Helper()
	return CertificateOf(t, dk, entrawire.JoinJoined)
}

// CertificateOf does so for a joined or for a registered device; an empty join type
// leaves out what only device certificates have.
func CertificateOf(t testing.TB, dk crypto.PublicKey, join entrawire.JoinType) []byte {
	t.Helper()
	const device = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: device},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if join != "" {
		if tmpl.ExtraExtensions, err = entrawire.DeviceExtensions(device, UserA, Partition(UserA).GetTenantId(), join); err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, dk, ca)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Partition is a user's partition.
func Partition(user string) *tpmv1.Partition {
	return &tpmv1.Partition{TenantId: "11111111-1111-1111-1111-111111111111", UserId: user, CredentialKind: "password"}
}

// Users of the suite.
const (
	UserA = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
	UserB = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"
)

// Import makes a session key as an identity provider does and imports it.
func (a *Agent) Import(id Identity, user string) (secret.Bytes, *tpmv1.SealedSessionKey) {
	a.t.Helper()
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	key := secret.NewBytes(raw)
	jwe, err := a.Wrap(id, key)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := a.PRT().ImportSessionKey(a.t.Context(), &tpmv1.ImportSessionKeyRequest{Partition: Partition(user), SessionKeyJwe: jwe})
	if err != nil {
		a.t.Fatal(err)
	}
	return key, resp.GetSessionKey()
}

// Wrap wraps a session key in the form that the registration agreed on.
func (a *Agent) Wrap(id Identity, key secret.Bytes) (string, error) {
	if a.Native {
		return WrapNative(id.Keys.Storage, key)
	}
	return entrawire.SealSessionKey(id.Transport, key)
}

// seal encrypts an answer with a session key in that form.
func (a *Agent) seal(key secret.Bytes, plain []byte) (string, error) {
	if a.Native {
		return entrawire.SealNativeAnswer(key, plain)
	}
	return entrawire.SealAnswer(key, plain)
}

// kdfVer is the version of the derivation that goes with the form.
func (a *Agent) kdfVer() int {
	if a.Native {
		return entrawire.KDF3
	}
	return entrawire.KDF2
}
