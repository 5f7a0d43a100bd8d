// Package settings reads what the environment says of the cluster. Its names are the
// documented ones; deploy/README.md has them.
// What never may live here: a default that depends on the machine. Every command calls it.
package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Settings are one run's.
type Settings struct {
	// Root is the repository.
	Root string
	// Name of the cluster (KIND_CLUSTER), its file (KIND_CONFIG) and the image of its
	// nodes (KIND_NODE_IMAGE), which is the file's when it is empty.
	Name, Config, NodeImage string
	// Prefix is put before kind and kubectl (KIND_RUN).
	Prefix []string
	// Patience multiplies every time limit (KIND_PATIENCE), for slow machines.
	Patience int
	// Etcd, APIServer and Kubectl are programs for the bare API server (ETCD_BIN,
	// APISERVER_BIN, KUBECTL_BIN); empty ones are built.
	Etcd, APIServer, Kubectl string
}

// mostPatience keeps a misread number from waiting for days.
const mostPatience = 20

// Read reads the settings; root is the repository's folder.
func Read(root string) (Settings, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return Settings{}, fmt.Errorf("root: %w", err)
	}
	if _, err := os.Stat(filepath.Join(abs, "deploy", "kind", "cluster.yaml")); err != nil {
		return Settings{}, fmt.Errorf("%s is not the repository (-C or --root names it): %w", abs, err)
	}
	s := Settings{
		Root: abs, Name: os.Getenv("KIND_CLUSTER"), Config: os.Getenv("KIND_CONFIG"), NodeImage: os.Getenv("KIND_NODE_IMAGE"),
		Prefix: strings.Fields(os.Getenv("KIND_RUN")), Patience: 1,
		Etcd: os.Getenv("ETCD_BIN"), APIServer: os.Getenv("APISERVER_BIN"), Kubectl: os.Getenv("KUBECTL_BIN"),
	}
	if s.Name == "" {
		s.Name = "lockstep"
	}
	if s.Config == "" {
		s.Config = filepath.Join(abs, "deploy", "kind", "cluster.yaml")
	}
	if p := os.Getenv("KIND_PATIENCE"); p != "" {
		if _, err := fmt.Sscanf(p, "%d", &s.Patience); err != nil || s.Patience < 1 || s.Patience > mostPatience {
			return Settings{}, errors.New("KIND_PATIENCE is a number from 1 to 20: time limits are multiplied by it")
		}
	}
	return s, nil
}

// Context of the kubeconfig, as kind names it.
func (s Settings) Context() string { return "kind-" + s.Name }

// Overlay is the folder of an overlay.
func (s Settings) Overlay(name string) string {
	return filepath.Join(s.Root, "deploy", "overlays", name)
}

// Within is a time limit with the patience that was asked for.
func (s Settings) Within(d time.Duration) time.Duration { return d * time.Duration(s.Patience) }
