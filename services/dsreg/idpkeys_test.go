package dsreg_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// computer is what the sync brought of one.
type computer struct {
	sid         string
	certificate []byte
}

func (f *fakeIdP) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// token is a registration token of a user; the signature is nobody's business.
func (f *fakeIdP) token(upn string) string {
	payload, _ := json.Marshal(map[string]string{"oid": string(f.users[upn]), "tid": string(f.tenant), "upn": upn, "aud": "urn:ms-drs:enterpriseregistration.windows.net"})
	t, _ := jose.SignRS256(jose.Header{Alg: jose.RS256, Typ: "JWT"}, payload, pool()[0])
	return t
}

// bearer is whose token it is, "" when nobody's.
func (f *fakeIdP) bearer(token string) string {
	for upn := range f.users {
		if token == f.token(upn) {
			return upn
		}
	}
	return ""
}

// sids are who administers a device that this user registers.
func (f *fakeIdP) sids(upn string) (out []string) {
	for _, u := range append([]string{upn}, f.administrators...) {
		sid, _ := ids.SID(string(f.users[u]))
		if !slices.Contains(out, sid) {
			out = append(out, sid)
		}
	}
	return out
}

func (f *fakeIdP) RequestAttestationChallenge(_ context.Context, r *idpv1.RequestAttestationChallengeRequest) (*idpv1.RequestAttestationChallengeResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before["RequestAttestationChallenge"]; err != nil {
		return nil, err
	}
	if r.GetTenant() != "contoso.test" && r.GetTenant() != string(f.tenant) || string(r.GetEndorsementKey()) != "EK" || string(r.GetEndorsementCertificate()) != "EK certificate" {
		return nil, prterr.New(prterr.Denied, "the TPM is not trusted")
	}
	resp := &idpv1.RequestAttestationChallengeResponse{
		Challenge: "challenge for " + string(r.GetAttestationKey()), CredentialBlob: []byte("for " + string(r.GetAttestationKey())), EncryptedSecret: []byte("secret"),
	}
	if f.challenge != nil {
		f.challenge(resp)
	}
	return resp, nil
}

// judge is what a tenant makes of an attestation: present and wrong is refused by
// all, absent by a strict one.
func (f *fakeIdP) judge(a *idpv1.Attestation) (idpv1.KeyProtection, error) {
	f.attested = a
	if a == nil {
		if f.strict {
			return 0, prterr.New(prterr.Denied, "the tenant takes attested keys only")
		}
		return idpv1.KeyProtection_KEY_PROTECTION_SOFTWARE, nil
	}
	ak, ok := strings.CutPrefix(a.GetChallenge(), "challenge for ")
	for what, s := range map[string]*idpv1.KeyStatement{"dk": a.GetDeviceKey(), "tk": a.GetTransportKey(), "tkS": a.GetStorageKey()} {
		if s == nil && what == "tkS" {
			continue
		}
		if !ok || string(s.GetPublicArea()) != what || string(s.GetAttestation()) != "secret" || string(s.GetSignature()) != "by "+ak {
			return 0, prterr.New(prterr.Denied, "the attestation is not right")
		}
	}
	return idpv1.KeyProtection_KEY_PROTECTION_EMULATED, nil
}

// put is the sync of a domain: a new certificate has the computer wait again.
func (f *fakeIdP) put(id, sid string, certificate []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[ids.DeviceID(id)] = &computer{sid, certificate}
	delete(f.devices, ids.DeviceID(id))
}

