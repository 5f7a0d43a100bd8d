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
		return noPolicies(), nil
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

func noPolicies() []byte { return []byte("policies: []\n") }

// ownPolicies is what a tenant file has of a policy file.
type ownPolicies struct {
	ID        string `yaml:"id"`
	Policies  []any  `yaml:"policies"`
	Strengths []any  `yaml:"strengths"`
	Locations []any  `yaml:"locations"`
}

// OwnPolicies are the policies of the tenant file, as a policy file.
func (w *World) OwnPolicies() ([]byte, error) {
	var file struct {
		Tenants []ownPolicies `yaml:"tenants"`
	}
	if err := yaml.Unmarshal(w.cfg.Tenants, &file); err != nil {
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
	r, err := w.cloud.admin.ReplacePolicies(ctx, &directoryv1.ReplacePoliciesRequest{TenantId: string(w.cloud.tenant.ID), Document: document})
	if err != nil {
		return fmt.Errorf("policy file: %w", err)
	}
	w.ruled = r.GetPolicies() > 0
	return nil
}
