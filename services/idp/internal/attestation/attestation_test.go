package attestation_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// chips are devices with real TPMs by makers: who they are by, and their PEM.
func chips() map[string]func(t testing.TB) (*attestationtest.Chip, []byte) {
	soft := func(ek tpm2.TPMTPublic) func(testing.TB) (*attestationtest.Chip, []byte) {
		return func(t testing.TB) (*attestationtest.Chip, []byte) {
			m := attestationtest.NewMaker("soft")
			c := attestationtest.NewChip(t, softTPM(t), ek)
			c.Certificate = m.Certificate(t, c.EK(), nil)
			return c, m.PEM()
		}
	}
	swtpm := func(ek, nv tpm2.TPMHandle) func(testing.TB) (*attestationtest.Chip, []byte) {
		return func(t testing.TB) (*attestationtest.Chip, []byte) {
			tpm, authority := attestationtest.Swtpm(t)
			return attestationtest.NewChipAt(t, tpm, ek, nv), authority
		}
	}
	return map[string]func(t testing.TB) (*attestationtest.Chip, []byte){
		"softtpm, P-256 EK": soft(tpm2.ECCEKTemplate), "softtpm, RSA EK": soft(tpm2.RSAEKTemplate),
		"swtpm, RSA EK":   swtpm(attestationtest.SwtpmRSA, attestationtest.SwtpmRSACertificate),
		"swtpm, P-384 EK": swtpm(attestationtest.SwtpmP384, attestationtest.SwtpmP384Certificate),
	}
}

func TestREG26_KeysOfOneTPM(t *testing.T) {
	for name, manufactured := range chips() {
		t.Run(name, func(t *testing.T) {
			c, authority := manufactured(t)
			for kind, want := range map[tenant.MakerKind]store.Protection{
				tenant.MakesEmulated: store.ProtectionEmulated, tenant.MakesHardware: store.ProtectionHardware,
			} {
				w := newWorld(t, maker(t, kind, authority))
				a := c.Answer(w.challenged(t, c.Request("")))
				v, err := w.judge(a, c.Signer().Public(), c.TransportKey())
				if err != nil || v.Protection != want || v.Maker != "maker of "+string(kind) || !bytes.Equal(v.StorageKey, a.GetStorageKey().GetPublicArea()) {
					t.Errorf("%s: %+v, %v", kind, v, err)
				}
				a.StorageKey = nil
				if v, err = w.judge(a, c.Signer().Public(), c.TransportKey()); err != nil || v.StorageKey != nil {
					t.Errorf("without a storage key: %+v, %v", v, err)
				}
			}
			other := newWorld(t, maker(t, tenant.MakesHardware, attestationtest.NewMaker("other").PEM()))
			a := c.Answer(other.challenged(t, c.Request("")))
			if v, err := other.judge(a, c.Signer().Public(), c.TransportKey()); err != nil || v.Protection != store.ProtectionSoftware || v.Maker != "" || len(v.StorageKey) == 0 {
				t.Errorf("a maker whom nobody trusts: %+v, %v", v, err)
			}
		})
	}
}

// The rogue that other tests use does what a TPM does, or they would show nothing.
func TestARogueSpeaksLikeATPM(t *testing.T) {
	m := attestationtest.NewMaker("m")
	w := newWorld(t, maker(t, tenant.MakesEmulated, m.PEM()))
	r := attestationtest.NewRogue(t, m)
	dk, tk := &rsaKeys()[0].PublicKey, &rsaKeys()[1].PublicKey
	v, err := w.judge(r.Answer(t, w.challenged(t, r.Request("")), dk, tk), dk, tk)
	if err != nil || v.Protection != store.ProtectionEmulated {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestACredentialIsForOneTPM(t *testing.T) {
	m := attestationtest.NewMaker("m")
	w := newWorld(t, maker(t, tenant.MakesEmulated, m.PEM()))
	c := w.challenged(t, attestationtest.NewRogue(t, m).Request(""))
	if len(c.GetCredentialBlob()) > 512 || len(c.GetEncryptedSecret()) > 512 || len(c.GetChallenge()) > 1024 {
		t.Errorf("%d, %d and %d bytes", len(c.GetCredentialBlob()), len(c.GetEncryptedSecret()), len(c.GetChallenge()))
	}
	again := w.challenged(t, attestationtest.NewRogue(t, m).Request(""))
	if c.GetChallenge() == again.GetChallenge() || bytes.Equal(c.GetCredentialBlob(), again.GetCredentialBlob()) {
		t.Error("a challenge came twice")
	}
	if _, err := w.challenge(nil); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("no keys: %v", err)
	}
}
