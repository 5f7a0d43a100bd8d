package idp_test

import (
	"context"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

func (w *world) register(r *idpv1.RegisterDeviceRequest) (*idpv1.RegisterDeviceResponse, error) {
	return w.devices.RegisterDevice(context.Background(), r)
}

// newDevice is a device that has not registered: its keys are of the pool.
func (w *world) newDevice(dk, tk int) *device {
	return &device{w: w, dk: rsaKeys()[dk], tk: rsaKeys()[tk]}
}

// weaken makes the record of a device one of keys of which nothing was proven, as
// one from before the tenant demanded that.
func (d *device) weaken(t testing.TB) {
	t.Helper()
	err := d.w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(d.id), func(r *store.Device) error {
		r.KeyProtection, r.StorageKey = store.ProtectionSoftware, nil
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestREG26_StrictTakesOnlyAttestedKeys(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withProfile("strict")})
	d := w.newDevice(1, 2)
	for name, c := range map[string]struct {
		change func(*idpv1.RegisterDeviceRequest)
		code   aadsts.Code
		kind   prterr.Kind
	}{
		"no attestation": {func(r *idpv1.RegisterDeviceRequest) { r.Attestation = nil }, aadsts.RegistrationNotAllowed, prterr.Denied},
		"a TPM by nobody who is trusted": {func(r *idpv1.RegisterDeviceRequest) {
			rogue := attestationtest.NewRogue(t, attestationtest.NewMaker("nobody"))
			r.Attestation = rogue.Answer(t, w.challenge(t, rogue, "contoso.test"), &d.dk.PublicKey, &d.tk.PublicKey)
		}, aadsts.RegistrationNotAllowed, prterr.Denied},
		"a TPM without a certificate": {func(r *idpv1.RegisterDeviceRequest) {
			rogue := attestationtest.NewRogue(t, nil)
			r.Attestation = rogue.Answer(t, w.challenge(t, rogue, "contoso.test"), &d.dk.PublicKey, &d.tk.PublicKey)
		}, aadsts.RegistrationNotAllowed, prterr.Denied},
		"keys made outside of the TPM": {func(r *idpv1.RegisterDeviceRequest) {
			rogue := attestationtest.NewRogue(t, tpmMaker())
			r.Attestation = rogue.Answer(t, w.challenge(t, rogue, "contoso.test"), &rsaKeys()[3].PublicKey, &d.tk.PublicKey)
		}, 0, prterr.Invalid},
		"a challenge of another tenant": {func(r *idpv1.RegisterDeviceRequest) { r.Attestation = d.attestation(t, "fabrikam.test") }, 0, prterr.Invalid},
		"nothing in it":                 {func(r *idpv1.RegisterDeviceRequest) { r.Attestation = &idpv1.Attestation{} }, 0, prterr.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := d.enrolment(t, alice, alicePassword)
			c.change(r)
			w.unchanged(t, func() {
				_, err := w.register(r)
				wantCode(t, err, c.code)
				wantKind(t, err, c.kind)
			})
		})
	}
	a, err := w.register(d.enrolment(t, alice, alicePassword))
	if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_EMULATED || !a.GetNativeSessionKeys() {
		t.Fatalf("%v, %v", a, err)
	}
	d.adopt(t, a.GetCertificate())
	if err := d.first(t, alice, alicePassword).use(t); err != nil {
		t.Error(err)
	}
	shown := devicesOf(t, w, contoso)
	if len(shown) != 1 || shown[0].GetKeyProtection() != "emulated" {
		t.Errorf("the operator sees %v", shown)
	}
	for _, e := range w.svc.SignIns() {
		if e.Outcome == "success" && e.Device != "" && e.Protection != "emulated" {
			t.Errorf("the log says %q: %+v", e.Protection, e)
		}
	}
}

func (w *world) challenge(t testing.TB, r *attestationtest.Rogue, tenant string) *idpv1.RequestAttestationChallengeResponse {
	t.Helper()
	c, err := w.devices.RequestAttestationChallenge(context.Background(), r.Request(tenant))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestREG26_EveryProfileRefusesAWrongAttestation: one that is there and wrong is a
// forgery, whether or not it was asked for.
func TestREG26_EveryProfileRefusesAWrongAttestation(t *testing.T) {
	for _, profile := range []string{"2020", "today", "strict"} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			d := w.newDevice(1, 2)
			r := d.enrolment(t, alice, alicePassword)
			r.Attestation = d.attestation(t, contoso)
			r.Attestation.DeviceKey.Signature[30] ^= 1
			w.unchanged(t, func() {
				_, err := w.register(r)
				wantKind(t, err, prterr.Invalid)
				if err == nil || strings.Contains(err.Error(), "signed") {
					t.Errorf("the device is told which check failed: %v", err)
				}
			})
			events := w.svc.SignIns()
			if e := events[len(events)-1]; e.Hidden != "device key: is not signed by the attestation key of the challenge" {
				t.Errorf("the log does not say why: %+v", e)
			}
			log, err := w.read.ListSignIns(context.Background(), &directoryv1.ListSignInsRequest{TenantId: contoso})
			if n := len(log.GetSignIns()); err != nil || n == 0 || !strings.Contains(log.GetSignIns()[n-1].GetReason(), "(device key: is not signed") {
				t.Errorf("%v, %v", log, err)
			}
		})
	}
}

