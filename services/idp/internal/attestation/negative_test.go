package attestation_test

import (
	"crypto/rsa"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// scene is an honest attestation, to be spoiled.
type scene struct {
	*world
	rogue  *attestationtest.Rogue
	dk, tk *rsa.PublicKey
	asked  *idpv1.RequestAttestationChallengeResponse
	extra  []byte
	honest *idpv1.Attestation
}

func newScene(t testing.TB) *scene {
	t.Helper()
	m := attestationtest.NewMaker("m")
	s := &scene{world: newWorld(t, maker(t, tenant.MakesEmulated, m.PEM())), rogue: attestationtest.NewRogue(t, m)}
	s.dk, s.tk = &rsaKeys()[0].PublicKey, &rsaKeys()[1].PublicKey
	s.asked = s.challenged(t, s.rogue.Request(""))
	s.extra = s.rogue.Extra(t, s.asked)
	s.honest = s.rogue.Answer(t, s.asked, s.dk, s.tk)
	return s
}

// statement is one about an area; change spoils what is signed.
func (s *scene) statement(t testing.TB, area tpm2.TPMTPublic, change func(*tpm2.TPMSAttest)) *idpv1.KeyStatement {
	t.Helper()
	att := s.rogue.Attest(t, area, s.extra)
	if change != nil {
		change(&att)
	}
	return &idpv1.KeyStatement{PublicArea: tpm2.Marshal(area), Attestation: tpm2.Marshal(att), Signature: s.rogue.Sign(t, tpm2.Marshal(att))}
}

func TestREG26_WhatProvesNothing(t *testing.T) {
	s := newScene(t)
	sign, decrypt := attestationtest.Unrestricted(true, false), attestationtest.Unrestricted(false, true)
	dk := func(change func(*tpm2.TPMAObject)) tpm2.TPMTPublic {
		a := sign
		change(&a)
		return attestationtest.RSA(s.dk, a)
	}
	other := attestationtest.NewRogue(t, nil)
	for name, c := range map[string]struct {
		spoil func(a *idpv1.Attestation)
		why   string
	}{
		"no statements": {func(a *idpv1.Attestation) { a.DeviceKey, a.TransportKey = nil, nil }, "device key: public area is not 1 to"},
		"a device key in software": {func(a *idpv1.Attestation) {
			a.DeviceKey.PublicArea = tpm2.Marshal(attestationtest.RSA(&rsaKeys()[2].PublicKey, sign))
		}, "device key: another key was certified"},
		"another device key, certified": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, attestationtest.RSA(&rsaKeys()[2].PublicKey, sign), nil)
		}, "device key: is not the one that is to be registered"},
		"another transport key, certified": {func(a *idpv1.Attestation) {
			a.TransportKey = s.statement(t, attestationtest.RSA(&rsaKeys()[2].PublicKey, decrypt), nil)
		}, "transport key: is not the one that is to be registered"},
		"another attestation key": {func(a *idpv1.Attestation) {
			a.DeviceKey = other.Certify(t, attestationtest.RSA(s.dk, sign), s.extra)
		}, "device key: is not signed by the attestation key of the challenge"},
		"a credential that was not opened": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.rogue.Certify(t, attestationtest.RSA(s.dk, sign), make([]byte, 32))
		}, "device key: attestation is not in answer to this challenge"},
		"a forged signature": {func(a *idpv1.Attestation) { a.TransportKey.Signature[20] ^= 1 }, "transport key: is not signed by"},
		"a forged attestation": {func(a *idpv1.Attestation) {
			a.DeviceKey.Attestation = tpm2.Marshal(s.rogue.Attest(t, attestationtest.RSA(s.dk, sign), s.extra[:31]))
		}, "device key: is not signed by"},
		"statements swapped": {func(a *idpv1.Attestation) { a.DeviceKey, a.TransportKey = a.TransportKey, a.DeviceKey }, "device key: attributes"},
		"signed statements swapped": {func(a *idpv1.Attestation) {
			a.DeviceKey.Attestation, a.TransportKey.Attestation = a.TransportKey.Attestation, a.DeviceKey.Attestation
			a.DeviceKey.Signature, a.TransportKey.Signature = a.TransportKey.Signature, a.DeviceKey.Signature
		}, "device key: another key was certified"},
		"a transport key that signs": {func(a *idpv1.Attestation) {
			a.TransportKey = s.statement(t, attestationtest.RSA(s.tk, attestationtest.Unrestricted(true, true)), nil)
		}, "transport key: attributes"},
		"a restricted transport key": {func(a *idpv1.Attestation) {
			a.TransportKey = s.statement(t, attestationtest.RSA(s.tk, attestationtest.Restricted(false, true)), nil)
		}, "transport key: attributes"},
		"a device key that decrypts": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, dk(func(o *tpm2.TPMAObject) { o.Decrypt = true }), nil)
		}, "device key: attributes"},
		"a restricted device key": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, dk(func(o *tpm2.TPMAObject) { o.Restricted = true }), nil)
		}, "device key: attributes"},
		"a device key that was imported": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, dk(func(o *tpm2.TPMAObject) { o.SensitiveDataOrigin = false }), nil)
		}, "device key: could leave its TPM"},
		"a device key that can be duplicated": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, dk(func(o *tpm2.TPMAObject) { o.FixedTPM = false }), nil)
		}, "device key: could leave its TPM"},
		"a device key that can move": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, dk(func(o *tpm2.TPMAObject) { o.FixedParent = false }), nil)
		}, "device key: could leave its TPM"},
		"a device key on a curve": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, sign), nil)
		}, "device key: is not the one that is to be registered"},
		"another kind of attestation": {func(a *idpv1.Attestation) {
			a.DeviceKey = s.statement(t, attestationtest.RSA(s.dk, sign), func(at *tpm2.TPMSAttest) {
				at.Type, at.Attested = tpm2.TPMSTAttestCreation, tpm2.NewTPMUAttest(tpm2.TPMSTAttestCreation, &tpm2.TPMSCreationInfo{})
			})
		}, "device key: attestation is not one of TPM2_Certify"},
		"not said by a TPM": {func(a *idpv1.Attestation) {
			raw := tpm2.Marshal(s.rogue.Attest(t, attestationtest.RSA(s.dk, sign), s.extra))
			raw[0] = 0
			a.DeviceKey.Attestation, a.DeviceKey.Signature = raw, s.rogue.Sign(t, raw)
		}, "device key: attestation is not"},
		"more than one structure": {func(a *idpv1.Attestation) {
			a.DeviceKey.Attestation = append(a.DeviceKey.Attestation, 0)
			a.DeviceKey.Signature = s.rogue.Sign(t, a.DeviceKey.Attestation)
		}, "device key: attestation is not written as a TPM writes it"},
		"a long structure": {func(a *idpv1.Attestation) {
			a.DeviceKey.Attestation = append(a.DeviceKey.Attestation, make([]byte, 1024)...)
		}, "device key: attestation is too long"},
		"a storage key that signs": {func(a *idpv1.Attestation) {
			a.StorageKey = s.statement(t, attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, attestationtest.Restricted(true, true)), nil)
		}, "storage key: attributes"},
		"a storage key without restriction": {func(a *idpv1.Attestation) {
			a.StorageKey = s.statement(t, attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, decrypt), nil)
		}, "storage key: attributes"},
		"an RSA storage key": {func(a *idpv1.Attestation) {
			a.StorageKey = s.statement(t, attestationtest.RSA(&rsaKeys()[2].PublicKey, attestationtest.Restricted(false, true)), nil)
		}, "storage key: is not P-256"},
		"a storage key of another TPM": {func(a *idpv1.Attestation) {
			a.StorageKey = other.Certify(t, attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, attestationtest.Restricted(false, true)), s.extra)
		}, "storage key: is not signed by"},
		"a point off its curve": {func(a *idpv1.Attestation) {
			area := attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, attestationtest.Restricted(false, true))
			p, _ := area.Unique.ECC()
			p.Y.Buffer[31] ^= 1
			a.StorageKey = s.statement(t, area, nil)
		}, "storage key: is not RSA of"},
		"no challenge":        {func(a *idpv1.Attestation) { a.Challenge = "" }, "challenge: is not one of ours"},
		"an altered one":      {func(a *idpv1.Attestation) { a.Challenge = a.Challenge[:80] + "AAAA" + a.Challenge[84:] }, "challenge: is not one of ours"},
		"a long one":          {func(a *idpv1.Attestation) { a.Challenge = strings.Repeat("A", 1<<20) }, "challenge: is longer than"},
		"another TPM's":       {func(a *idpv1.Attestation) { a.Challenge = s.challenged(t, other.Request("")).GetChallenge() }, "device key: is not signed by"},
		"another of this TPM": {func(a *idpv1.Attestation) { a.Challenge = s.challenged(t, s.rogue.Request("")).GetChallenge() }, "device key: attestation is not in answer"},
		"another room's state": {func(a *idpv1.Attestation) {
			a.Challenge = s.ring.SealState([]byte(`{"id":"x","canary":"y"}`)).Reveal()
		}, "challenge: is not one of ours"},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := proto.Clone(s.honest).(*idpv1.Attestation)
			c.spoil(a)
			_, err := s.judge(a, s.dk, s.tk)
			if why := wantRefused(t, err); !strings.Contains(why, c.why) {
				t.Errorf("the log learns %q, want %q", why, c.why)
			}
		})
	}
	if _, err := s.judge(s.honest, s.dk, s.tk); err != nil {
		t.Errorf("the honest one: %v", err)
	}
}

