package tenant

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

func (d *document) policies(at string, f fileTenant, t *Tenant) error {
	for i, fp := range f.Policies {
		here := fmt.Sprintf("%s.policies[%d]", at, i)
		p := Policy{
			ID: fp.ID, Name: fp.Name, State: State(fp.State), Grant: Grant(fp.Grant), Flows: fp.Flows,
			IncludeUsers: fp.IncludeUsers, ExcludeUsers: fp.ExcludeUsers,
			IncludeResources: fp.IncludeResources, ExcludeResources: fp.ExcludeResources,
		}
		for j, c := range fp.Clients {
			id, err := ids.ParseClient(c)
			if err != nil {
				return d.errorf(fmt.Sprintf("%s.clients[%d]", here, j), "is not right: %v", err)
			}
			p.Clients = append(p.Clients, id)
		}
		if fp.SignInFrequency != "" {
			v, err := time.ParseDuration(fp.SignInFrequency)
			if err != nil || v < time.Minute || v > maxLifetime {
				return d.errorf(here+".sign_in_frequency", "is not a duration from 1m to 9600h, such as 24h")
			}
			p.SignInFrequency = v
		}
		if p.State == "" {
			p.State = Enabled
		}
		if field, problem := p.Problem(); problem != "" {
			return d.errorf(here+"."+field, "%s", problem)
		}
		if slices.ContainsFunc(t.Policies, func(o Policy) bool { return o.ID == p.ID }) {
			return d.errorf(here+".id", "stands twice in the tenant")
		}
		t.Policies = append(t.Policies, p)
	}
	return nil
}

// Problem is what is wrong with a policy: the field and why; empty when nothing is.
func (p Policy) Problem() (field, problem string) {
	_, err := uuid.Parse(p.ID)
	switch {
	case err != nil || len(p.ID) != 36:
		return "id", "is not a GUID of 36 characters"
	case !short(p.Name):
		return "name", "is not 1 to 256 characters"
	case !slices.Contains([]State{Enabled, Report, Disabled}, p.State):
		return "state", "is not one of enabled, report and disabled"
	case !slices.Contains([]Grant{GrantNone, GrantBlock, GrantMFA, GrantDevice, GrantCompliant}, p.Grant):
		return "grant", "is not one of block, mfa, device and compliant_device"
	case p.Grant == GrantNone && p.SignInFrequency == 0:
		return "grant", "is missing, and so is sign_in_frequency: a policy demands one of them"
	case len(p.IncludeUsers) == 0:
		return "include_users", "is empty: name users, groups, or All"
	case len(p.IncludeResources) == 0:
		return "include_resources", "is empty: name resources, or All"
	case p.SignInFrequency != 0 && (p.SignInFrequency < time.Minute || p.SignInFrequency > maxLifetime):
		return "sign_in_frequency", "is not from a minute to 9600 hours"
	case slices.ContainsFunc(p.Flows, func(f string) bool { return f != FlowDeviceCode }):
		return "flows", "has another flow than device_code"
	}
	return "", ""
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