// TestREG26_AChallengeIsAnsweredOnce where the profile wants that. Otherwise a device
// that lost the answer sends its request again.
func TestREG26_AChallengeIsAnsweredOnce(t *testing.T) {
	for profile, again := range map[string]prterr.Kind{"2020": "", "today": "", "strict": prterr.Invalid} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			d := w.newDevice(1, 2)
			a := d.attestation(t, contoso)
			for i := range 2 {
				r := d.enrolment(t, alice, alicePassword)
				r.Attestation, _ = proto.Clone(a).(*idpv1.Attestation)
				_, err := w.register(r)
				if i == 0 && err != nil {
					t.Fatal(err)
				}
				if i == 1 {
					wantKind(t, err, again)
				}
			}
		})
	}
}

func TestREG26_AChallengeNamesATenant(t *testing.T) {
	w := newWorld(t, idp.Config{})
	rogue := attestationtest.NewRogue(t, tpmMaker())
	for name, code := range map[string]aadsts.Code{"": aadsts.TenantNotFound, "nobody.test": aadsts.TenantNotFound, "common": 0} {
		_, err := w.devices.RequestAttestationChallenge(context.Background(), rogue.Request(name))
		wantCode(t, err, code)
		wantKind(t, err, prterr.Invalid)
	}
}

// TestA08_SoftwareKeysAreRefusedOrShown: strict takes none, and elsewhere they are
// seen for what they are.
func TestA08_SoftwareKeysAreRefusedOrShown(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.newDevice(1, 2)
	a, err := w.register(d.enrolment(t, alice, alicePassword))
	if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_SOFTWARE || a.GetNativeSessionKeys() {
		t.Fatalf("%v, %v", a, err)
	}
	if shown := devicesOf(t, w, contoso); len(shown) != 1 || shown[0].GetKeyProtection() != "software" {
		t.Errorf("the operator sees %v", shown)
	}
	d.adopt(t, a.GetCertificate())
	d.first(t, alice, alicePassword)
	log, err := w.read.ListSignIns(context.Background(), &directoryv1.ListSignInsRequest{TenantId: contoso})
	for _, e := range log.GetSignIns() {
		if e.GetFlow() != "registration_token" && e.GetKeyProtection() != "software" {
			t.Errorf("the log does not show it: %v", e)
		}
	}
	if err != nil || len(log.GetSignIns()) != 3 {
		t.Errorf("%v, %v", log, err)
	}
	strict := newWorld(t, idp.Config{Tenants: withProfile("strict")})
	r := strict.newDevice(1, 2).enrolment(t, alice, alicePassword)
	r.Attestation = nil
	_, err = strict.register(r)
	wantCode(t, err, aadsts.RegistrationNotAllowed)
}

// TestA11_AStolenSoftKey is what a thief has who copied keys from a file: as good as
// the device, except where keys must be attested. It does not matter when the device
// was registered.
func TestA11_AStolenSoftKey(t *testing.T) {
	for profile, code := range map[string]aadsts.Code{"today": 0, "strict": aadsts.DeviceAuthenticationFailed} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			owner := w.join(t, alice, alicePassword, 1, 2)
			signedIn := owner.first(t, alice, alicePassword)
			owner.weaken(t)
			thief := &device{w: w, dk: owner.dk, tk: owner.tk, cert: owner.cert, id: owner.id}
			_, err := w.requestPRT(thief.sign(t, thief.claims(t, alice, alicePassword)))
			wantCode(t, err, code)
			wantCode(t, signedIn.use(t), code)
			_, err = w.renewPRT(signedIn.sign(t, signedIn.renewal(t)))
			wantCode(t, err, code)
			// Nor does it help to put attested keys in their place.
			_, err = w.replace(t, thief, w.newDevice(3, 4), nil)
			wantCode(t, err, code)
		})
	}
}

