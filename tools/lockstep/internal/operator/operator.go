// Package operator reads and changes the directory of a running server, as its
// operator.
//
// What lives here: the connection, finding the tenant that is meant, and answers
// as tables and messages. What never may: a rule about what is allowed; the
// server has those. The commands below lockstep tenant call it.
package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// Client is the operator of one server.
type Client struct {
	// Server is where it is.
	Server serve.Info
	Read   directoryv1.ReadServiceClient
	Admin  directoryv1.AdminServiceClient
	Person directoryv1.PersonServiceClient
	Clock  labv1.ClockServiceClient
	conn   *grpc.ClientConn
}

// Connect goes to a server's door with the identity that lies beside it.
func Connect(i serve.Info) (*Client, error) {
	conn, err := i.Dial()
	if err != nil {
		return nil, err
	}
	return &Client{
		Server: i, Read: directoryv1.NewReadServiceClient(conn), Admin: directoryv1.NewAdminServiceClient(conn),
		Person: directoryv1.NewPersonServiceClient(conn), Clock: labv1.NewClockServiceClient(conn), conn: conn,
	}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// List is an answer: for people as a table, for programs as the messages.
type List struct {
	Head     []string
	Rows     [][]string
	Messages []proto.Message
}

func (l *List) add(m proto.Message, cells ...string) {
	l.Messages = append(l.Messages, m)
	l.Rows = append(l.Rows, cells)
}

// tenants are those that a name means: an id, a domain, or all for "".
func (c *Client) tenants(ctx context.Context, name string) ([]*directoryv1.Tenant, error) {
	list, err := c.Read.ListTenants(ctx, &directoryv1.ListTenantsRequest{})
	if err != nil || name == "" {
		return list.GetTenants(), err
	}
	var known []string
	for _, t := range list.GetTenants() {
		if strings.EqualFold(t.GetTenantId(), name) || slices.Contains(t.GetDomains(), strings.ToLower(name)) {
			return []*directoryv1.Tenant{t}, nil
		}
		known = append(known, t.GetDomains()...)
	}
	return nil, fmt.Errorf("no tenant has the id or domain %.80q: there is %s", name, strings.Join(known, ", "))
}

// Tenant is the id of the one tenant that a name means. Without a name there must
// be only one.
func (c *Client) Tenant(ctx context.Context, name string) (string, error) {
	all, err := c.tenants(ctx, name)
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		var domains []string
		for _, t := range all {
			domains = append(domains, t.GetDomains()...)
		}
		return "", fmt.Errorf("several tenants are served: say which one is meant with --tenant: %s", strings.Join(domains, ", "))
	}
	return all[0].GetTenantId(), nil
}

// each collects what every tenant that is meant has.
func (c *Client) each(ctx context.Context, name string, visit func(t *directoryv1.Tenant) error) error {
	all, err := c.tenants(ctx, name)
	if err != nil {
		return err
	}
	for _, t := range all {
		if err := visit(t); err != nil {
			return err
		}
	}
	return nil
}

func domain(t *directoryv1.Tenant) string {
	if len(t.GetDomains()) == 0 {
		return t.GetTenantId()
	}
	return t.GetDomains()[0]
}
