package whatif

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

//go:embed policies/*.yaml
var shipped embed.FS

// NoPolicies is the policy file of a tenant without any.
const NoPolicies = "none"

// PolicyFiles names the policy files that are embedded, without their extension.
func PolicyFiles() ([]string, error) {
	all, err := fs.Glob(shipped, "policies/*.yaml")
	for i, p := range all {
		all[i] = strings.TrimSuffix(path.Base(p), ".yaml")
	}
	return all, err
}

// PolicyFile reads a policy file: an embedded one by its name, NoPolicies, or one at a
// path.
func PolicyFile(name string) ([]byte, error) {
	if name == NoPolicies {
		return []byte("policies: []\n"), nil
	}
	if text, err := shipped.ReadFile("policies/" + strings.TrimSuffix(name, ".yaml") + ".yaml"); err == nil {
		return text, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		known, _ := PolicyFiles()
		return nil, fmt.Errorf("policy file %s: there is none at that path, and none of that name: %s, %s", name, strings.Join(known, ", "), NoPolicies)
	}
	return text, err
}

// ownPolicies is what a tenant file has of a policy file.
type ownPolicies struct {
	ID        string `yaml:"id"`
	Policies  []any  `yaml:"policies"`
	Strengths []any  `yaml:"strengths"`
	Locations []any  `yaml:"locations"`
}

// OwnPolicies are the policies of the tenant file, as a policy file.
func (w *World) OwnPolicies() ([]byte, error) {
	text := w.cfg.Tenants
	if text == nil {
		text = People()
	}
	var file struct {
		Tenants []ownPolicies `yaml:"tenants"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("tenant file: %w", err)
	}
	i := slices.IndexFunc(file.Tenants, func(t ownPolicies) bool { return strings.EqualFold(t.ID, string(w.cloud.tenant.ID)) })
	if i < 0 {
		return nil, errors.New("tenant file: the tenant is not in it")
	}
	t := file.Tenants[i]
	return yaml.Marshal(map[string]any{"policies": orEmpty(t.Policies), "strengths": orEmpty(t.Strengths), "locations": orEmpty(t.Locations)})
}

// Apply puts a policy file in force, in the place of all policies that are.
func (w *World) Apply(ctx context.Context, document []byte) error {
	var file struct {
		Policies []struct {
			ID               string   `yaml:"id"`
			Name             string   `yaml:"name"`
			State            string   `yaml:"state"`
			IncludeUsers     []string `yaml:"include_users"`
			ExcludeUsers     []string `yaml:"exclude_users"`
			IncludeResources []string `yaml:"include_resources"`
			ExcludeResources []string `yaml:"exclude_resources"`
			Clients          []string `yaml:"clients"`
			Grant            string   `yaml:"grant"`
		} `yaml:"policies"`
	}
	if err := yaml.Unmarshal(document, &file); err != nil {
		return fmt.Errorf("policy file: %w", err)
	}
	tenant := string(w.cloud.tenant.ID)
	old, err := w.cloud.read.ListPolicies(ctx, &directoryv1.ListPoliciesRequest{TenantId: tenant})
	if err != nil {
		return err
	}
	for _, p := range old.GetPolicies() {
		if _, err := w.cloud.admin.DeletePolicy(ctx, &directoryv1.DeletePolicyRequest{TenantId: tenant, PolicyId: p.GetPolicyId()}); err != nil {
			return err
		}
	}
	for _, p := range file.Policies {
		put := &directoryv1.Policy{
			PolicyId: p.ID, Name: p.Name, State: p.State, IncludeUsers: p.IncludeUsers, ExcludeUsers: p.ExcludeUsers,
			IncludeResources: p.IncludeResources, ExcludeResources: p.ExcludeResources, Clients: p.Clients, Grant: p.Grant,
		}
		if _, err := w.cloud.admin.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: tenant, Policy: put}); err != nil {
			return fmt.Errorf("policy %s: %w", p.Name, err)
		}
	}
	return nil
}

// Tenant is the directory of the people.
func (w *World) Tenant() idp.Tenant { return w.cloud.tenant }
