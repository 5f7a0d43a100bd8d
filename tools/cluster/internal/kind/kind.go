// Package kind makes and removes a cluster of kind, and brings images into its nodes.
// What never may live here: an object of Kubernetes. The commands up, down and test call it.
package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

const (
	// createWithin bounds making the cluster without the pull of its image: 42 s were
	// seen on two cores.
	createWithin = 10 * time.Minute
	// pullWithin bounds the pull of one image; that of a node has 400 MB.
	pullWithin = 15 * time.Minute
	// loadWithin bounds bringing images into the nodes.
	loadWithin = 10 * time.Minute
	// ownImages is what the names of the images begin with that `make images` builds.
	ownImages = "lockstep/"
)

// Config says which cluster.
type Config struct {
	Shell *sh.Shell
	// Name of the cluster, its File, and the Image of its nodes; empty is the file's.
	Name, File, Image string
	// Archives is a folder with images as archives, NAME.tar, for machines that built
	// them without docker.
	Archives string
	// Patience multiplies the time limits.
	Patience int
	// Log gets what kind and docker say.
	Log io.Writer
}

// Kind is a cluster of kind.
type Kind struct{ cfg Config }

// New makes a Kind.
func New(cfg Config) *Kind { return &Kind{cfg: cfg} }

func (k *Kind) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d*time.Duration(max(k.cfg.Patience, 1)), fmt.Errorf("not done after %s", d*time.Duration(max(k.cfg.Patience, 1))))
}

// Exists says whether the cluster is there.
func (k *Kind) Exists(ctx context.Context) (bool, error) {
	out, err := k.cfg.Shell.Output(ctx, "kind", "get", "clusters")
	if err != nil {
		return false, err
	}
	return slices.Contains(strings.Fields(string(out)), k.cfg.Name), nil
}

// NodeImage is the image of the nodes: that of the settings, or the file's.
func (k *Kind) NodeImage() (string, error) {
	if k.cfg.Image != "" {
		return k.cfg.Image, nil
	}
	text, err := os.ReadFile(k.cfg.File)
	if err != nil {
		return "", fmt.Errorf("file of the cluster: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if image, ok := strings.CutPrefix(strings.TrimLeft(line, " -"), "image:"); ok {
			return strings.TrimSpace(image), nil
		}
	}
	return "", fmt.Errorf("%s names no image for its nodes: set KIND_NODE_IMAGE", k.cfg.File)
}

// Create makes the cluster. Its nodes need not be ready when it returns: images can be
// brought in before.
func (k *Kind) Create(ctx context.Context) error {
	image, err := k.NodeImage()
	if err != nil {
		return err
	}
	if err := k.Have(ctx, image); err != nil {
		return err
	}
	ctx, cancel := k.within(ctx, createWithin)
	defer cancel()
	args := []string{"create", "cluster", "--name", k.cfg.Name, "--config", k.cfg.File, "--image", image}
	return k.cfg.Shell.Run(ctx, sh.Job{Name: "kind", Args: args, Out: k.cfg.Log, Err: k.cfg.Log})
}

// Delete removes the cluster with all that is in it.
func (k *Kind) Delete(ctx context.Context) error {
	ctx, cancel := k.within(ctx, createWithin)
	defer cancel()
	return k.cfg.Shell.Run(ctx, sh.Job{Name: "kind", Args: []string{"delete", "cluster", "--name", k.cfg.Name}, Out: k.cfg.Log, Err: k.cfg.Log})
}

// Nodes are the names of the containers that are nodes.
func (k *Kind) Nodes(ctx context.Context) ([]string, error) {
	out, err := k.cfg.Shell.Output(ctx, "kind", "get", "nodes", "--name", k.cfg.Name)
	return strings.Fields(string(out)), err
}

// Have sees to it that docker has an image: it is there, or it is pulled.
func (k *Kind) Have(ctx context.Context, image string) error {
	if _, err := k.cfg.Shell.Output(ctx, "docker", "image", "inspect", "--format", "{{.Id}}", image); err == nil {
		return nil
	}
	if strings.HasPrefix(image, ownImages) {
		return fmt.Errorf("docker has no image %s: `make images` builds it", image)
	}
	_, _ = fmt.Fprintf(k.cfg.Log, "pulling %s\n", image)
	ctx, cancel := k.within(ctx, pullWithin)
	defer cancel()
	if err := k.cfg.Shell.Run(ctx, sh.Job{Name: "docker", Args: []string{"pull", "--quiet", image}}); err != nil {
		return fmt.Errorf("the image %s is not here and cannot be pulled; `docker load` brings it from a file: %s", image, sh.Said(err))
	}
	return nil
}

// Digests are what docker has behind the names of images; those that it has not are left out.
func (k *Kind) Digests(ctx context.Context, images []string) map[string]string {
	found := map[string]string{}
	for _, image := range images {
		if out, err := k.cfg.Shell.Output(ctx, "docker", "image", "inspect", "--format", "{{.Id}}", image); err == nil {
			found[image] = strings.TrimSpace(string(out))
		}
	}
	return found
}

// Load brings images into the nodes. Those that docker has not are taken from the
// archives, and pulled when there is none.
func (k *Kind) Load(ctx context.Context, images []string) error {
	var here, missing []string
	for _, image := range images {
		archive := k.archive(image)
		_, err := k.cfg.Shell.Output(ctx, "docker", "image", "inspect", "--format", "{{.Id}}", image)
		switch {
		case err == nil:
			here = append(here, image)
		case archive != "":
			if err := k.load(ctx, "image-archive", archive); err != nil {
				return err
			}
		default:
			missing = append(missing, image)
		}
	}
	for _, image := range missing {
		if err := k.Have(ctx, image); err != nil {
			return err
		}
		here = append(here, image)
	}
	if len(here) == 0 {
		return nil
	}
	return k.load(ctx, "docker-image", here...)
}

func (k *Kind) load(ctx context.Context, how string, what ...string) error {
	ctx, cancel := k.within(ctx, loadWithin)
	defer cancel()
	args := append([]string{"load", how, "--name", k.cfg.Name}, what...)
	return k.cfg.Shell.Run(ctx, sh.Job{Name: "kind", Args: args})
}

// archive is the file with an image of ours, or empty.
func (k *Kind) archive(image string) string {
	name, ours := strings.CutPrefix(image, ownImages)
	name, _, _ = strings.Cut(name, ":")
	path := filepath.Join(k.cfg.Archives, name+".tar")
	if !ours || k.cfg.Archives == "" {
		return ""
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// CanBeHad says why there can be no cluster, or nil: the image of the nodes is here or
// can be pulled.
func (k *Kind) CanBeHad(ctx context.Context) error {
	if exists, err := k.Exists(ctx); err != nil || exists {
		return err
	}
	image, err := k.NodeImage()
	if err != nil {
		return errors.Join(errors.New("no image for the nodes"), err)
	}
	return k.Have(ctx, image)
}
