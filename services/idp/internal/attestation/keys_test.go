package attestation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Which keys get a challenge, and which do not.
func TestREG26_KeysThatGetNoChallenge(t *testing.T) {
	s := newScene(t)
	type request = idpv1.RequestAttestationChallengeRequest
	ek := func(change func(*tpm2.TPMTPublic)) func(*request) {
		return func(r *request) {
			p := s.rogue.EndorsementKey()
			change(&p)
			r.EndorsementKey, r.EndorsementCertificate = tpm2.Marshal(p), nil
		}
	}
	ak := func(p tpm2.TPMTPublic) func(*request) {
		return func(r *request) { r.AttestationKey = tpm2.Marshal(p) }
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024) // to be refused
	if err != nil {
		t.Fatal(err)
	}
	hash := attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, attestationtest.Restricted(true, false))
	hash.NameAlg = tpm2.TPMAlgSHA1
	for name, c := range map[string]struct {
		change func(*request)
		field  string
	}{
		"no endorsement key":        {func(r *request) { r.EndorsementKey = nil }, "endorsement_key"},
		"garbage":                   {func(r *request) { r.EndorsementKey = []byte("garbage") }, "endorsement_key"},
		"too long":                  {func(r *request) { r.EndorsementKey = make([]byte, 1025) }, "endorsement_key"},
		"more behind it":            {func(r *request) { r.EndorsementKey = append(r.EndorsementKey, 0) }, "endorsement_key"},
		"an EK that signs":          {ek(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.SignEncrypt = true }), "endorsement_key"},
		"an EK without restriction": {ek(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.Restricted = false }), "endorsement_key"},
		"an EK that can leave":      {ek(func(p *tpm2.TPMTPublic) { p.ObjectAttributes.FixedTPM = false }), "endorsement_key"},
		"an EK with SHA-1 names":    {ek(func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgSHA1 }), "endorsement_key"},
		"an EK off its curve": {ek(func(p *tpm2.TPMTPublic) {
			point, _ := p.Unique.ECC()
			point.X.Buffer[0] ^= 1
		}), "endorsement_key"},
		"a short EK": {func(r *request) {
			p := attestationtest.RSA(&small.PublicKey, attestationtest.Restricted(false, true))
			r.EndorsementKey, r.EndorsementCertificate = tpm2.Marshal(p), nil
		}, "endorsement_key"},
		"an EK without a cipher": {func(r *request) {
			p := attestationtest.RSA(&rsaKeys()[0].PublicKey, attestationtest.Restricted(false, true))
			r.EndorsementKey, r.EndorsementCertificate = tpm2.Marshal(p), nil
		}, "endorsement_key"},
		"a costly exponent": {func(r *request) {
			p := tpm2.RSAEKTemplate
			d, _ := p.Parameters.RSADetail()
			odd := *d
			odd.Exponent = 1<<31 + 1
			p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &odd)
			p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: rsaKeys()[0].N.Bytes()})
			r.EndorsementKey, r.EndorsementCertificate = tpm2.Marshal(p), nil
		}, "endorsement_key"},
		"no attestation key":  {func(r *request) { r.AttestationKey = nil }, "attestation_key"},
		"an open AK":          {ak(attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, attestationtest.Unrestricted(true, false))), "attestation_key"},
		"an AK that decrypts": {ak(attestationtest.ECC(&attestationtest.NewP256(t).PublicKey, attestationtest.Restricted(true, true))), "attestation_key"},
		"an RSA AK":           {ak(attestationtest.RSA(&rsaKeys()[0].PublicKey, attestationtest.Restricted(true, false))), "attestation_key"},
		"an AK on P-384": {func(r *request) {
			p := attestationtest.ECC(&p384.PublicKey, attestationtest.Restricted(true, false))
			d, _ := p.Parameters.ECCDetail()
			d.CurveID = tpm2.TPMECCNistP384
			r.AttestationKey = tpm2.Marshal(p)
		}, "attestation_key"},
		"an AK with SHA-1 names": {ak(hash), "attestation_key"},
		"a certificate of another key": {func(r *request) {
			r.EndorsementCertificate = attestationtest.NewMaker("m").Certificate(t, &attestationtest.NewP256(t).PublicKey, nil)
		}, "endorsement_certificate"},
		"a long certificate": {func(r *request) { r.EndorsementCertificate = make([]byte, 4097) }, "endorsement_certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.rogue.Request("")
			c.change(r)
			_, err := s.challenge(r)
			if prterr.KindOf(err) != prterr.Invalid || !strings.Contains(err.Error(), c.field+" is not taken") {
				t.Errorf("got %v, want one about %s", err, c.field)
			}
		})
	}
}

