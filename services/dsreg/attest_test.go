package dsreg_test

import (
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Every way to an identity proves where its keys live, and the strict tenant of this
// test takes no other.
func TestREG26_EveryRegistrationIsAttested(t *testing.T) {
	for name, way := range enrolments() {
		w := newWorld(t)
		w.idp.strict = true
		if err := way.prepare(w); err != nil {
			t.Fatal(err)
		}
		if err := way.enrol(w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if w.idp.attested == nil || !w.tpm.sets[w.tpm.installed].native || w.consistent().GetAttestedProtection() != "emulated" {
			t.Errorf("%s: attested %v, state %v", name, w.idp.attested != nil, w.mustState())
		}
		w.restart(nil)
		if got := w.mustState().GetAttestedProtection(); got != "emulated" {
			t.Errorf("%s: after a restart %q", name, got)
		}
	}
}

// An identity provider that does not ask, and keys that nobody vouches for: the
// device is registered, and the tenant knows nothing of its keys.
func TestREG26_WithoutAttestation(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"no such call": func(w *world) {
			w.idp.before["RequestAttestationChallenge"] = prterr.New(prterr.NotFound, "no such method")
		},
		"software keys": func(w *world) { w.tpm.absent = true },
	} {
		w := newWorld(t)
		spoil(w)
		w.mustJoin()
		if w.idp.attested != nil || w.tpm.sets[w.tpm.installed].native || w.mustState().GetAttestedProtection() != "software" {
			t.Errorf("%s: attested %v, state %v", name, w.idp.attested, w.mustState())
		}
		w.idp.strict = true
		if _, err := w.join(); prterr.KindOf(err) != prterr.Denied || !strings.Contains(err.Error(), "attested keys only") {
			t.Errorf("%s: a strict tenant: %v", name, err)
		}
		w.consistent()
	}
}

// An attestation that was begun and does not come to its end stops the enrolment.
func TestREG26_AnAttestationThatFailsIsNotPassedOver(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*world)
		kind  prterr.Kind
		want  string
	}{
		"the TPM is not trusted": {func(w *world) {
			w.idp.before["RequestAttestationChallenge"] = prterr.New(prterr.Denied, "not trusted")
		}, prterr.Denied, "not trusted"},
		"the network fails": {func(w *world) {
			w.idp.before["RequestAttestationChallenge"] = prterr.New(prterr.Unavailable, "busy")
		}, prterr.Unavailable, "busy"},
		"no challenge": {func(w *world) {
			w.idp.challenge = func(r *idpv1.RequestAttestationChallengeResponse) { r.Challenge = "" }
		}, prterr.Denied, "challenge is empty"},
		"huge challenge": {func(w *world) {
			w.idp.challenge = func(r *idpv1.RequestAttestationChallengeResponse) { r.Challenge = strings.Repeat("c", 17<<10) }
		}, prterr.Denied, "challenge is empty or too long"},
		"huge credential": {func(w *world) {
			w.idp.challenge = func(r *idpv1.RequestAttestationChallengeResponse) { r.CredentialBlob = make([]byte, 513) }
		}, prterr.Denied, "credential_blob"},
		"no secret": {func(w *world) {
			w.idp.challenge = func(r *idpv1.RequestAttestationChallengeResponse) { r.EncryptedSecret = nil }
		}, prterr.Denied, "encrypted_secret"},
		"a credential for another TPM": {func(w *world) {
			w.idp.challenge = func(r *idpv1.RequestAttestationChallengeResponse) { r.CredentialBlob = []byte("for another") }
		}, prterr.Denied, "another TPM"},
		"a broken TPM": {func(w *world) { w.tpm.before["CertifyDeviceKeys"] = prterr.New(prterr.TPMFailed, "broken") }, prterr.TPMFailed, "broken"},
		"no statement": {func(w *world) {
			w.tpm.statements = func(r *tpmv1.CertifyDeviceKeysResponse) { r.TransportKey = nil }
		}, prterr.TPMFailed, "statement"},
		"half a statement": {func(w *world) {
			w.tpm.statements = func(r *tpmv1.CertifyDeviceKeysResponse) { r.StorageKey.Signature = nil }
		}, prterr.TPMFailed, "statement"},
		"a refused statement": {func(w *world) {
			w.tpm.statements = func(r *tpmv1.CertifyDeviceKeysResponse) { r.DeviceKey.PublicArea = []byte("another key") }
		}, prterr.Denied, "not right"},
	} {
		t.Run(name, func(t *testing.T) { unchanged(t, c.spoil, c.kind, c.want) })
	}
}

// A tenant cannot know more of the keys than was proven to it.
func TestALyingAnswerAboutTheKeysIsRefused(t *testing.T) {
	none := func(w *world) {
		w.idp.before["RequestAttestationChallenge"] = prterr.New(prterr.NotFound, "no such method")
	}
	for name, c := range map[string]struct {
		spoil func(*world)
		lie   func(*idpv1.RegisterDeviceResponse)
		want  string
	}{
		"an unknown protection": {func(*world) {}, func(r *idpv1.RegisterDeviceResponse) { r.KeyProtection = 9 }, "key_protection is not known"},
		"hardware out of nothing": {none, func(r *idpv1.RegisterDeviceResponse) {
			r.KeyProtection = idpv1.KeyProtection_KEY_PROTECTION_HARDWARE
		}, "more than was proven"},
		"native keys out of nothing": {none, func(r *idpv1.RegisterDeviceResponse) { r.NativeSessionKeys = true }, "without a storage key"},
		"native keys without storage key": {func(w *world) {
			w.tpm.statements = func(r *tpmv1.CertifyDeviceKeysResponse) { r.StorageKey = nil }
		}, func(r *idpv1.RegisterDeviceResponse) { r.NativeSessionKeys = true }, "without a storage key"},
		"an administrator that is none": {func(*world) {}, func(r *idpv1.RegisterDeviceResponse) { r.AdministratorSids = []string{"root"} }, "security identifier"},
		"a crowd of administrators": {func(*world) {}, func(r *idpv1.RegisterDeviceResponse) {
			r.AdministratorSids = make([]string, 65)
		}, "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			unchanged(t, func(w *world) { c.spoil(w); w.idp.lie = c.lie }, prterr.Denied, c.want)
		})
	}
}
