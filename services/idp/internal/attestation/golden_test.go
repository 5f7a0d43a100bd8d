package attestation_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

var record = flag.Bool("record", false, "record the exchanges with swtpm anew")

// exchange is one with a TPM that nobody here wrote: what it sent, and the secret of
// the credential that it opened. Nothing in it is worth anything any more.
type exchange struct {
	Made      time.Time `json:"made"`
	Authority string    `json:"authority"`

	EndorsementKey         []byte `json:"endorsement_key"`
	EndorsementCertificate []byte `json:"endorsement_certificate"`
	AttestationKey         []byte `json:"attestation_key"`
	Secret                 []byte `json:"secret"`
	// DeviceKey and TransportKey are DER SubjectPublicKeyInfo.
	DeviceKey    []byte `json:"device_key"`
	TransportKey []byte `json:"transport_key"`

	Device    attestation.Statement `json:"device"`
	Transport attestation.Statement `json:"transport"`
	Storage   attestation.Statement `json:"storage"`
}

// recorded are the exchanges in testdata. To record them anew:
// go test ./services/idp/internal/attestation -run TestRecord$ -record
func recorded() map[string][2]tpm2.TPMHandle {
	return map[string][2]tpm2.TPMHandle{
		"swtpm-rsa.json":  {attestationtest.SwtpmRSA, attestationtest.SwtpmRSACertificate},
		"swtpm-p384.json": {attestationtest.SwtpmP384, attestationtest.SwtpmP384Certificate},
	}
}

func TestREG26_RecordedExchangesWithSwtpm(t *testing.T) {
	for name := range recorded() {
		t.Run(name, func(t *testing.T) {
			x, dk, tk := load(t, name)
			w := newWorld(t, maker(t, tenant.MakesEmulated, []byte(x.Authority)))
			w.clock.now = x.Made
			asked := &idpv1.RequestAttestationChallengeRequest{EndorsementKey: x.EndorsementKey, EndorsementCertificate: x.EndorsementCertificate, AttestationKey: x.AttestationKey}
			if _, got := w.SecretOf(t, w.challenged(t, asked).GetChallenge(), contoso); got != store.ProtectionEmulated {
				t.Errorf("the certificate is of %s", got)
			}
			a := attestation.Attestation{
				Challenge: w.Sealed(t, contoso, x.AttestationKey, x.Secret, x.Made), Device: x.Device, Transport: x.Transport, Storage: &x.Storage,
			}
			v, err := w.Verify(contoso, a, dk, tk)
			if err != nil || !bytes.Equal(v.StorageKey, x.Storage.PublicArea) {
				t.Fatalf("%+v, %v", v, err)
			}
			x.Secret[0] ^= 1
			a.Challenge = w.Sealed(t, contoso, x.AttestationKey, x.Secret, x.Made)
			_, err = w.Verify(contoso, a, dk, tk)
			if why := wantRefused(t, err); !strings.Contains(why, "not in answer") {
				t.Error(why)
			}
		})
	}
}

func load(t testing.TB, name string) (x exchange, dk, tk crypto.PublicKey) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &x); err != nil {
		t.Fatal(err)
	}
	if dk, err = x509.ParsePKIXPublicKey(x.DeviceKey); err != nil {
		t.Fatal(err)
	}
	if tk, err = x509.ParsePKIXPublicKey(x.TransportKey); err != nil {
		t.Fatal(err)
	}
	return x, dk, tk
}

func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("records exchanges with swtpm anew, when it is told to with -record")
	}
	for name, at := range recorded() {
		tpm, authority := attestationtest.Swtpm(t)
		c := attestationtest.NewChipAt(t, tpm, at[0], at[1])
		w := newWorld(t, maker(t, tenant.MakesEmulated, authority))
		q := c.Request("")
		asked := w.challenged(t, q)
		secret, _ := w.SecretOf(t, asked.GetChallenge(), contoso)
		a := said(c.Answer(asked))
		x := exchange{
			Made: w.clock.now.UTC().Truncate(time.Second), Authority: string(authority), EndorsementKey: q.GetEndorsementKey(),
			EndorsementCertificate: q.GetEndorsementCertificate(), AttestationKey: q.GetAttestationKey(), Secret: secret,
			DeviceKey: spki(t, c.Signer().Public()), TransportKey: spki(t, c.TransportKey()), Device: a.Device, Transport: a.Transport, Storage: *a.Storage,
		}
		raw, err := json.MarshalIndent(x, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", name), append(raw, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func spki(t testing.TB, k crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
