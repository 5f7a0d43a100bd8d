package dsreg_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	alice    = "alice@contoso.test"
	password = "correct horse battery staple"
	bob      = "bob@contoso.test"
)

// fakeIdP is an identity provider that registers the devices of one user and can
// be told to lie.
type fakeIdP struct {
	idpv1.UnimplementedRealmServiceServer
	idpv1.UnimplementedNonceServiceServer
	idpv1.UnimplementedMetadataServiceServer
	idpv1.UnimplementedDeviceRegistrationServiceServer

	ca     *ecdsa.PrivateKey
	tenant ids.TenantID
	// users are who has the password; those of administrators administer the tenant.
	users          map[string]ids.UserID
	administrators []string

	mu      sync.Mutex
	devices map[ids.DeviceID]*rsa.PublicKey
	// made are the certificates of registrations, by what was asked.
	made map[string][]byte
	// waiting are synchronised computers that have not joined, replaced the devices
	// whose keys were replaced, attested what was proven at the last registration.
	waiting  map[ids.DeviceID]*computer
	attested *idpv1.Attestation
	// exchanged is, by the new one, what was answered to an exchange of keys and the key
	// that asked for it; keeps has the tenant keep the device of a recovery.
	exchanged map[ids.DeviceID]exchange
	keeps     bool
	identity  string // of the last computer that asked to join
	strict    bool
	// challenge changes the credential.
	challenge func(*idpv1.RequestAttestationChallengeResponse)
	// discovery changes what the discovery answers.
	discovery func(*idpv1.DescribeRegistrationServicesResponse)
	nonces    int
	// used are the nonces that were presented; a proof is good once.
	used map[string]bool
	// picky is how many good nonces more are refused, hidden how often a device that signs
	// is not known yet, asked how often a method with a proof was called.
	picky, hidden int
	asked         map[string]int
	got           *idpv1.RegisterDeviceRequest
	realm         idpv1.AccountType
	// issue changes what is issued, lie what is answered.
	issue func(*issued)
	lie   func(*idpv1.RegisterDeviceResponse)
	// before and after are errors of a method, without and with its effect.
	before, after map[string]error
	badNonce      bool
	noToken       bool
	// entered and proceed hold RegisterDevice up when they are there.
	entered, proceed chan struct{}
}

// issued is a certificate on its way.
type issued struct {
	template *x509.Certificate
	key      *rsa.PublicKey
	device   string
	tenant   string
	user     string
	join     entrawire.JoinType
}

func newIdP() (*fakeIdP, error) {
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &fakeIdP{
		ca: ca, tenant: ids.NewTenant(), users: map[string]ids.UserID{alice: ids.NewUser(), bob: ids.NewUser()},
		waiting: map[ids.DeviceID]*computer{}, exchanged: map[ids.DeviceID]exchange{}, used: map[string]bool{}, asked: map[string]int{}, devices: map[ids.DeviceID]*rsa.PublicKey{}, made: map[string][]byte{},
		realm: idpv1.AccountType_ACCOUNT_TYPE_MANAGED, before: map[string]error{}, after: map[string]error{},
	}, err
}

func (f *fakeIdP) register(r grpc.ServiceRegistrar) {
	idpv1.RegisterRealmServiceServer(r, f)
	idpv1.RegisterNonceServiceServer(r, f)
	idpv1.RegisterMetadataServiceServer(r, f)
	idpv1.RegisterDeviceRegistrationServiceServer(r, f)
}

func (f *fakeIdP) DiscoverRealm(context.Context, *idpv1.DiscoverRealmRequest) (*idpv1.DiscoverRealmResponse, error) {
	return &idpv1.DiscoverRealmResponse{AccountType: f.realm}, nil
}

func (f *fakeIdP) IssueNonce(context.Context, *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.badNonce {
		return &idpv1.IssueNonceResponse{Nonce: "a nonce with blanks"}, f.before["IssueNonce"]
	}
	f.nonces++
	return &idpv1.IssueNonceResponse{Nonce: fmt.Sprintf("nonce-%d", f.nonces)}, f.before["IssueNonce"]
}

func (f *fakeIdP) RequestRegistrationToken(_ context.Context, r *idpv1.RequestRegistrationTokenRequest) (*idpv1.RequestRegistrationTokenResponse, error) {
	if err := f.before["RequestRegistrationToken"]; err != nil {
		return nil, err
	}
	if f.users[r.GetUserPrincipalName()] == "" || r.GetPassword() != password {
		return nil, prterr.AADSTS(aadsts.InvalidCredentials, "")
	}
	if f.noToken {
		return &idpv1.RequestRegistrationTokenResponse{}, nil
	}
	return &idpv1.RequestRegistrationTokenResponse{AccessToken: f.token(r.GetUserPrincipalName())}, nil
}

