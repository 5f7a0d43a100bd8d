package idp_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
)

const (
	contoso, fabrikam = "6babcaad-604b-40ac-a9d7-9fd97c0b779f", "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

	alice, alicePassword = "alice@contoso.test", "correct horse battery staple"
	bob, bobPassword     = "bob@contoso.test", "staple battery horse correct"
	frank, frankPassword = "frank@fabrikam.test", "fabrikam makes everything"
	carol                = "carol@adatum.test"

	office, cli = "d3590ed6-52b3-4102-aeff-aad2292ab01c", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	portal      = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"
	portalURI   = "https://portal.contoso.test/signin"
	graph       = "https://graph.microsoft.com"
	native      = "ms-appx-web://Microsoft.AAD.BrokerPlugin/"
)

// rsaKeys are made once: a key takes longer than a test. Tests only read them.
var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 6)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], _ = rsa.GenerateKey(rand.Reader, 2048) })
	}
	wg.Wait()
	return keys
})

// authorityKeys are for device authorities. There are twice as many as a world
// has tenants, so that two worlds of one test trust each other's devices no more
// than two providers do.
var authorityKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 4)
	for i := range keys {
		keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return keys
})

var worlds atomic.Int32

// deviceKeys are the keys of the next world: no two tenants of it share one.
func deviceKeys() func(ids.TenantID) (*rsa.PrivateKey, error) {
	pair := authorityKeys()[2*(worlds.Add(1)%2):]
	return func(t ids.TenantID) (*rsa.PrivateKey, error) {
		switch t {
		case contoso:
			return pair[0], nil
		case fabrikam:
			return pair[1], nil
		}
		return rsa.GenerateKey(rand.Reader, 2048)
	}
}

// world is an identity provider with a connection for every caller.
type world struct {
	svc      *idp.Service
	realm    idpv1.RealmServiceClient
	nonces   idpv1.NonceServiceClient
	issuance idpv1.IssuanceServiceClient
	tokens   idpv1.TokenServiceClient
	sessions idpv1.SessionServiceClient
	devices  idpv1.DeviceRegistrationServiceClient
	read     directoryv1.ReadServiceClient
	admin    directoryv1.AdminServiceClient
	// attest has every device of the world attested: a tenant is strict.
	attest bool
}

// tpmMaker makes the TPMs of all worlds.
var tpmMaker = sync.OnceValue(func() *attestationtest.Maker { return attestationtest.NewMaker("Maker of TPMs for tests") })

func newWorld(t testing.TB, cfg idp.Config) *world {
	t.Helper()
	cfg.TokenSigner = rsaKeys()[0]
	cfg.TPMMakers = append(cfg.TPMMakers, idp.TPMMaker{Name: "tests", Kind: "emulated", Certificates: tpmMaker().PEM()})
	return worldWithItsKeys(t, cfg.WithDeviceKeys(deviceKeys()))
}

// worldWithItsKeys is a world whose identity provider makes its own keys.
func worldWithItsKeys(t testing.TB, cfg idp.Config) *world {
	t.Helper()
	svc, err := idp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	return worldOf(svc, func(caller string) grpc.ClientConnInterface { return connect(t, svc, caller) }, cfg)
}

func isStrict(cfg idp.Config) bool { return strings.Contains(string(cfg.Tenants), `profile: "strict"`) }

func connect(t testing.TB, svc *idp.Service, caller string) *grpc.ClientConn {
	t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "idp", Allow: idp.Allow()}, svc.Register)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return conn
}

// withProfile is the default tenant file with another profile for every tenant.
func withProfile(name string) []byte {
	return []byte(strings.ReplaceAll(string(idp.DefaultTenants()), "profile: today", `profile: "`+name+`"`))
}

func (w *world) nonce(t testing.TB) string {
	t.Helper()
	a, err := w.nonces.IssueNonce(context.Background(), &idpv1.IssueNonceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetNonce()
}

// wantCode fails unless err carries the code.
func wantCode(t testing.TB, err error, code aadsts.Code) {
	t.Helper()
	if prterr.CodeOf(err) != code {
		t.Errorf("got %v, want %v", err, code)
	}
}

// wantKind fails unless err is of the kind.
func wantKind(t testing.TB, err error, kind prterr.Kind) {
	t.Helper()
	if prterr.KindOf(err) != kind {
		t.Errorf("got %v (%s), want %s", err, prterr.KindOf(err), kind)
	}
}

// wantNamed fails unless err is a refusal with a name, that is, not a bug.
func wantNamed(t testing.TB, err error) {
	t.Helper()
	var e *prterr.Error
	if !errors.As(err, &e) || e.Kind == prterr.Internal {
		t.Errorf("got %v, want a named refusal", err)
	}
}

// unchanged runs f and fails when the store is another one afterwards.
func (w *world) unchanged(t testing.TB, f func()) {
	t.Helper()
	before := w.svc.Snapshot(t)
	f()
	if w.svc.Snapshot(t) != before {
		t.Error("a refused request changed the store")
	}
}

func redirectOf(client string) string {
	if client == entrawire.BrokerClientID {
		return native + "DRS"
	}
	return native + client
}
