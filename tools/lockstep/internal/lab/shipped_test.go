package lab_test

import (
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// The files that the player of a cluster mounts are ones that this reads, with as many
// devices as the overlay has.
func TestShippedDeployments(t *testing.T) {
	deploy := filepath.Join("..", "..", "..", "..", "deploy")
	replicas := filepath.Join("components", "idp-replicas")
	for path, devices := range map[string]int{filepath.Join("base", "player"): 1, filepath.Join("overlays", "two-devices"): 2, replicas: 1} {
		d, err := lab.ReadDeployment(filepath.Join(deploy, path, "deployment.yaml"))
		if err != nil || len(d.Devices) != devices {
			t.Errorf("%s: %+v, %v", path, d, err)
			continue
		}
		if want := map[string]int{replicas: 3}[path]; len(d.Replicas["idp"]) != want {
			t.Errorf("%s: %d replicas of idp, want %d", path, len(d.Replicas["idp"]), want)
		}
	}
}