// Whose certificate is believed. Where nobody's is, the TPM may still be used: its
// keys count as software.
func TestREG26_CertificatesOfTPMs(t *testing.T) {
	chips, emulators, nobody := attestationtest.NewMaker("chips"), attestationtest.NewMaker("emulators"), attestationtest.NewMaker("nobody")
	w := newWorld(t, maker(t, tenant.MakesHardware, chips.PEM()), maker(t, tenant.MakesEmulated, emulators.PEM()))
	r := attestationtest.NewRogue(t, nil)
	type certificate = x509.Certificate
	purposes := func(all ...asn1.ObjectIdentifier) func(*certificate) {
		return func(c *certificate) { c.UnknownExtKeyUsage = all }
	}
	critical := func(c *certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
	}
	for name, c := range map[string]struct {
		der  []byte
		want store.Protection
	}{
		"a chip":                   {chips.Certificate(t, r.EK(), nil), store.ProtectionHardware},
		"an emulator":              {emulators.Certificate(t, r.EK(), nil), store.ProtectionEmulated},
		"by nobody who is trusted": {nobody.Certificate(t, r.EK(), nil), store.ProtectionSoftware},
		"none":                     {nil, store.ProtectionSoftware},
		"not X.509":                {[]byte("garbage"), store.ProtectionSoftware},
		"no purpose at all":        {chips.Certificate(t, r.EK(), purposes()), store.ProtectionHardware},
		"another purpose":          {chips.Certificate(t, r.EK(), purposes(asn1.ObjectIdentifier{2, 23, 133, 8, 3})), store.ProtectionSoftware},
		"for servers": {chips.Certificate(t, r.EK(), func(c *certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), store.ProtectionSoftware},
		"another critical extension":   {chips.Certificate(t, r.EK(), critical), store.ProtectionSoftware},
		"not yet valid":                {chips.Certificate(t, r.EK(), func(c *certificate) { c.NotBefore = w.clock.now.Add(time.Hour) }), store.ProtectionSoftware},
		"not valid any more":           {chips.Certificate(t, r.EK(), func(c *certificate) { c.NotAfter = w.clock.now.Add(-time.Hour) }), store.ProtectionSoftware},
		"an authority, not a TPM":      {chips.Certificate(t, r.EK(), func(c *certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }), store.ProtectionSoftware},
		"without an alternative name":  {chips.Certificate(t, r.EK(), func(c *certificate) { c.ExtraExtensions, c.Subject = nil, pkix.Name{CommonName: "TPM"} }), store.ProtectionHardware},
		"a number that is not its own": {chips.Certificate(t, r.EK(), func(c *certificate) { c.SerialNumber = big.NewInt(1) }), store.ProtectionHardware},
	} {
		t.Run(name, func(t *testing.T) {
			q := r.Request("")
			q.EndorsementCertificate = c.der
			if _, got := w.SecretOf(t, w.challenged(t, q).GetChallenge(), contoso); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestMakersOfEveryTenant(t *testing.T) {
	m := attestationtest.NewMaker("lab")
	w := newWorldTrusting(t, maker(t, tenant.MakesEmulated, m.PEM()))
	if _, got := w.SecretOf(t, w.challenged(t, attestationtest.NewRogue(t, m).Request("")).GetChallenge(), contoso); got != store.ProtectionEmulated {
		t.Error(got)
	}
}
