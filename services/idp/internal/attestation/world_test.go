package attestation_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// contoso is the tenant that is asked, fabrikam another one.
const contoso, fabrikam = ids.TenantID("6babcaad-604b-40ac-a9d7-9fd97c0b779f"), ids.TenantID("f8cdef31-a31e-4b4a-93e4-5f571e91255a")

// moving is a clock that stands until it is moved.
type moving struct {
	clock.Clock
	now time.Time
}

func (m *moving) Now() time.Time { return m.now }

// ring seals as the issuance room does.
type ring struct{ *sealed.Ring }

func (r ring) OpenState(t secret.Text) ([]byte, error) { return r.Ring.OpenState(t.Reveal()) }

func newRing(t testing.TB) ring {
	t.Helper()
	r, err := sealed.NewRing(sealed.FreshKey(1))
	if err != nil {
		t.Fatal(err)
	}
	return ring{r}
}

// world is the room with a clock and a tenant that trusts makers.
type world struct {
	*attestation.Service
	ring  ring
	clock *moving
	home  *tenant.Tenant
}

func newWorld(t testing.TB, makers ...tenant.Maker) *world {
	t.Helper()
	w := &world{ring: newRing(t), clock: &moving{clock.Real(), time.Now()}, home: &tenant.Tenant{ID: contoso, Makers: makers}}
	var err error
	if w.Service, err = attestation.New(attestation.Config{Sealer: w.ring, Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	return w
}

// newWorldTrusting is a world where the makers are not the tenant's but everybody's.
func newWorldTrusting(t testing.TB, makers ...tenant.Maker) *world {
	t.Helper()
	w := newWorld(t)
	var err error
	if w.Service, err = attestation.New(attestation.Config{Sealer: w.ring, Clock: w.clock, Makers: makers}); err != nil {
		t.Fatal(err)
	}
	return w
}

func maker(t testing.TB, kind tenant.MakerKind, pem []byte) tenant.Maker {
	t.Helper()
	m, err := tenant.NewMaker("maker of "+string(kind), string(kind), pem)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// challenge asks the room as the server does.
func (w *world) challenge(r *idpv1.RequestAttestationChallengeRequest) (*idpv1.RequestAttestationChallengeResponse, error) {
	c, err := w.Challenge(w.home, attestation.Keys{
		EndorsementKey: r.GetEndorsementKey(), EndorsementCertificate: r.GetEndorsementCertificate(), AttestationKey: r.GetAttestationKey(),
	})
	return &idpv1.RequestAttestationChallengeResponse{Challenge: c.Text, CredentialBlob: c.CredentialBlob, EncryptedSecret: c.EncryptedSecret}, err
}

func (w *world) challenged(t testing.TB, r *idpv1.RequestAttestationChallengeRequest) *idpv1.RequestAttestationChallengeResponse {
	t.Helper()
	c, err := w.challenge(r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) judge(a *idpv1.Attestation, dk, tk crypto.PublicKey) (attestation.Verdict, error) {
	return w.Verify(w.home.ID, said(a), dk, tk)
}

func said(a *idpv1.Attestation) attestation.Attestation {
	of := func(s *idpv1.KeyStatement) attestation.Statement {
		return attestation.Statement{PublicArea: s.GetPublicArea(), Attestation: s.GetAttestation(), Signature: s.GetSignature()}
	}
	out := attestation.Attestation{Challenge: a.GetChallenge(), Device: of(a.GetDeviceKey()), Transport: of(a.GetTransportKey())}
	if a.GetStorageKey() != nil {
		s := of(a.GetStorageKey())
		out.Storage = &s
	}
	return out
}

// wantRefused fails unless err is the one error of an attestation that proves
// nothing; it returns what the log learns.
func wantRefused(t testing.TB, err error) string {
	t.Helper()
	var known *prterr.Error
	const text = "attestation does not prove that the keys live in the TPM of its challenge: ask for another challenge and certify the keys anew"
	if !errors.As(err, &known) || known.Kind != prterr.Invalid || known.Msg != text {
		t.Errorf("got %v, want the one error", err)
		return ""
	}
	var why attestation.Reason
	if !errors.As(err, &why) || why == "" {
		t.Errorf("%v has no reason for the log", err)
	}
	return string(why)
}

// rsaKeys are made once: a key takes longer than a test.
var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

// softTPM is a started TPM in software.
func softTPM(t testing.TB) transport.TPM {
	t.Helper()
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tpm.Close() })
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		t.Fatal(err)
	}
	return tpm
}
