// Package aadplugin is the Azure AD plug-in of CloudAP: the one room of this
// service that knows the identity provider's protocol.
//
// What lives here: the plug-in contract before pkg/authority, which is what every
// authority of a PRT does, and what the logon of Windows alone does: realms and the
// federation provider, each kind of credential, pages for Windows Hello, and the checks
// of these answers. What never may: a key (the tpm-agent signs and opens), a file, a
// timer, or memory of anything between two calls; all of that is the framework's.
// The framework calls it over prt.cloudap.v1, and so could another framework.
package aadplugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/eventlog"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Config is what the plug-in needs.
type Config struct {
	// TPM, Dsreg and IdP are connections to the components of these names.
	TPM, Dsreg, IdP grpc.ClientConnInterface
	// Federation is the federation provider; nil when there is none.
	Federation grpc.ClientConnInterface
	// SignInURL is the base address of sign-in pages, https and a host.
	SignInURL string
	// Events gets the requests that leave the device and their failures; nil drops them.
	Events *eventlog.Log
	// CallTimeout bounds each call to another component.
	CallTimeout time.Duration
}

// Plugin implements the plug-in contract.
type Plugin struct {
	prt        *authority.Authority
	device     device
	cloud      cloud
	federation federation
}

// New checks the configuration.
func New(cfg Config) (*Plugin, error) {
	if cfg.TPM == nil || cfg.Dsreg == nil || cfg.IdP == nil {
		return nil, errors.New("azure ad plug-in: TPM, Dsreg and IdP are all needed")
	}
	cfg.IdP, cfg.Federation = watch(cfg.IdP, cfg.Events, eventServerError), watch(cfg.Federation, cfg.Events, eventWSTrustError)
	prt, err := authority.New(authority.Config{TPM: cfg.TPM, IdP: cfg.IdP, SignInURL: cfg.SignInURL, CallTimeout: cfg.CallTimeout})
	if err != nil {
		return nil, fmt.Errorf("azure ad plug-in: %w", err)
	}
	p := &Plugin{
		prt: prt,
		device: device{
			hello: tpmv1.NewHelloKeyServiceClient(cfg.TPM),
			state: dsregv1.NewDeviceStateServiceClient(cfg.Dsreg), timeout: cfg.CallTimeout,
		},
		cloud: cloud{
			realms: idpv1.NewRealmServiceClient(cfg.IdP), devices: idpv1.NewDeviceRegistrationServiceClient(cfg.IdP),
			pinReset: idpv1.NewPINResetServiceClient(cfg.IdP), timeout: cfg.CallTimeout,
		},
		federation: federation{timeout: cfg.CallTimeout},
	}
	if cfg.Federation != nil {
		p.federation.service = federationv1.NewFederationServiceClient(cfg.Federation)
	}
	return p, nil
}

// Register serves the plug-in contract.
func (p *Plugin) Register(r grpc.ServiceRegistrar) {
	cloudapv1.RegisterPluginServiceServer(r, &edge{plugin: p})
}

// call runs one call to another component within its time.
func call[Req, Resp any](ctx context.Context, timeout time.Duration, do func(context.Context, *Req, ...grpc.CallOption) (*Resp, error), req *Req) (*Resp, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx, req)
}
