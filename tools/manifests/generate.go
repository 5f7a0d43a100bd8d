package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
)

//go:embed templates
var templates embed.FS

// standIn is what the files of one stand-in differ in.
type standIn struct {
	Name, Namespace string
	// Device says that it is a device's: several have a component of that name.
	Device bool
}

// standInsOf are the components that a stand-in can take the place of.
func standInsOf() []standIn {
	all := []standIn{{"idp", "lockstep-cloud", false}, {"adfs", "lockstep-cloud", false}}
	for _, name := range []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore"} {
		all = append(all, standIn{name, "lockstep-device-1", true})
	}
	return all
}

// generated are the files of all stand-ins, by path below deploy/. Kustomize has no
// parameters: what differs in a name alone is written by this, and a test holds the files
// to it.
func generated() (map[string]string, error) {
	files := map[string]string{}
	for _, s := range standInsOf() {
		for name, path := range map[string]string{
			"kustomization.yaml":          "components/faulty-" + s.Name + "/kustomization.yaml",
			"stand-in_kustomization.yaml": "components/faulty-" + s.Name + "/stand-in/kustomization.yaml",
			"stand-in_policies.yaml":      "components/faulty-" + s.Name + "/stand-in/policies.yaml",
			"stand-in_stand-in.yaml":      "components/faulty-" + s.Name + "/stand-in/stand-in.yaml",
			"overlay.yaml":                "overlays/faulty-" + s.Name + "/kustomization.yaml",
		} {
			t, err := template.ParseFS(templates, "templates/"+name+".tmpl")
			if err != nil {
				return nil, err
			}
			var text strings.Builder
			if err := t.Execute(&text, s); err != nil {
				return nil, err
			}
			files[path] = text.String()
		}
	}
	return files, nil
}

func generateCommand(root *string) *cobra.Command {
	return &cobra.Command{
		Use: "generate", Short: "Write the components and overlays of stand-ins", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			files, err := generated()
			if err != nil {
				return err
			}
			for path, text := range files {
				full := filepath.Join(*root, "deploy", filepath.FromSlash(path))
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil { //nolint:gosec // a folder of the repository
					return fmt.Errorf("write %s: %w", path, err)
				}
				if err := os.WriteFile(full, []byte(text), 0o644); err != nil { //nolint:gosec // a file of the repository
					return fmt.Errorf("write %s: %w", path, err)
				}
			}
			return nil
		},
	}
}
