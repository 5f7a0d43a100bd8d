package enrol

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// discovered is a tenant as its discovery describes it, kept only for people to see.
type discovered struct {
	id     ids.TenantID
	tenant state.Tenant
}

// discover asks which services of registration the tenant of a name has. The answer is
// a stranger's: of it only the tenant's id is used, to hold the registration against.
func (c cloud) discover(ctx context.Context, tenant string) (discovered, error) {
	resp, err := c.metadata.DescribeRegistrationServices(ctx, &idpv1.DescribeRegistrationServicesRequest{Tenant: tenant})
	if err != nil {
		return discovered{}, err
	}
	id, err := ids.ParseTenant(resp.GetTenantId())
	if err != nil {
		return discovered{}, prterr.New(prterr.Denied, "the identity provider's discovery names no tenant")
	}
	return discovered{id, state.Tenant{
		ID: string(id), Name: state.Shown(resp.GetTenantName()), AuthCodeURL: state.Shown(resp.GetAuthCodeUrl()), TokenURL: state.Shown(resp.GetAccessTokenUrl()),
		Join: shownService(resp.GetJoinService()), Key: shownService(resp.GetKeyService()),
		WebAuthn: shownService(resp.GetWebauthnService()), DeviceManage: shownService(resp.GetDeviceManagementService()),
	}}, nil
}

func shownService(s *idpv1.RegistrationService) state.TenantService {
	return state.TenantService{Version: state.Shown(s.GetVersion()), URL: state.Shown(s.GetUrl()), ID: state.Shown(s.GetResourceId())}
}

// discover is the phase of that name: it finds the tenant, keeps what it found, and says
// in the event log how that went.
func (e *Enroller) discover(ctx context.Context, name string) (ids.TenantID, error) {
	id, err := e.find(ctx, name)
	e.answered(ctx, eventDiscovery, "The discovery of the registration service", err, eventlog.Field{Name: "Tenant", Value: name})
	return id, err
}

// find is the same without an event: somebody only looks how the device is, and whoever
// looks every minute must not push what happened out of the log.
func (e *Enroller) find(ctx context.Context, name string) (ids.TenantID, error) {
	d, err := e.cloud.discover(ctx, name)
	if err != nil {
		return "", in(discover, err)
	}
	if known := e.notes.Get().Tenant; known == nil || *known != d.tenant {
		e.remember(ctx, func(n *state.Notes) { n.Tenant = &d.tenant })
	}
	return d.id, nil
}
