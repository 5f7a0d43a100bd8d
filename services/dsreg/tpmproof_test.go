package dsreg_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// usable says why a set cannot be used; f.mu is held.
func (f *fakeTPM) usable(set *fakeSet) error {
	switch {
	case f.dead:
		return prterr.New(prterr.TPMFailed, "the TPM failed")
	case set == nil:
		return prterr.New(prterr.NotFound, "no such set")
	case set.lost != 0:
		return prterr.New(prterr.KeysLost, "the TPM does not know this key any more")
	}
	return nil
}

// wipe is a TPM that was cleared: it knows none of the keys it made, and makes new ones.
func (f *fakeTPM) wipe() { f.damage(tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEYS_LOST) }

func (f *fakeTPM) damage(how tpmv1.KeyTestOutcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, set := range f.sets {
		set.lost = how
	}
}

func (f *fakeTPM) TestDeviceKeys(context.Context, *tpmv1.TestDeviceKeysRequest) (*tpmv1.TestDeviceKeysResponse, error) {
	resp := &tpmv1.TestDeviceKeysResponse{}
	return resp, f.act("TestDeviceKeys", func() error {
		set := f.sets[f.installed]
		if set == nil {
			return prterr.New(prterr.NotFound, "no set is installed")
		}
		f.tests++
		outcome := tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_PASSED
		if set.lost != 0 {
			outcome = set.lost
		}
		if f.dead {
			outcome = tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_TPM_FAILED
		}
		for _, p := range []tpmv1.KeyPurpose{tpmv1.KeyPurpose_KEY_PURPOSE_DEVICE, tpmv1.KeyPurpose_KEY_PURPOSE_TRANSPORT, tpmv1.KeyPurpose_KEY_PURPOSE_STORAGE} {
			r := &tpmv1.KeyTestResult{Purpose: p, Outcome: outcome}
			if f.halfLost && p == tpmv1.KeyPurpose_KEY_PURPOSE_TRANSPORT {
				r.Outcome = tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEY_DAMAGED
			}
			resp.Results = append(resp.Results, r)
		}
		return nil
	})
}

func (f *fakeTPM) DescribeAttestationKeys(_ context.Context, r *tpmv1.DescribeAttestationKeysRequest) (*tpmv1.DescribeAttestationKeysResponse, error) {
	resp := &tpmv1.DescribeAttestationKeysResponse{}
	return resp, f.act("DescribeAttestationKeys", func() error {
		set := f.sets[r.GetKeySetId()]
		if err := f.usable(set); err != nil || set.software {
			return err
		}
		resp.EndorsementKey, resp.EndorsementCertificate, resp.AttestationKey = []byte("EK"), []byte("EK certificate"), []byte("AK of "+r.GetKeySetId())
		return nil
	})
}

func (f *fakeTPM) CertifyDeviceKeys(_ context.Context, r *tpmv1.CertifyDeviceKeysRequest) (*tpmv1.CertifyDeviceKeysResponse, error) {
	resp := &tpmv1.CertifyDeviceKeysResponse{}
	return resp, f.act("CertifyDeviceKeys", func() error {
		if err := f.usable(f.sets[r.GetKeySetId()]); err != nil {
			return err
		}
		if !bytes.Equal(r.GetCredentialBlob(), []byte("for AK of "+r.GetKeySetId())) {
			return prterr.New(prterr.Denied, "the credential is for another TPM")
		}
		for what, into := range map[string]**tpmv1.KeyStatement{"dk": &resp.DeviceKey, "tk": &resp.TransportKey, "tkS": &resp.StorageKey} {
			*into = &tpmv1.KeyStatement{PublicArea: []byte(what), Attestation: r.GetEncryptedSecret(), Signature: []byte("by AK of " + r.GetKeySetId())}
		}
		if f.statements != nil {
			f.statements(resp)
		}
		return nil
	})
}

func (f *fakeTPM) SignKeyReplacement(_ context.Context, r *tpmv1.SignKeyReplacementRequest) (*tpmv1.SignKeyReplacementResponse, error) {
	resp := &tpmv1.SignKeyReplacementResponse{}
	return resp, f.act("SignKeyReplacement", func() error {
		old, next := f.sets[f.installed], f.sets[r.GetKeySetId()]
		if err := f.usable(old); err != nil {
			return err
		}
		if err := f.usable(next); err != nil || old == next {
			return prterr.New(prterr.NotFound, "no such pending set")
		}
		dk, err := x509.MarshalPKIXPublicKey(&next.device.PublicKey)
		if err != nil {
			return err
		}
		tk, err := entrawire.MarshalRSA1(&next.transport.PublicKey)
		if err != nil {
			return err
		}
		payload, err := entrawire.KeyReplacement{
			GrantType: entrawire.GrantKeyReplacement, Iss: entrawire.BrokerIssuer, RequestNonce: r.GetRequestNonce(),
			DK: entrawire.KeyThumbprint(dk), TK: entrawire.KeyThumbprint(tk),
		}.Encode()
		if err != nil {
			return err
		}
		resp.Request, err = jose.SignRS256(jose.Header{Alg: jose.RS256, Typ: "JWT", X5C: [][]byte{old.certificate}}, payload, old.device)
		return err
	})
}

func (f *fakeTPM) CreateComputerCertificate(_ context.Context, r *tpmv1.CreateComputerCertificateRequest) (*tpmv1.CreateComputerCertificateResponse, error) {
	resp := &tpmv1.CreateComputerCertificateResponse{}
	return resp, f.act("CreateComputerCertificate", func() (err error) {
		set := f.sets[r.GetKeySetId()]
		if err := f.usable(set); err != nil {
			return err
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: r.GetComputerId()}, NotBefore: time.Now(), NotAfter: time.Now().AddDate(10, 0, 0),
		}
		signer := set.device
		if f.computer != nil {
			signer = f.computer(template, signer)
		}
		resp.Certificate, err = x509.CreateCertificate(rand.Reader, template, template, &signer.PublicKey, signer)
		return err
	})
}

func (f *fakeTPM) SignComputerIdentity(_ context.Context, r *tpmv1.SignComputerIdentityRequest) (*tpmv1.SignComputerIdentityResponse, error) {
	resp := &tpmv1.SignComputerIdentityResponse{}
	return resp, f.act("SignComputerIdentity", func() (err error) {
		set := f.sets[r.GetKeySetId()]
		if err := f.usable(set); err != nil {
			return err
		}
		resp.ClientIdentity = fmt.Sprintf("%s.%sZ", r.GetComputerSid(), time.Unix(r.GetUnixTime(), 0).UTC().Format(time.DateTime))
		digest := sha256.Sum256([]byte(resp.GetClientIdentity()))
		resp.Signature, err = rsa.SignPKCS1v15(nil, set.device, crypto.SHA256, digest[:])
		return err
	})
}
