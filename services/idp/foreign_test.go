package idp_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// foreign is what clients that are not ours reach through the front.
type foreign struct {
	w         *world
	issuance  idpv1.IssuanceServiceClient
	tokens    idpv1.TokenServiceClient
	devices   idpv1.DeviceRegistrationServiceClient
	connected idpv1.ConnectedDeviceServiceClient
}

func (w *world) foreign(t testing.TB) *foreign {
	t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "idp", Server: "idp", Allow: idp.FrontAllow()}, w.svc.RegisterFront)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return foreignOver(w, conn)
}

func foreignOver(w *world, conn *grpc.ClientConn) *foreign {
	return &foreign{
		w: w, issuance: idpv1.NewIssuanceServiceClient(conn), tokens: idpv1.NewTokenServiceClient(conn),
		devices: idpv1.NewDeviceRegistrationServiceClient(conn), connected: idpv1.NewConnectedDeviceServiceClient(conn),
	}
}

// claims is a claim set as a foreign client writes it.
type claims map[string]any

func (c claims) Encode() ([]byte, error) { return json.Marshal(c) }

// with is a copy with some members changed; nil removes one.
func (c claims) with(changes claims) claims {
	next := claims{}
	for k, v := range c {
		next[k] = v
	}
	for k, v := range changes {
		if next[k] = v; v == nil {
			delete(next, k)
		}
	}
	return next
}

// userOf finds a user's record.
func (w *world) userOf(t testing.TB, upn string) store.User {
	t.Helper()
	u, err := w.svc.Store().UserByUPN(context.Background(), ids.UPN(upn))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// brokerToken is a refresh token of the broker as a sign-in without a device gives
// it, changed before it is sealed.
func (w *world) brokerToken(t testing.TB, upn string, change func(*sealed.Artefact)) string {
	t.Helper()
	u := w.userOf(t, upn)
	now := time.Now()
	a := sealed.Artefact{
		Type: sealed.RefreshToken, Tenant: u.Tenant, User: u.ID, Client: entrawire.BrokerClientID, SessionID: "s", Credential: sealed.Password,
		AMR: []string{"pwd", "mfa"}, AuthTime: now.Add(-time.Hour), PasswordEpoch: u.PasswordEpoch, SessionEpoch: u.SessionEpoch,
		Issued: now, Expires: now.Add(24 * time.Hour), Details: sealed.Details{MFATime: now.Add(-time.Hour).Unix()},
	}
	if change != nil {
		change(&a)
	}
	text, err := w.svc.Authority().Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	return text.Reveal()
}

// artefact opens what a client holds.
func (w *world) artefact(t testing.TB, kind sealed.Type, text string) sealed.Artefact {
	t.Helper()
	a, err := w.svc.Authority().Open(kind, secret.NewText(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// roadtx are the claims of its request for a PRT by refresh token.
func (w *world) roadtxUpgrade(t testing.TB, token string) claims {
	t.Helper()
	return claims{
		"client_id": entrawire.BrokerClientID, "request_nonce": w.nonce(t), "scope": "openid aza ugs", "group_sids": []string{},
		"win_ver": "10.0.19041.868", "grant_type": "refresh_token", "refresh_token": token,
	}
}

// roadtxToken are the claims of its app-token request.
func (s *signIn) roadtxToken(t testing.TB, client, resource string) claims {
	t.Helper()
	return claims{
		"win_ver": "10.0.19041.1620", "scope": "openid", "request_nonce": s.d.w.nonce(t), "refresh_token": s.prt, "redirect_uri": native + client,
		"iss": entrawire.BrokerIssuer, "grant_type": "refresh_token", "client_id": client, "aud": entrawire.SessionAudience,
		"iat": "1700000000", "exp": "1700003600", "resource": resource,
	}
}

// answer sends a request with the PRT and opens what comes back.
func (s *signIn) answer(t testing.TB, c claims) entrawire.TokenAnswer {
	t.Helper()
	text, err := s.d.w.redeemPRT(s.sign(t, c))
	if err != nil {
		t.Fatal(err)
	}
	var a entrawire.TokenAnswer
	s.decrypt(t, text, &a)
	return a
}

// registrationToken is an access token for device registration, changed before it
// is signed.
func (w *world) registrationToken(t testing.TB, upn, device string, now time.Time, change claims) string {
	t.Helper()
	u := w.userOf(t, upn)
	c := claims{
		"aud": entrawire.RegistrationResource, "iss": "https://sts.windows.net/" + string(u.Tenant) + "/", "iat": now.Unix(), "nbf": now.Unix(),
		"exp": now.Add(time.Hour).Unix(), "amr": []string{"pwd", "mfa", "ngcmfa"}, "appid": entrawire.BrokerClientID, "oid": u.ID, "tid": u.Tenant,
		"deviceid": device, "aio": w.memory(t, u, device),
	}.with(change)
	return w.tokenSigned(t, rsaKeys()[0], c)
}

// memory is what a token remembers of a sign-in by password just now, on a device.
func (w *world) memory(t testing.TB, u store.User, device string) string {
	t.Helper()
	m := issuance.Memory{Credential: sealed.Password, AuthTime: time.Now().Unix(), PasswordEpoch: u.PasswordEpoch, SessionEpoch: u.SessionEpoch, Session: "s"}
	if dev, err := w.svc.Store().Device(context.Background(), ids.DeviceID(device)); err == nil {
		certificate := issuance.Fingerprint(dev)
		m.Certificate = certificate[:]
	} else if device != "" {
		m.Certificate = make([]byte, sha256.Size) // of a device that nobody knows any more
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return jose.EncodeSegment(raw)
}

// tokenSigned names the key in force, whichever key signs.
func (w *world) tokenSigned(t testing.TB, key *rsa.PrivateKey, c claims) string {
	t.Helper()
	_, kid := w.svc.Authority().PublicKey()
	s, err := jose.SignRS256(jose.Header{Typ: "JWT", Kid: kid}, encoded(t, c), key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func bound(d *device) func(*sealed.Artefact) {
	return func(a *sealed.Artefact) { a.Device, a.Certificate = ids.DeviceID(d.id), sha256.Sum256(d.cert) }
}

// labWorld is an identity provider whose clock a test moves; it begins now,
// because certificates and brokers' tokens do.
func labWorld(t testing.TB, cfg idp.Config) (*world, *clock.Lab) {
	t.Helper()
	lab := clock.NewLab()
	cfg.Clock = lab
	return newWorld(t, cfg), lab
}

func compliant(t testing.TB, w *world, d *device, yes bool) {
	t.Helper()
	err := w.svc.Store().UpdateDevice(context.Background(), ids.DeviceID(d.id), func(r *store.Device) error { r.Compliant = yes; return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func devicesOf(t testing.TB, w *world, tenant string) []*directoryv1.Device {
	t.Helper()
	a, err := w.read.ListDevices(context.Background(), &directoryv1.ListDevicesRequest{TenantId: tenant})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetDevices()
}

const bulkClient = issuance.BulkClientID

// signRaw signs an input that was written by hand with the device key.
func signRaw(t testing.TB, d *device, input string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, d.dk, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return jose.Assemble(input, sig)
}
