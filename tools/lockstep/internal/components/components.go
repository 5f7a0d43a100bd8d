// Package components is the one list of the components that this binary holds.
package components

import (
	"maps"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/adfs"
	"github.com/lockstep-sso/lockstep/services/dsreg"
	"github.com/lockstep-sso/lockstep/services/idp"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
)

// Wires gives the wiring of each component by its name.
func Wires() map[string]run.Wire {
	return map[string]run.Wire{
		"adfs":        adfs.Wire,
		"dsreg":       dsreg.Wire,
		"idp":         idp.Wire,
		"lsa-cloudap": lsacloudap.Wire,
		"tpm-agent":   tpmagent.Wire,
		"wam-broker":  wambroker.Wire,
	}
}

// Names lists the components in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(Wires())) }
