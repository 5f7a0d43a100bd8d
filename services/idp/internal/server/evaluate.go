package server

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// EvaluatePolicies says what the policies would say to a sign-in that nobody makes.
// The facts are collected where those of real ones are.
func (s *Read) EvaluatePolicies(ctx context.Context, req *directoryv1.EvaluatePoliciesRequest) (*directoryv1.EvaluatePoliciesResponse, error) {
	f, err := s.imagined(ctx, req)
	if err != nil {
		return nil, err
	}
	d := policy.Decide(f)
	var e signinlog.Event
	grants.Note(&e, f, d)
	return &directoryv1.EvaluatePoliciesResponse{
		ErrorCode: int32(d.Code), Claims: d.Claims, Policies: applied(e.Policies), AllowedMethods: words(d.Allowed), Hello: d.Hello,
	}, nil
}

// imagined are the facts of a sign-in that nobody makes.
func (s *Read) imagined(ctx context.Context, req *directoryv1.EvaluatePoliciesRequest) (policy.Facts, error) {
	var none policy.Facts
	ask, err := s.imaginedUser(ctx, req)
	if err != nil {
		return none, err
	}
	if ask.Device, err = s.imaginedDevice(ctx, ask.Tenant, req.GetDeviceId()); err != nil {
		return none, err
	}
	now := s.Gate.Clock.Now()
	if ask.From, err = imaginedProof(req, now); err != nil {
		return none, err
	}
	if _, err := netip.ParseAddr(req.GetIpAddress()); req.GetIpAddress() != "" && err != nil {
		return none, prterr.New(prterr.Invalid, "ip_address is not an address such as 203.0.113.7")
	}
	for _, field := range []struct {
		name, value string
		known       []string
	}{
		{"client_app", req.GetClientApp(), []string{string(tenant.Browser), string(tenant.Native)}},
		{"platform", req.GetPlatform(), words([]tenant.Platform{tenant.Windows, tenant.MacOS, tenant.Linux, tenant.IOS, tenant.Android})},
		{"user_action", req.GetUserAction(), words([]tenant.UserAction{tenant.RegisterSecurityInfo, tenant.RegisterDevice})},
		{"flow", req.GetFlow(), []string{tenant.FlowDeviceCode, tenant.FlowTransfer}},
		{"sign_in_risk", req.GetSignInRisk(), words([]tenant.Risk{tenant.RiskNone, tenant.RiskLow, tenant.RiskMedium, tenant.RiskHigh})},
	} {
		if field.value != "" && !slices.Contains(field.known, field.value) {
			return none, prterr.New(prterr.Invalid, "%s is not one of %v", field.name, field.known)
		}
	}
	if ask.Kind = tenant.ClientApp(req.GetClientApp()); ask.Kind == "" {
		ask.Kind = tenant.Native
	}
	if req.GetSignInRisk() != "" {
		ask.User.Risk = req.GetSignInRisk()
	}
	ask.Bound, ask.IDToken = req.GetBound(), true // as at a page
	// A platform is said by a user agent, where no device says it.
	f := s.Gate.Facts(grants.WithCaller(ctx, grants.Caller{IPAddress: req.GetIpAddress(), UserAgent: req.GetPlatform()}), ask)
	if req.GetUserAction() != "" {
		f.UserAction = tenant.UserAction(req.GetUserAction())
		f.Registering = f.NoMethod && f.UserAction == tenant.RegisterSecurityInfo
	}
	return f, nil
}

// imaginedUser finds who signs in where, with what and to what.
func (s *Read) imaginedUser(ctx context.Context, req *directoryv1.EvaluatePoliciesRequest) (ask grants.Ask, err error) {
	id, err := tenantID(req.GetTenantId())
	if err != nil {
		return ask, err
	}
	var known bool
	if ask.Tenant, known = s.Tenants.Tenant(id); !known {
		return ask, prterr.New(prterr.NotFound, "tenant_id names no tenant here")
	}
	name, err := userName(req.GetUserPrincipalName())
	if err != nil {
		return ask, err
	}
	if ask.User, err = s.Directory.UserByName(ctx, name); err != nil {
		return ask, err
	}
	if ask.User.Tenant != id {
		return ask, prterr.New(prterr.NotFound, "user_principal_name names no user of the tenant")
	}
	client, err := ids.ParseClient(req.GetClientId())
	if err != nil {
		return ask, prterr.New(prterr.Invalid, "client_id is not right: %v", err)
	}
	if ask.App, known = ask.Tenant.Application(client); !known {
		return ask, prterr.New(prterr.NotFound, "client_id names no application of the tenant")
	}
	switch ask.Resource, known = ask.Tenant.Resource(req.GetResource()); {
	case req.GetResource() == "" && req.GetUserAction() == "":
		return ask, prterr.New(prterr.Invalid, "resource is empty: name one, or a user_action")
	case req.GetResource() != "" && !known:
		return ask, prterr.New(prterr.NotFound, "resource names no resource of the tenant")
	}
	ask.Contexts = req.GetAuthContexts()
	return ask, nil
}

// imaginedDevice is the device that authenticates: one that does not stand is none,
// as everywhere.
func (s *Read) imaginedDevice(ctx context.Context, t *tenant.Tenant, id string) (*store.Device, error) {
	if id == "" {
		return nil, nil
	}
	device, err := ids.ParseDevice(id)
	if err != nil {
		return nil, prterr.New(prterr.Invalid, "device_id is not right: %v", err)
	}
	dev, err := s.Directory.Device(ctx, t.ID, device)
	if err != nil {
		return nil, err
	}
	if directory.Standing(t.Profile, dev) != nil {
		return nil, nil //nolint:nilerr // a device that does not stand is none, which is no error
	}
	return &dev, nil
}

// maxImaginedAge is a year more than anything lives here.
const maxImaginedAge = 2 * 366 * 24 * time.Hour

func imaginedProof(req *directoryv1.EvaluatePoliciesRequest, now time.Time) (sealed.Artefact, error) {
	var a sealed.Artefact
	if req.GetAgeSeconds() < 0 || req.GetAgeSeconds() > int64(maxImaginedAge/time.Second) {
		return a, prterr.New(prterr.Invalid, "age_seconds is not from 0 to two years")
	}
	a.AuthTime, a.Origin = now.Add(-time.Duration(req.GetAgeSeconds())*time.Second), req.GetFlow()
	for i, m := range req.GetMethods() {
		if _, known := methods.Of(methods.Method(m)); !known {
			return a, prterr.New(prterr.Invalid, "methods[%d] is not a method that an authentication strength names", i)
		}
		a.Used = methods.Add(a.Used, methods.Method(m), a.AuthTime)
	}
	if t := methods.FactorTime(a.Used); !t.IsZero() {
		a.MFATime = t.Unix()
	}
	return a, nil
}
