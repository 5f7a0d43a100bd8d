package grants

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/policy"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Caller is what an edge saw of who asks. Nothing in it is proof of anything.
type Caller struct {
	// IPAddress and UserAgent are empty when the edge saw none.
	IPAddress, UserAgent string
}

type callerKey struct{}

// WithCaller gives what the edge saw to whoever collects facts further in. It goes
// with the context, so that no form or grant can forget to pass it on.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is what the edge saw; nothing outside of a request.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Ask is a question to the policies, as whoever is about to issue something has it.
type Ask struct {
	Tenant   *tenant.Tenant
	User     store.User
	App      tenant.Application
	Kind     tenant.ClientApp
	Resource tenant.Resource
	Contexts []string
	// Device that authenticated and stands; nil is none.
	Device *store.Device
	// From is how and when the user proved who they are.
	From sealed.Artefact
	// Bound says that what is issued is worth nothing without a key of the device.
	Bound bool
	// Page says that a page asks.
	Page bool
	// IDToken says that an ID token for the application comes of it, now or with the
	// code.
	IDToken bool
}

// Facts are the question in the words of the policies.
func (g *Gate) Facts(ctx context.Context, a Ask) policy.Facts {
	caller := CallerOf(ctx)
	f := policy.Facts{
		Tenant: a.Tenant, User: a.User.UPN, Client: a.App.ID, Resource: a.Resource, UserAction: tenant.ActionOf(a.Resource), Contexts: a.Contexts,
		App: a.Kind, Device: a.Device, Risk: tenant.Risk(a.User.Risk), Flow: flowOf(a.From), Used: a.From.Used,
		SignsIn: a.IDToken && a.Kind == tenant.Browser, AuthTime: a.From.AuthTime, MFATime: a.From.FactorTime(), Bound: a.Bound, Page: a.Page, Now: g.Clock.Now(),
	}
	if a.From.MFAKept != 0 {
		f.Kept = time.Unix(a.From.MFAKept, 0)
	}
	deviceType := ""
	if a.Device != nil {
		deviceType = a.Device.Type
	}
	f.Platform = policy.PlatformOf(deviceType, caller.UserAgent)
	if ip, err := netip.ParseAddr(caller.IPAddress); err == nil {
		f.IP = ip.Unmap().WithZone("")
	}
	registered := Registered(a.User)
	f.NoMethod = len(registered) == 0
	f.Registering = f.NoMethod && f.UserAction == tenant.RegisterSecurityInfo
	return f
}

// flowOf is the flow that policies know, by where the sign-in came from.
func flowOf(a sealed.Artefact) string {
	switch a.Origin {
	case tenant.FlowDeviceCode, tenant.FlowTransfer:
		return a.Origin
	}
	return ""
}

// Registered are the methods that a user could prove a second factor with.
func Registered(u store.User) []methods.Method {
	var out []methods.Method
	add := func(has bool, list ...methods.Method) {
		if has {
			out = append(out, list...)
		}
	}
	add(len(u.Push) > 0, methods.Push)
	add(u.SignsInByPhone(), methods.PhoneSignIn)
	add(!u.TOTPSecret.Empty(), methods.SoftwareOATH)
	add(u.Phone != "", methods.SMS, methods.Voice)
	add(len(u.Passkeys) > 0, methods.FIDO2)
	add(len(u.HelloKeys) > 0, methods.WindowsHello)
	return out
}

// KindOf is the kind of client that an application is: one that runs in a browser
// when it is code of a page, when it keeps a secret on a server, or when all of its
// addresses are of web sites.
func KindOf(app tenant.Application, spa bool) tenant.ClientApp {
	web := len(app.RedirectURIs) > 0
	for _, uri := range app.RedirectURIs {
		web = web && strings.HasPrefix(uri, "https://") && !strings.HasSuffix(uri, "/nativeclient") && !strings.HasPrefix(uri, "https://localhost")
	}
	if spa || app.Confidential() || web {
		return tenant.Browser
	}
	return tenant.Native
}
