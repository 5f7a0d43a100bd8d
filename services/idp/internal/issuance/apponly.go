package issuance

import (
	"crypto/sha256"
	"slices"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// AppGrant is what the token of an application for itself depends on.
type AppGrant struct {
	Tenant *tenant.Tenant
	Client Client
	// Version of the endpoint, 1 or 2.
	Version  int
	Resource tenant.Resource
	// KeyID of the key that the token is bound to, or empty.
	KeyID string
}

// AppToken makes an access token of an application that acts for itself: idtyp is
// app, there are roles and there is nobody's name in it.
func (a *Authority) AppToken(n AppGrant) (Tokens, error) {
	now := a.clock.Now()
	out := Tokens{Issued: now, Lifetime: accessLifetime(n.Tenant.Lifetimes.AccessToken)}
	g := Grant{Tenant: n.Tenant, Client: n.Client, Version: n.Version, Resource: &n.Resource, KeyID: n.KeyID}
	c := g.envelope(now, out.Lifetime)
	c.IDTyp, c.IDP, c.Roles = "app", issuer(n.Tenant.ID), slices.Clone(n.Client.AppRoles)
	c.OID = ServicePrincipal(n.Tenant.ID, n.Client.ID)
	c.Sub = c.OID
	var err error
	out.Access, err = a.signClaims(c)
	return out, err
}

// ServicePrincipal is the object id of an application in a tenant. The directory
// keeps no object for it, so the id follows from both names.
func ServicePrincipal(t ids.TenantID, client ids.ClientID) string {
	sum := sha256.Sum256([]byte("service principal|" + string(t) + "|" + string(client)))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8, RFC 9562 section 5.8
	return id.String()
}

// DeviceGrant is what the token of a device for itself depends on.
type DeviceGrant struct {
	Tenant   *tenant.Tenant
	Device   store.Device
	Client   Client
	Resource tenant.Resource
}

// DeviceToken makes an access token of a device that acts for itself: it names
// the device, and no user.
func (a *Authority) DeviceToken(n DeviceGrant) (Tokens, error) {
	now := a.clock.Now()
	out := Tokens{Issued: now, Lifetime: accessLifetime(n.Tenant.Lifetimes.AccessToken)}
	g := Grant{Tenant: n.Tenant, Client: n.Client, Version: 1, Resource: &n.Resource}
	c := g.envelope(now, out.Lifetime)
	c.IDTyp, c.DeviceID, c.SignInState, c.AMR = "device", string(n.Device.ID), deviceState(n.Device), []string{"rsa"}
	if c.OID = n.Device.ObjectID; c.OID == "" {
		c.OID = string(n.Device.ID)
	}
	c.Sub = c.OID
	var err error
	out.Access, err = a.signClaims(c)
	return out, err
}
