package operator

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// Tenants lists the tenants.
func (c *Client) Tenants(ctx context.Context, tenant string) (List, error) {
	l := List{Head: []string{"tenant", "name", "domains", "profile"}}
	err := c.each(ctx, tenant, func(t *directoryv1.Tenant) error {
		l.add(t, t.GetTenantId(), t.GetDisplayName(), words(t.GetDomains()), t.GetProfile())
		return nil
	})
	return l, err
}

// Users lists the users of the tenants that are meant.
func (c *Client) Users(ctx context.Context, tenant string) (List, error) {
	l := List{Head: []string{"user", "name", "enabled", "may join", "administrator", "second factors", "id"}}
	err := c.each(ctx, tenant, func(t *directoryv1.Tenant) error {
		list, err := c.Read.ListUsers(ctx, &directoryv1.ListUsersRequest{TenantId: t.GetTenantId()})
		for _, u := range list.GetUsers() {
			factors := words(u.GetMethods())
			if u.GetFederated() {
				factors = "signs in elsewhere"
			}
			l.add(u, u.GetUserPrincipalName(), u.GetDisplayName(), yes(u.GetEnabled()), yes(u.GetMayJoin()), yes(u.GetAdministrator()), factors, u.GetUserId())
		}
		return err
	})
	return l, err
}

// Devices lists the devices of the tenants that are meant.
func (c *Client) Devices(ctx context.Context, tenant string) (List, error) {
	l := List{Head: []string{"device", "name", "trust", "system", "enabled", "compliant", "registered by", "at"}}
	err := c.each(ctx, tenant, func(t *directoryv1.Tenant) error {
		list, err := c.Read.ListDevices(ctx, &directoryv1.ListDevicesRequest{TenantId: t.GetTenantId()})
		for _, d := range list.GetDevices() {
			trust := d.GetTrustType()
			if d.GetPending() {
				trust += " (pending)"
			}
			l.add(d, d.GetDeviceId(), d.GetDisplayName(), trust, strings.TrimSpace(d.GetDeviceType()+" "+d.GetOsVersion()),
				yes(d.GetEnabled()), yes(d.GetCompliant()), d.GetRegisteredBy(), when(d.GetRegisteredAt()))
		}
		return err
	})
	return l, err
}

// Applications lists the applications of the tenants that are meant; those that
// every tenant has only when they are asked for.
func (c *Client) Applications(ctx context.Context, tenant string, builtIn bool) (List, error) {
	l := List{Head: []string{"tenant", "application", "name", "kind", "redirect addresses"}}
	err := c.each(ctx, tenant, func(t *directoryv1.Tenant) error {
		list, err := c.Read.ListApplications(ctx, &directoryv1.ListApplicationsRequest{TenantId: t.GetTenantId()})
		for _, a := range list.GetApplications() {
			if a.GetBuiltIn() && !builtIn {
				continue
			}
			l.add(a, domain(t), a.GetClientId(), a.GetName(), kind(a), words(append(a.GetRedirectUris(), a.GetSpaRedirectUris()...)))
		}
		return err
	})
	return l, err
}

func kind(a *directoryv1.Application) string {
	k := "public"
	if a.GetConfidential() {
		k = "confidential"
	}
	if len(a.GetSpaRedirectUris()) > 0 {
		k += ", in browsers"
	}
	if a.GetBuiltIn() {
		k += ", built in"
	}
	return k
}

// SignIns lists the newest events of the sign-in log, oldest first; limit 0 is
// the server's.
func (c *Client) SignIns(ctx context.Context, tenant string, limit int) (List, error) {
	l := List{Head: []string{"at", "flow", "user", "device", "client", "outcome", "code", "policies", "reason"}}
	req := &directoryv1.ListSignInsRequest{Limit: int32(min(max(limit, 0), 1000))}
	if tenant != "" {
		var err error
		if req.TenantId, err = c.Tenant(ctx, tenant); err != nil {
			return l, err
		}
	}
	list, err := c.Read.ListSignIns(ctx, req)
	for _, e := range list.GetSignIns() {
		code := ""
		if e.GetErrorCode() != 0 {
			code = strconv.Itoa(int(e.GetErrorCode()))
		}
		l.add(e, when(e.GetAt()), e.GetFlow(), e.GetUserPrincipalName(), e.GetDeviceId(), e.GetClientId(), e.GetOutcome(), code, appliedIn(e.GetPolicies()), e.GetReason())
	}
	return l, err
}

func words(list []string) string { return strings.Join(list, " ") }

func but(include, exclude []string) string {
	if len(exclude) == 0 {
		return words(include)
	}
	return words(include) + " but " + words(exclude)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04:05Z")
}
