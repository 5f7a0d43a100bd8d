package dsreg_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// pool is RSA keys made once: making one takes a tenth of a second.
var pool = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 10)
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

type fakeSet struct {
	device, transport *rsa.PrivateKey
	certificate       []byte
	native, software  bool
	lost              tpmv1.KeyTestOutcome // unspecified: it is well
}

// fakeTPM is a tpm-agent with its keys in memory and the rules of its contract:
// one pending set, an installation that exchanges the identity in one action. It
// outlives restarts of dsreg, as a TPM does.
type fakeTPM struct {
	tpmv1.UnimplementedDeviceKeyServiceServer
	tpmv1.UnimplementedProviderServiceServer

	mu        sync.Mutex
	made      int
	sets      map[string]*fakeSet
	pending   string
	installed string
	// before and after are errors of a method, without and with its effect.
	before, after map[string]error
	protection    tpmv1.ProtectionLevel
	described     int
	// absent: there is no TPM, new keys are made in software and nobody vouches for them.
	absent bool
	dead   bool // the TPM does not work
	// halfLost: the transport key is damaged, and the device key signs.
	halfLost bool
	tests    int
	// statements and computer change what is certified.
	statements func(*tpmv1.CertifyDeviceKeysResponse)
	computer   func(*x509.Certificate, *rsa.PrivateKey) *rsa.PrivateKey
	oneKey     bool // device key and transport key are one
	foreignCSR bool // the certificate request is for another key
}

func newTPM() *fakeTPM {
	return &fakeTPM{
		sets: map[string]*fakeSet{}, before: map[string]error{}, after: map[string]error{},
		protection: tpmv1.ProtectionLevel_PROTECTION_LEVEL_EMULATED,
	}
}

func (f *fakeTPM) register(r grpc.ServiceRegistrar) {
	tpmv1.RegisterDeviceKeyServiceServer(r, f)
	tpmv1.RegisterProviderServiceServer(r, f)
}

// act runs the effect of a method between its two errors.
func (f *fakeTPM) act(method string, effect func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before[method]; err != nil {
		return err
	}
	if err := effect(); err != nil {
		return err
	}
	return f.after[method]
}

func (f *fakeTPM) CreateDeviceKeys(context.Context, *tpmv1.CreateDeviceKeysRequest) (*tpmv1.CreateDeviceKeysResponse, error) {
	resp := &tpmv1.CreateDeviceKeysResponse{}
	return resp, f.act("CreateDeviceKeys", func() (err error) {
		delete(f.sets, f.pending)
		set := &fakeSet{software: f.absent, device: pool()[2*f.made%len(pool())], transport: pool()[(2*f.made+1)%len(pool())]}
		if f.oneKey {
			set.transport = set.device
		}
		f.made++
		f.pending = fmt.Sprintf("set-%d", f.made)
		f.sets[f.pending] = set
		resp.KeySetId = f.pending
		if resp.DevicePublicKey, err = x509.MarshalPKIXPublicKey(&set.device.PublicKey); err != nil {
			return err
		}
		resp.TransportPublicKey, err = entrawire.MarshalRSA1(&set.transport.PublicKey)
		return err
	})
}

func (f *fakeTPM) CreateCertificateRequest(_ context.Context, r *tpmv1.CreateCertificateRequestRequest) (*tpmv1.CreateCertificateRequestResponse, error) {
	resp := &tpmv1.CreateCertificateRequestResponse{}
	return resp, f.act("CreateCertificateRequest", func() (err error) {
		set := f.sets[r.GetKeySetId()]
		if err := f.usable(set); err != nil {
			return err
		}
		key := set.device
		if f.foreignCSR {
			key = set.transport
		}
		resp.CertificateRequest, err = entrawire.CreateCSR(key)
		return err
	})
}

func (f *fakeTPM) InstallDeviceCertificate(_ context.Context, r *tpmv1.InstallDeviceCertificateRequest) (*tpmv1.InstallDeviceCertificateResponse, error) {
	return &tpmv1.InstallDeviceCertificateResponse{}, f.act("InstallDeviceCertificate", func() error {
		set := f.sets[r.GetKeySetId()]
		cert, err := x509.ParseCertificate(r.GetCertificate())
		if set == nil || err != nil || !set.device.PublicKey.Equal(cert.PublicKey) {
			return prterr.New(prterr.Invalid, "the certificate is not for this set")
		}
		set.certificate, set.native = r.GetCertificate(), r.GetNativeSessionKeys()
		if f.installed != r.GetKeySetId() {
			delete(f.sets, f.installed)
		}
		f.installed, f.pending = r.GetKeySetId(), ""
		return nil
	})
}

