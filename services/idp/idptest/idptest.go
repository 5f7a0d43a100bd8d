// Package idptest starts a tenant inside a test: the identity provider over
// HTTPS, with a certificate authority, a clock and an operator of its own.
//
//	func TestMyClient(t *testing.T) {
//		tenant := idptest.New(t)
//		resp, err := tenant.HTTPClient().Get(tenant.Metadata)
//		...
//		tenant.Clock.Advance(15 * 24 * time.Hour)           // and the PRT is over
//		err = tenant.Admin.DisableUser(ctx, tenant.User)    // and so is the user
//	}
//
// What lives here: what a test of a client needs, and nothing that the product
// has not. What never may: a shortcut into the provider; whatever a test does
// here a client or an operator could do. Everything ends with the test.
package idptest

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
)

// clientTime bounds a request of HTTPClient. Real clients give up after three.
const clientTime = 10 * time.Second

// Tenant is a running tenant. With several in the tenant file the fields are
// those of the first; the others are served as well.
type Tenant struct {
	// ID is a GUID, Domain the standard domain.
	ID, Domain string
	// User and Password sign in. Password is empty with WithTenants.
	User, Password string

	// Authority is the address by which clients know the tenant, without a slash
	// at its end; Issuer stands in v2.0 tokens.
	Authority, Issuer string
	// Metadata, AuthorizeEndpoint, TokenEndpoint and DeviceCodeEndpoint are those
	// of v2.0.
	Metadata, AuthorizeEndpoint, TokenEndpoint, DeviceCodeEndpoint string
	// DRS is the device registration service, Graph the directory's interface.
	DRS, Graph string

	// BaseURL is the same server by its address on this machine.
	BaseURL string
	// ProxyURL is a proxy that leads the cloud's host names here, for clients that
	// take a proxy and no dialler; it refuses all others.
	ProxyURL *url.URL
	// CAPEM, CAPool and CAFile are the certificate to trust: PEM, pool, path.
	CAPEM  []byte
	CAPool *x509.CertPool
	CAFile string

	// Clock is the time of the tenant. It can be moved forward.
	Clock *clock.Lab
	// Admin changes the directory.
	Admin *Admin

	service *idp.Service
	client  *http.Client
	maker   *attestationtest.Maker
}

// New starts a tenant. Without options it is contoso.test with one user. It ends
// with the test, which fails when the tenant cannot be started.
func New(t testing.TB, opts ...Option) *Tenant {
	t.Helper()
	cfg, err := configure(opts)
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	maker := attestationtest.NewMaker("Maker of emulated TPMs for tests")
	service, err := idp.New(idp.Config{
		Tenants: cfg.yaml, Clock: cfg.clock, Log: cfg.log, Persons: true,
		TPMMakers: []idp.TPMMaker{{Name: "idptest", Kind: "emulated", Certificates: maker.PEM()}},
	})
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	end := func(what string, err error) {
		if err != nil {
			t.Errorf("idptest: %s: %v", what, err)
		}
	}
	conn, stop, err := door(service)
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	t.Cleanup(func() { end("end of the service", stop()) })
	h, err := host.New(host.Config{Handler: service.Handler(), ProxyListen: "127.0.0.1:0", Log: cfg.log})
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	if err := h.Start(); err != nil {
		t.Fatalf("idptest: %v", err)
	}
	t.Cleanup(func() { end("end of the host", h.Abort()) })
	tenant := describe(service, h, cfg)
	tenant.maker = maker
	tenant.Admin = newAdmin(conn, tenant.ID)
	tenant.CAFile = filepath.Join(t.TempDir(), host.CAFile)
	if err := os.WriteFile(tenant.CAFile, tenant.CAPEM, 0o600); err != nil {
		t.Fatalf("idptest: %v", err)
	}
	return tenant
}

// describe fills in what a test is to know.
func describe(service *idp.Service, h *host.Host, cfg config) *Tenant {
	first := service.Tenants()[0]
	authority := "https://login.microsoftonline.com/" + string(first.ID)
	proxy := &url.URL{Scheme: "http", Host: h.ProxyAddr()}
	t := &Tenant{
		ID: string(first.ID), Domain: first.Domains[0].Name, Password: cfg.password,
		Authority: authority, Issuer: authority + "/v2.0", Metadata: authority + "/v2.0/.well-known/openid-configuration",
		AuthorizeEndpoint: authority + "/oauth2/v2.0/authorize", TokenEndpoint: authority + "/oauth2/v2.0/token",
		DeviceCodeEndpoint: authority + "/oauth2/v2.0/devicecode",
		DRS:                "https://enterpriseregistration.windows.net", Graph: "https://graph.microsoft.com",
		BaseURL: "https://" + h.Addr(), ProxyURL: proxy, CAPEM: h.CAPEM(), CAPool: h.CAPool(),
		Clock: cfg.clock, service: service, client: &http.Client{Transport: h.Transport(), Timeout: clientTime},
	}
	if len(first.Users) > 0 {
		t.User = string(first.Users[0])
	}
	return t
}

// door serves the contracts to an operator, inside this process and with the same
// identities and allow-list as everywhere.
func door(service *idp.Service) (conn *grpc.ClientConn, stop func() error, err error) {
	ca, err := rpc.NewCA()
	if err != nil {
		return nil, nil, err
	}
	identity, err := ca.Issue("idp")
	if err != nil {
		return nil, nil, err
	}
	operator, err := ca.Issue("operator")
	if err != nil {
		return nil, nil, err
	}
	network := rpc.NewMem()
	running, err := run.Start(run.Config{Name: "idp", Identity: identity, Network: network, Listen: "mem:idp"},
		func(*run.Env) (*run.Component, error) {
			return &run.Component{Service: service, Allow: idp.Allow()}, nil
		})
	if err != nil {
		return nil, nil, err
	}
	conn, err = rpc.Dial(rpc.DialConfig{Network: network, Addr: "mem:idp", Identity: operator, Server: "idp"})
	if err != nil {
		return nil, nil, err
	}
	return conn, func() error {
		if err := conn.Close(); err != nil {
			return err
		}
		return running.Stop()
	}, nil
}

// HTTPClient reaches the tenant under all host names of the cloud, whatever the
// port, trusts its certificate authority alone, and goes nowhere else.
func (t *Tenant) HTTPClient() *http.Client { return t.client }

// Tenants lists all tenants of the tenant file.
func (t *Tenant) Tenants() []idp.Tenant { return t.service.Tenants() }

// SignIns returns the newest events of the sign-in log, oldest first.
func (t *Tenant) SignIns() []idp.Event { return t.service.SignIns() }
