package cloudap

import "github.com/lockstep-sso/lockstep/pkg/durable"

// Cache is how the cache on disk is.
type Cache struct {
	// Quarantined files are kept aside and not used.
	Quarantined []durable.Quarantined
}

// Cache tells how the cache on disk is.
func (c *CloudAP) Cache() Cache { return Cache{Quarantined: c.files.Quarantined()} }
