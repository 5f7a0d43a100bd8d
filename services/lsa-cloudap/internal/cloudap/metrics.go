package cloudap

import (
	"context"

	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// counted is an end of an attempt that counts it as well.
func (c *CloudAP) counted(ctx context.Context, kind partition.Kind, ended func(error)) func(error) {
	return func(err error) {
		c.cfg.Meter.Acquired(ctx, credentialLabel(kind), err)
		ended(err)
	}
}

// countedRenewal is the same for a renewal of p.
func (c *CloudAP) countedRenewal(ctx context.Context, p partition.Partition, ended func(error)) func(error) {
	return func(err error) {
		c.cfg.Meter.Renewed(ctx, credentialLabel(p.Kind), p.Age(c.cfg.Clock.Now()), err)
		ended(err)
	}
}

// credentialLabel is a kind as a label of metrics, in the words of pkg/authority.
func credentialLabel(k partition.Kind) string {
	switch k {
	case partition.Password:
		return "password"
	case partition.Hello:
		return "hello"
	case partition.SmartCard:
		return "smartcard"
	case partition.FIDO:
		return "fido"
	case partition.AccessPass:
		return "tap"
	default:
		return "web"
	}
}
