package oauth

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// DeviceFlow asks for a sign-in by device code.
type DeviceFlow struct {
	Caller   Caller
	Tenant   string
	Version  int
	ClientID string
	Resource string
	Scope    string
	Claims   string
	// AMRValues demands methods.
	AMRValues string
}

// StartDeviceFlow begins a sign-in by device code. What is asked for is checked
// now, so that nobody types a code for nothing.
func (s *Service) StartDeviceFlow(ctx context.Context, r DeviceFlow) (out deviceflow.Started, err error) {
	e := &signinlog.Event{Flow: signinlog.StartDeviceCode, Correlation: correlation(r.Caller.Correlation)}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), *e, err) }()
	x := &exchange{Service: s, event: e, Request: Request{
		Caller: r.Caller, Tenant: r.Tenant, Version: r.Version, ClientID: r.ClientID, Resource: r.Resource, Scope: r.Scope, Claims: r.Claims,
	}}
	if err := bounded(map[string]string{"amr_values": r.AMRValues}, 256); err != nil {
		return out, err
	}
	if err := x.read(); err != nil {
		return out, err
	}
	home, err := x.anyHome()
	if err != nil {
		return out, err
	}
	if err := x.offered(home); err != nil {
		return out, err
	}
	f := deviceflow.Request{Client: x.client, Version: x.Version, Resource: r.Resource, Scope: r.Scope, Claims: r.Claims, AMRValues: r.AMRValues}
	if x.within != nil {
		f.Tenant = x.within.ID
	}
	return s.flows.Start(ctx, f)
}

// anyHome lists the tenants whose users may answer and that know the application.
func (x *exchange) anyHome() ([]ids.TenantID, error) {
	among := x.gate.Tenants.All()
	if x.within != nil {
		among = []*tenant.Tenant{x.within}
	}
	var homes []ids.TenantID
	for _, t := range among {
		if app, known := t.Application(x.client); known && !app.Pages {
			homes = append(homes, t.ID)
		}
	}
	if len(homes) == 0 {
		return nil, prterr.AADSTS(aadsts.ApplicationNotFound, "")
	}
	return homes, nil
}

// offered checks that one of the tenants at least has what is asked for.
func (x *exchange) offered(homes []ids.TenantID) (err error) {
	for _, id := range homes {
		if err = x.enter(id); err != nil {
			continue
		}
		if err = x.find(); err != nil {
			continue
		}
		if _, err = x.audience("", ""); err == nil {
			break
		}
	}
	if x.within == nil {
		x.event.Tenant = "" // nobody's yet
	}
	return err
}