// TestA09_ALevelOfProtectionDoesNotSink: the level is recorded, and keys of a lower
// one take the place of none in a strict tenant.
func TestA09_ALevelOfProtectionDoesNotSink(t *testing.T) {
	chips := attestationtest.NewMaker("chips")
	for profile, sinks := range map[string]bool{"today": true, "strict": false} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile), TPMMakers: []idp.TPMMaker{{Name: "chips", Kind: "hardware", Certificates: chips.PEM()}}})
			d := w.newDevice(1, 2)
			r := d.enrolment(t, alice, alicePassword)
			chip := attestationtest.NewRogue(t, chips)
			r.Attestation = chip.Answer(t, w.challenge(t, chip, contoso), &d.dk.PublicKey, &d.tk.PublicKey)
			a, err := w.register(r)
			if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_HARDWARE {
				t.Fatalf("%v, %v", a, err)
			}
			d.adopt(t, a.GetCertificate())
			signedIn := d.first(t, alice, alicePassword)
			if sinks {
				a, err := w.replace(t, d, w.newDevice(3, 4), func(r *idpv1.ReplaceDeviceKeysRequest) { r.Attestation = nil })
				if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_SOFTWARE || a.GetNativeSessionKeys() {
					t.Errorf("%v, %v", a, err)
				}
				wantCode(t, signedIn.use(t), aadsts.DeviceAuthenticationFailed)
				return
			}
			_, err = w.replace(t, d, w.newDevice(3, 4), func(r *idpv1.ReplaceDeviceKeysRequest) { r.Attestation = nil })
			wantCode(t, err, aadsts.RegistrationNotAllowed)
			_, err = w.replace(t, d, w.newDevice(3, 4), nil) // an emulator in the place of a chip
			wantCode(t, err, aadsts.RegistrationNotAllowed)
			if err := signedIn.use(t); err != nil {
				t.Errorf("a refusal did harm: %v", err)
			}
		})
	}
}

// TestREG26_NativeSessionKeysAreTheTenantsChoice and need a storage key.
func TestREG26_NativeSessionKeysAreTheTenantsChoice(t *testing.T) {
	for setting, want := range map[string]bool{"": true, "    native_session_keys: true\n": true, "    native_session_keys: false\n": false} {
		file := strings.Replace(string(withProfile("today")), "    region: EU\n", "    region: EU\n"+setting, 1)
		w := newWorld(t, idp.Config{Tenants: []byte(file)})
		d := w.newDevice(1, 2)
		for _, storage := range []bool{true, false} {
			r := d.enrolment(t, alice, alicePassword)
			r.Attestation = d.attestation(t, contoso)
			key := r.GetAttestation().GetStorageKey().GetPublicArea()
			if !storage {
				r.Attestation.StorageKey, key = nil, nil
			}
			if !want {
				key = nil
			}
			a, err := w.register(r)
			if err != nil || a.GetNativeSessionKeys() != (want && storage) {
				t.Fatalf("%q: %v, %v", setting, a, err)
			}
			cert, err := x509.ParseCertificate(a.GetCertificate())
			if err != nil {
				t.Fatal(err)
			}
			if rec, err := w.svc.Store().Device(context.Background(), ids.DeviceID(cert.Subject.CommonName)); err != nil || string(rec.StorageKey) != string(key) {
				t.Errorf("%q: %d bytes, %v", setting, len(rec.StorageKey), err)
			}
		}
	}
}

func TestREG26_HybridJoinsAreAttestedToo(t *testing.T) {
	lab := clock.NewLab()
	strict := strings.ReplaceAll(string(withHybrid(t)), "profile: today", `profile: "strict"`)
	w := newWorld(t, idp.Config{Clock: lab, Tenants: []byte(strict)})
	r := w.hybridJoin(t, lab.Now(), "", rsaKeys()[5])
	_, err := w.devices.JoinHybridDevice(context.Background(), r)
	wantCode(t, err, aadsts.RegistrationNotAllowed)
	d := w.newDevice(1, 2)
	r = w.hybridJoin(t, lab.Now().Add(time.Second), "", rsaKeys()[5])
	r.TransportKey = rsa1(t, d.tk)
	r.Attestation = d.attestation(t, contoso)
	a, err := w.devices.JoinHybridDevice(context.Background(), r)
	if err != nil || a.GetKeyProtection() != idpv1.KeyProtection_KEY_PROTECTION_EMULATED || !a.GetNativeSessionKeys() {
		t.Fatalf("%v, %v", a, err)
	}
	d.adopt(t, a.GetCertificate())
	if err := d.first(t, alice, alicePassword).use(t); err != nil {
		t.Error(err)
	}
}