func (f *fakeIdP) RegisterDevice(_ context.Context, r *idpv1.RegisterDeviceRequest) (*idpv1.RegisterDeviceResponse, error) {
	if f.entered != nil {
		f.entered <- struct{}{}
		<-f.proceed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before["RegisterDevice"]; err != nil {
		return nil, err
	}
	f.got = r
	csr, err := entrawire.ParseCSR(r.GetCertificateRequest())
	join, known := map[idpv1.JoinType]entrawire.JoinType{
		idpv1.JoinType_JOIN_TYPE_JOIN: entrawire.JoinJoined, idpv1.JoinType_JOIN_TYPE_REGISTER: entrawire.JoinRegistered,
	}[r.GetJoinType()]
	user := f.bearer(r.GetAccessToken())
	if err != nil || user == "" || !known {
		return nil, prterr.New(prterr.Invalid, "registration refused")
	}
	level, err := f.judge(r.GetAttestation())
	if err != nil {
		return nil, err
	}
	key := csr.PublicKey.(*rsa.PublicKey)
	i := &issued{
		template: &x509.Certificate{
			SerialNumber: big.NewInt(int64(len(f.devices)) + 1), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(10, 0, 0),
		},
		key: key, device: string(ids.NewDevice()), tenant: string(f.tenant), join: join, user: string(f.users[user]),
	}
	// The same keys for the same user are the same device, as long as it has done nothing.
	of := strings.Join([]string{user, r.GetJoinType().String(), string(csr.RawSubjectPublicKeyInfo), string(r.GetTransportKey())}, " ")
	der := f.made[of]
	if !f.there(der) {
		if der, err = f.sign(i); err != nil {
			return nil, err
		}
		if f.issue == nil {
			f.made[of] = der
		}
	}
	resp := &idpv1.RegisterDeviceResponse{
		Certificate: der, Thumbprint: thumbprint(der), UserPrincipalName: user, TenantId: string(f.tenant),
		KeyProtection: level, NativeSessionKeys: r.GetAttestation().GetStorageKey() != nil,
	}
	if old := ids.DeviceID(r.GetReplacedDeviceId()); old != "" && !f.keeps {
		delete(f.devices, old)
		resp.ReplacedDeviceRemoved = true
	}
	if r.GetReturnClientSid() {
		resp.AdministratorSids = f.sids(user)
	}
	if f.lie != nil {
		f.lie(resp)
	}
	return resp, f.after["RegisterDevice"]
}

// there reports whether a certificate is that of a device which the tenant has.
func (f *fakeIdP) there(der []byte) bool {
	cert, err := x509.ParseCertificate(der)
	return err == nil && f.devices[ids.DeviceID(cert.Subject.CommonName)] != nil
}

func (f *fakeIdP) sign(i *issued) (der []byte, err error) {
	i.template.Subject = pkix.Name{CommonName: i.device}
	if f.issue != nil {
		f.issue(i)
	}
	f.devices[ids.DeviceID(i.device)] = i.key
	i.template.ExtraExtensions, err = entrawire.DeviceExtensions(i.device, i.user, i.tenant, i.join)
	if err != nil {
		return nil, err
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "MS-Organization-Access"}}
	return x509.CreateCertificate(rand.Reader, i.template, parent, i.key, f.ca)
}

// DeleteDevice removes the device that signed, as the contract says.
func (f *fakeIdP) DeleteDevice(_ context.Context, r *idpv1.DeleteDeviceRequest) (*idpv1.DeleteDeviceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.before["DeleteDevice"]; err != nil {
		return nil, err
	}
	var claims entrawire.DeviceProof
	id, err := f.signer(r.GetRequest(), &claims)
	if err := f.takes("DeleteDevice", err, claims.RequestNonce); err != nil {
		return nil, err
	}
	if claims.GrantType != entrawire.GrantDeviceRemoval {
		return nil, prterr.New(prterr.Invalid, "grant_type")
	}
	delete(f.devices, id)
	return &idpv1.DeleteDeviceResponse{}, f.after["DeleteDevice"]
}

func (f *fakeIdP) signer(proof string, claims any) (ids.DeviceID, error) {
	t, err := jose.Parse(proof)
	if err != nil || len(t.Header.X5C) != 1 {
		return "", fmt.Errorf("no certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(t.Header.X5C[0])
	if err != nil {
		return "", err
	}
	id, err := entrawire.ParseDeviceCertificate(cert)
	if err != nil {
		return "", err
	}
	key, ok := f.devices[id.DeviceID]
	if !ok {
		return "", fmt.Errorf("unknown device")
	}
	if err := t.VerifyRS256(key); err != nil {
		return "", err
	}
	return id.DeviceID, t.Claims(claims)
}

// takes judges a proof: its nonce first, then who signed it.
func (f *fakeIdP) takes(method string, signer error, nonce string) error {
	f.asked[method]++
	switch {
	case signer != nil:
		return prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	case f.picky > 0:
		f.picky--
		return prterr.AADSTS(aadsts.InvalidNonce, "")
	case !f.fresh(nonce):
		return prterr.AADSTS(aadsts.InvalidNonce, "")
	case f.hidden > 0:
		f.hidden--
		return prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	default:
		return nil
	}
}

// fresh reports whether a nonce was issued and not presented before.
func (f *fakeIdP) fresh(nonce string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(nonce, "nonce-"))
	good := err == nil && n > 0 && n <= f.nonces && !f.used[nonce]
	f.used[nonce] = true
	return good
}

// knows reports whether the tenant has exactly these devices.
func (f *fakeIdP) knows(want ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range want {
		if f.devices[ids.DeviceID(id)] == nil {
			return false
		}
	}
	return len(f.devices) == len(want)
}
