package tenant

import (
	"fmt"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

func (d *document) policies(at string, f fileTenant, t *Tenant) error {
	return d.rulebook(at, f.Rules, t)
}

// known refuses policies that name what the whole tenant does not have.
func (d *document) known(at string, t *Tenant) error {
	for i, p := range t.Policies {
		if field, problem := t.Strangers(p, t.listed); problem != "" {
			return d.errorf(fmt.Sprintf("%s.policies[%d].%s", at, i, field), "%s", problem)
		}
	}
	return nil
}

func (d *document) devices(at string, f fileTenant, t *Tenant) error {
	for i, fd := range f.Devices {
		here := fmt.Sprintf("%s.devices[%d]", at, i)
		id, err := ids.ParseDevice(fd.ID)
		if err != nil {
			return d.errorf(here+".id", "is not right: %v", err)
		}
		if slices.ContainsFunc(t.Devices, func(o HybridDevice) bool { return o.ID == id }) {
			return d.errorf(here+".id", "stands twice in the tenant")
		}
		h := HybridDevice{ID: id, DisplayName: fd.DisplayName, SID: fd.SID}
		if field, problem := h.Problem(); problem != "" {
			return d.errorf(here+"."+field, "%s", problem)
		}
		if h.Certificate, err = certificate(fd.Certificate); err != nil {
			return d.errorf(here+".certificate", "%v", err)
		}
		t.Devices = append(t.Devices, h)
	}
	return nil
}

// Problem is what is wrong with the words of a synchronised device object: the
// field and why; empty when nothing is.
func (h HybridDevice) Problem() (field, problem string) {
	switch {
	case !short(h.DisplayName):
		return "display_name", "is not 1 to 256 characters"
	case !short(h.SID):
		return "sid", "is not 1 to 256 characters"
	}
	return "", ""
}