func (f *fakeIdP) JoinHybridDevice(_ context.Context, r *idpv1.JoinHybridDeviceRequest) (*idpv1.JoinHybridDeviceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before["JoinHybridDevice"]; err != nil {
		return nil, err
	}
	f.identity = r.GetClientIdentity()
	c := f.waiting[ids.DeviceID(r.GetDeviceId())]
	if c == nil || r.GetTargetTenantId() != string(f.tenant) {
		return nil, prterr.New(prterr.NotFound, "DirectoryError: no device of that device_id waits to join")
	}
	cert, err := x509.ParseCertificate(c.certificate)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(r.GetClientIdentity()))
	if !strings.HasPrefix(r.GetClientIdentity(), c.sid+".") || rsa.VerifyPKCS1v15(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], r.GetSignature()) != nil {
		return nil, prterr.New(prterr.Unauthenticated, "client_identity is not signed by the key that was synchronised with the device")
	}
	der, level, err := f.device(r.GetDeviceId(), r.GetCertificateRequest(), r.GetAttestation())
	if err != nil {
		return nil, err
	}
	delete(f.waiting, ids.DeviceID(r.GetDeviceId()))
	return &idpv1.JoinHybridDeviceResponse{
		Certificate: der, Thumbprint: thumbprint(der), TenantId: string(f.tenant), KeyProtection: level, NativeSessionKeys: r.GetAttestation().GetStorageKey() != nil,
	}, f.after["JoinHybridDevice"]
}

// device issues a certificate to a device whose id is known.
func (f *fakeIdP) device(id string, csr []byte, a *idpv1.Attestation) ([]byte, idpv1.KeyProtection, error) {
	req, err := entrawire.ParseCSR(csr)
	if err != nil {
		return nil, 0, prterr.New(prterr.Invalid, "certificate_request")
	}
	level, err := f.judge(a)
	if err != nil {
		return nil, 0, err
	}
	der, err := f.sign(&issued{
		template: &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(10, 0, 0)},
		key:      req.PublicKey.(*rsa.PublicKey), device: id, tenant: string(f.tenant), join: entrawire.JoinJoined, user: string(ids.NewUser()),
	})
	return der, level, err
}

// exchange is one of keys, as it was answered.
type exchange struct {
	by     *rsa.PublicKey
	dk, tk string
	answer *idpv1.ReplaceDeviceKeysResponse
}

// again is the answer to an exchange that was carried out before: the former key names
// the present ones.
func (f *fakeIdP) again(r *idpv1.ReplaceDeviceKeysRequest) *idpv1.ReplaceDeviceKeysResponse {
	t, err := jose.Parse(r.GetRequest())
	if err != nil {
		return nil
	}
	var claims entrawire.KeyReplacement
	for _, x := range f.exchanged {
		if t.VerifyRS256(x.by) == nil && t.Claims(&claims) == nil && claims.DK == x.dk && claims.TK == x.tk && f.fresh(claims.RequestNonce) {
			return x.answer
		}
	}
	return nil
}

func (f *fakeIdP) ReplaceDeviceKeys(_ context.Context, r *idpv1.ReplaceDeviceKeysRequest) (*idpv1.ReplaceDeviceKeysResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before["ReplaceDeviceKeys"]; err != nil {
		return nil, err
	}
	if answer := f.again(r); answer != nil {
		return answer, nil
	}
	var claims entrawire.KeyReplacement
	id, err := f.signer(r.GetRequest(), &claims)
	by := f.devices[id]
	if err := f.takes("ReplaceDeviceKeys", err, claims.RequestNonce); err != nil {
		return nil, err
	}
	csr, err := entrawire.ParseCSR(r.GetCertificateRequest())
	if err != nil || !claims.Names(csr.RawSubjectPublicKeyInfo, r.GetTransportKey()) {
		return nil, fmt.Errorf("the proof names other keys: %w", err)
	}
	der, level, err := f.device(string(id), r.GetCertificateRequest(), r.GetAttestation())
	if err != nil {
		return nil, err
	}
	answer := &idpv1.ReplaceDeviceKeysResponse{
		Certificate: der, Thumbprint: thumbprint(der), TenantId: string(f.tenant), KeyProtection: level, NativeSessionKeys: r.GetAttestation().GetStorageKey() != nil,
	}
	f.exchanged[id] = exchange{by, claims.DK, claims.TK, answer}
	return answer, f.after["ReplaceDeviceKeys"]
}
