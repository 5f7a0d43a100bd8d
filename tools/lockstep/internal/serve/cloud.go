package serve

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/adfs"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// The built-in organisation: its domain, and the name of its federation provider.
const federatedDomain, stsHost = "adatum.test", "sts.adatum.test"

// cloud are the services behind the HTTPS listener.
type cloud struct {
	idp *idp.Service
	// adfs is nil when the tenant file has no use for the built-in organisation.
	adfs *adfs.Service

	end   sync.Once
	ended error
}

// newCloud makes the services. What the identity provider issued outlives a
// restart on a state folder that was asked for; the federation provider's key is
// new at every start, and the identity provider is told.
func newCloud(cfg Config) (*cloud, error) {
	file := idp.Config{Clock: cfg.clock(), Log: cfg.Log, Persons: true, StateDir: cfg.State}
	if cfg.Tenants != "" {
		yaml, err := os.ReadFile(cfg.Tenants)
		if err != nil {
			return nil, fmt.Errorf("tenant file: %w", err)
		}
		file.Tenants = yaml
	}
	service, err := idp.New(file)
	if err != nil {
		return nil, err
	}
	c := &cloud{idp: service}
	if c.federates() {
		if err := c.federate(cfg); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// federates says whether the tenant file has the built-in organisation's domain,
// and leaves it to us to say whose certificate it trusts.
func (c *cloud) federates() bool {
	for _, t := range c.idp.Tenants() {
		for _, d := range t.Domains {
			if d.Name == federatedDomain && d.Federated != nil && d.Federated.Certificate == nil {
				return true
			}
		}
	}
	return false
}

func (c *cloud) federate(cfg Config) error {
	var err error
	if c.adfs, err = adfs.New(adfs.Config{Clock: cfg.clock(), Log: cfg.Log}); err != nil {
		return err
	}
	return c.idp.Trust(federatedDomain, c.adfs.SigningCertificate())
}

// wire puts the identity provider behind the operator's door.
func (c *cloud) wire(*run.Env) (*run.Component, error) {
	return &run.Component{Service: c, Allow: idp.Allow()}, nil
}

// Register implements run.Service.
func (c *cloud) Register(r grpc.ServiceRegistrar) { c.idp.Register(r) }

// Close ends the services, once.
func (c *cloud) Close() error {
	c.end.Do(func() {
		c.ended = c.idp.Close()
		if c.adfs != nil {
			c.ended = errors.Join(c.ended, c.adfs.Close())
		}
	})
	return c.ended
}

// handlers are what the host serves: the default, and by host name.
func (c *cloud) handlers() (http.Handler, map[string]http.Handler) {
	hosts := map[string]http.Handler{}
	if c.adfs != nil {
		hosts[stsHost] = c.adfs.Handler()
	}
	return c.idp.Handler(), hosts
}