func (f *fakeTPM) SignDeviceRemoval(_ context.Context, r *tpmv1.SignDeviceRemovalRequest) (*tpmv1.SignDeviceRemovalResponse, error) {
	resp := &tpmv1.SignDeviceRemovalResponse{}
	return resp, f.prove("SignDeviceRemoval", entrawire.GrantDeviceRemoval, r.GetRequestNonce(), &resp.Request)
}

func (f *fakeTPM) SignDeviceCheck(_ context.Context, r *tpmv1.SignDeviceCheckRequest) (*tpmv1.SignDeviceCheckResponse, error) {
	resp := &tpmv1.SignDeviceCheckResponse{}
	return resp, f.prove("SignDeviceCheck", entrawire.GrantDeviceCheck, r.GetRequestNonce(), &resp.Request)
}

// prove signs a proof of the device with the installed key.
func (f *fakeTPM) prove(method, grant, nonce string, into *string) error {
	return f.act(method, func() error {
		set := f.sets[f.installed]
		if err := f.usable(set); err != nil {
			return err
		}
		payload, err := entrawire.DeviceProof{GrantType: grant, Iss: entrawire.BrokerIssuer, RequestNonce: nonce}.Encode()
		if err != nil {
			return err
		}
		*into, err = jose.SignRS256(jose.Header{Alg: jose.RS256, Typ: "JWT", X5C: [][]byte{set.certificate}}, payload, set.device)
		return err
	})
}

func (f *fakeTPM) DeleteDeviceKeys(_ context.Context, r *tpmv1.DeleteDeviceKeysRequest) (*tpmv1.DeleteDeviceKeysResponse, error) {
	return &tpmv1.DeleteDeviceKeysResponse{}, f.act("DeleteDeviceKeys", func() error {
		id := r.GetKeySetId()
		if id == "" {
			id = f.installed
		}
		if f.sets[id] == nil {
			return prterr.New(prterr.NotFound, "no such set")
		}
		delete(f.sets, id)
		if id == f.installed {
			f.installed = ""
		}
		return nil
	})
}

func (f *fakeTPM) ListKeys(context.Context, *tpmv1.ListKeysRequest) (*tpmv1.ListKeysResponse, error) {
	resp := &tpmv1.ListKeysResponse{}
	return resp, f.act("ListKeys", func() error {
		for _, id := range slices.Sorted(maps.Keys(f.sets)) {
			for purpose, key := range map[tpmv1.KeyPurpose]*rsa.PrivateKey{
				tpmv1.KeyPurpose_KEY_PURPOSE_DEVICE: f.sets[id].device, tpmv1.KeyPurpose_KEY_PURPOSE_TRANSPORT: f.sets[id].transport,
			} {
				spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
				if err != nil {
					return err
				}
				resp.Keys = append(resp.Keys, &tpmv1.KeyDescription{KeySetId: id, Purpose: purpose, PublicKey: spki, Installed: id == f.installed})
			}
		}
		return nil
	})
}

func (f *fakeTPM) DescribeProvider(context.Context, *tpmv1.DescribeProviderRequest) (*tpmv1.DescribeProviderResponse, error) {
	resp := &tpmv1.DescribeProviderResponse{}
	return resp, f.act("DescribeProvider", func() error {
		f.described++
		resp.KeyProvider, resp.Protection = "Test TPM", f.protection
		if set := f.sets[f.installed]; set != nil && set.software || set == nil && f.absent {
			resp.KeyProvider, resp.Protection, resp.SoftwareReason = "Test software store", tpmv1.ProtectionLevel_PROTECTION_LEVEL_SOFTWARE, "no TPM was found"
			resp.HigherProtection = !f.absent
		}
		return nil
	})
}

// holds is the certificate of the installed set, nil when there is none.
func (f *fakeTPM) holds() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sets[f.installed] == nil {
		return nil
	}
	return f.sets[f.installed].certificate
}