func TestREG26_AChallengeIsForOneTenantAndTenMinutes(t *testing.T) {
	s := newScene(t)
	_, err := s.Verify(fabrikam, said(s.honest), s.dk, s.tk)
	if why := wantRefused(t, err); why != "challenge: is for another tenant" {
		t.Error(why)
	}
	s.clock.now = s.clock.now.Add(10*time.Minute - time.Second)
	if _, err := s.judge(s.honest, s.dk, s.tk); err != nil {
		t.Errorf("within ten minutes: %v", err)
	}
	s.clock.now = s.clock.now.Add(2 * time.Second)
	_, err = s.judge(s.honest, s.dk, s.tk)
	if why := wantRefused(t, err); why != "challenge: is older than 10m0s" {
		t.Error(why)
	}
	// The seal of another provider opens nothing here.
	elsewhere := newWorld(t)
	_, err = elsewhere.judge(s.honest, s.dk, s.tk)
	wantRefused(t, err)
}

// A challenge must not be taken for the state of a sign-in, which the same keys seal.
func TestAChallengeIsNoOtherState(t *testing.T) {
	s := newScene(t)
	plain, err := s.ring.OpenState(secret.NewText(s.honest.GetChallenge()))
	if err != nil || strings.HasPrefix(string(plain), "{") || strings.HasPrefix(string(plain), "[") || strings.HasPrefix(string(plain), `"`) {
		t.Errorf("%.20q, %v", plain, err)
	}
}
