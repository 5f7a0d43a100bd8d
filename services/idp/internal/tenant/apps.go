package tenant

import (
	"fmt"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/ids"
)

func (d *document) resources(at string, f fileTenant, _ *Tenant) error {
	for i, r := range f.Resources {
		if u, err := url.Parse(r); err != nil || u.Scheme == "" || !short(r) {
			return d.errorf(fmt.Sprintf("%s.resources[%d]", at, i), "is not an absolute URI")
		}
	}
	return nil
}

func (d *document) applications(at string, f fileTenant, t *Tenant) error {
	for i, fa := range f.Applications {
		here := fmt.Sprintf("%s.applications[%d]", at, i)
		id, err := ids.ParseClient(fa.ClientID)
		if err != nil {
			return d.errorf(here+".client_id", "is not right: %v", err)
		}
		if _, twice := t.Application(id); twice {
			return d.errorf(here+".client_id", "stands twice in the tenant")
		}
		if !short(fa.Name) {
			return d.errorf(here+".name", "is not 1 to 256 characters")
		}
		for j, uri := range fa.RedirectURIs {
			if u, err := url.Parse(uri); err != nil || u.Scheme == "" || u.Fragment != "" || len(uri) > 2048 {
				return d.errorf(fmt.Sprintf("%s.redirect_uris[%d]", here, j), "is not an absolute URI without fragment")
			}
		}
		for j, r := range fa.Resources {
			if known, ok := t.Resource(r); !ok || known != r {
				return d.errorf(fmt.Sprintf("%s.resources[%d]", here, j), "is not one of the tenant's resources")
			}
		}
		t.Applications = append(t.Applications, Application{ID: id, Name: fa.Name, RedirectURIs: fa.RedirectURIs, Resources: fa.Resources})
	}
	return nil
}
