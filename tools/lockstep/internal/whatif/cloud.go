package whatif

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// SignInOrigin is where the sign-in pages are, as browsers know it.
const SignInOrigin = "https://login.microsoftonline.com"

// cloud is the identity provider, with the operator's door and the maker of the
// TPMs that it trusts.
type cloud struct {
	provider *idp.Service
	handler  http.Handler
	tenant   idp.Tenant
	makers   string
	from     string
	holds    map[string][]Credential
	issuer   *issuer

	operator grpc.ClientConnInterface
	read     directoryv1.ReadServiceClient
	admin    directoryv1.AdminServiceClient
	people   directoryv1.PersonServiceClient

	mu     sync.Mutex
	events map[string][]idp.Event
}

// newCloud starts the identity provider in this process.
func newCloud(cfg Config, clk clock.Clock) (*cloud, error) {
	c := &cloud{holds: cfg.Holds, events: map[string][]idp.Event{}, makers: cfg.Dir + "/tpm-maker", from: cfg.From}
	maker, err := tpmca.Open(c.makers)
	if err != nil {
		return nil, err
	}
	tenants, err := c.tenants(cfg, clk)
	if err != nil {
		return nil, err
	}
	c.provider, err = idp.New(idp.Config{
		Tenants: tenants, Clock: clk, Persons: true, QuickHashes: true, SignInLog: c.record,
		TPMMakers: []idp.TPMMaker{{Name: "the laboratory's emulated TPMs", Kind: "emulated", Certificates: maker.RootPEM()}},
	})
	if err != nil {
		return nil, err
	}
	c.handler = c.provider.Handler()
	c.operator, err = rpc.Direct(rpc.LoopbackConfig{Caller: "operator", Server: "idp", Allow: idp.Allow()}, c.provider.Register)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.read, c.admin = directoryv1.NewReadServiceClient(c.operator), directoryv1.NewAdminServiceClient(c.operator)
	c.people = directoryv1.NewPersonServiceClient(c.operator)
	if c.tenant, err = chosen(c.provider.Tenants(), cfg.Tenant); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// tenants is the tenant file, with an authority for the certificates of people in it
// when somebody has one.
func (c *cloud) tenants(cfg Config, clk clock.Clock) (_ []byte, err error) {
	certificates := false
	for _, list := range cfg.Holds {
		certificates = certificates || slices.Contains(list, Certificate)
	}
	if !certificates {
		return cfg.Tenants, nil
	}
	if c.issuer, err = newIssuer(clk); err != nil {
		return nil, err
	}
	return c.issuer.trusted(cfg.Tenants, func(id string, domains []string) bool {
		return cfg.Tenant == "" || strings.EqualFold(id, cfg.Tenant) || slices.Contains(domains, cfg.Tenant)
	})
}

// chosen finds the tenant that is meant.
func chosen(all []idp.Tenant, name string) (idp.Tenant, error) {
	for _, t := range all {
		if name == "" || string(t.ID) == name || slices.ContainsFunc(t.Domains, func(d idp.Domain) bool { return d.Name == name }) {
			return t, nil
		}
	}
	return idp.Tenant{}, fmt.Errorf("tenant %q: the tenant file has none with that id or domain", name)
}

func (c *cloud) close() error { return c.provider.Close() }

// record keeps what the sign-in log gets under the id of the cell that caused it.
func (c *cloud) record(e idp.Event) {
	if e.Correlation == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[e.Correlation] = append(c.events[e.Correlation], e)
}

// take hands over the events of a cell.
func (c *cloud) take(correlation string) []idp.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	events := c.events[correlation]
	delete(c.events, correlation)
	return events
}

// wire is a new way to the cloud.
func (c *cloud) wire() *wire {
	return &wire{handler: c.handler, from: c.from}
}

// readPeople makes a person of every enabled user. Each gets a password of the
// simulation's own, because a tenant file need not have one in clear.
func (c *cloud) readPeople(ctx context.Context) ([]*person, error) {
	list, err := c.read.ListUsers(ctx, &directoryv1.ListUsersRequest{TenantId: string(c.tenant.ID)})
	if err != nil {
		return nil, err
	}
	var all []*person
	for _, u := range list.GetUsers() {
		if !u.GetEnabled() {
			continue
		}
		p := &person{user: u, cloud: c, pin: secret.NewText("482913")}
		if !u.GetFederated() {
			p.password = secret.NewText(rand.Text())
			_, err := c.admin.SetUserPassword(ctx, &directoryv1.SetUserPasswordRequest{
				UserPrincipalName: u.GetUserPrincipalName(), Password: p.password.Reveal(),
			})
			if err != nil {
				return nil, fmt.Errorf("password of %s: %w", u.GetUserPrincipalName(), err)
			}
		}
		if err := c.equip(ctx, p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// readApps lists every client with every resource that it may ask for. A client with
// an https address is a web application, one of the built-in ones an app.
func (c *cloud) readApps(ctx context.Context) ([]App, error) {
	list, err := c.read.ListApplications(ctx, &directoryv1.ListApplicationsRequest{TenantId: string(c.tenant.ID)})
	if err != nil {
		return nil, err
	}
	var all []App
	for _, a := range list.GetApplications() {
		web := slices.IndexFunc(a.GetRedirectUris(), func(u string) bool { return strings.HasPrefix(u, "https://") })
		for _, r := range c.tenant.Resources {
			if !strings.HasPrefix(r.URI, "https://") && !strings.HasPrefix(r.URI, "api://") {
				continue // a service of devices, which no user opens
			}
			if len(a.GetResources()) > 0 && !slices.Contains(a.GetResources(), r.URI) {
				continue
			}
			app := App{Client: a.GetClientId(), ClientName: a.GetName(), Resource: r.URI, ResourceName: r.Name}
			switch {
			case a.GetBuiltIn() && len(a.GetRedirectUris()) > 0:
				app.Native, app.Redirect = true, a.GetRedirectUris()[0]
			case !a.GetBuiltIn() && web >= 0:
				app.Redirect = a.GetRedirectUris()[web]
			default:
				continue
			}
			all = append(all, app)
		}
	}
	return all, nil
}
