package adfs_test

import (
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	domainv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/domain/v1"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

func domain(t *testing.T, caller string, cfg adfs.Config) domainv1.DomainServiceClient {
	t.Helper()
	s, err := adfs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: caller, Server: "adfs", Allow: adfs.Allow()}, func(r grpc.ServiceRegistrar) { s.Register(r) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return domainv1.NewDomainServiceClient(conn)
}

func TestISS15_TheDomainLetsItsUsersIn(t *testing.T) {
	lab := clock.NewLab()
	now := lab.Advance(100 * 24 * time.Hour)
	c := domain(t, "lsa-cloudap", adfs.Config{Clock: lab})
	got, err := c.RequestTicket(t.Context(), &domainv1.RequestTicketRequest{UserPrincipalName: "Carol@adatum.test", Password: "federated horse"})
	if err != nil {
		t.Fatal(err)
	}
	who, err := sid.Parse(got.GetSid())
	if err != nil || who.Entra() || got.GetDisplayName() != "Carol Chen" {
		t.Errorf("ticket %v, %v", got, err)
	}
	if until := got.GetValidUntil().AsTime().Sub(now); until < 10*time.Hour || until > 10*time.Hour+time.Minute {
		t.Errorf("the ticket is good for %v", until)
	}
	// Another start of the same organisation knows the same user by the same identifier.
	again, err := domain(t, "lsa-cloudap", adfs.Config{}).RequestTicket(t.Context(), &domainv1.RequestTicketRequest{UserPrincipalName: "carol@adatum.test", Password: "federated horse"})
	if err != nil || again.GetSid() != got.GetSid() {
		t.Errorf("after a start %v, %v", again, err)
	}
}

func TestWhoGetsNoTicket(t *testing.T) {
	c := domain(t, "lsa-cloudap", adfs.Config{})
	var wrong string
	for _, row := range []struct {
		upn, password string
		kind          prterr.Kind
	}{
		{"carol@adatum.test", "wrong", prterr.Unauthenticated},
		{"nobody@adatum.test", "federated horse", prterr.Unauthenticated},
		{"carol@adatum.test", "", prterr.Unauthenticated},
		{"carol@contoso.test", "federated horse", prterr.NotFound},
		{"carol", "federated horse", prterr.Invalid},
	} {
		_, err := c.RequestTicket(t.Context(), &domainv1.RequestTicketRequest{UserPrincipalName: row.upn, Password: row.password})
		if prterr.KindOf(err) != row.kind {
			t.Errorf("%s with %q: %v", row.upn, row.password, err)
		}
		if row.kind != prterr.Unauthenticated {
			continue
		}
		if wrong == "" {
			wrong = err.Error()
		}
		if err.Error() != wrong {
			t.Errorf("%q and %q can be told apart", err.Error(), wrong)
		}
	}
	if _, err := domain(t, "wam-broker", adfs.Config{}).RequestTicket(t.Context(), &domainv1.RequestTicketRequest{}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("another caller: %v", err)
	}
}
