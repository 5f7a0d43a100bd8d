// Package list reads the list of images, deploy/images/images.txt, and builds the
// programs in them. The one place where it is decided how a program of an image is
// compiled is here; callers are the commands of this tool.
package list

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Path of the list in the repository.
const Path = "deploy/images/images.txt"

// Image is one line.
type Image struct {
	Name string
	// Module is the folder of the module, Package the program in it.
	Module, Package string
	// Args are what the entry point begins with, after the program.
	Args []string
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// Read reads the list of the repository at root; only keeps some of it, and names all
// that it wants; empty keeps all.
func Read(root string, only []string) ([]Image, error) {
	raw, err := os.ReadFile(filepath.Join(root, Path))
	if err != nil {
		return nil, err
	}
	all, err := Parse(string(raw))
	if err != nil || len(only) == 0 {
		return all, err
	}
	for _, name := range only {
		if !slices.ContainsFunc(all, func(i Image) bool { return i.Name == name }) {
			return nil, fmt.Errorf("%s: there is no image %s", Path, name)
		}
	}
	return slices.DeleteFunc(all, func(i Image) bool { return !slices.Contains(only, i.Name) }), nil
}

// Parse reads the text of a list.
func Parse(text string) (all []Image, err error) {
	for n, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) < 3 || !validName.MatchString(f[0]) || !filepath.IsLocal(f[1]) || !filepath.IsLocal(f[2]) {
			return nil, fmt.Errorf("%s:%d: not of the form NAME MODULE PACKAGE [ARGUMENT...]", Path, n+1)
		}
		if slices.ContainsFunc(all, func(i Image) bool { return i.Name == f[0] }) {
			return nil, fmt.Errorf("%s:%d: %s stands twice", Path, n+1, f[0])
		}
		all = append(all, Image{Name: f[0], Module: f[1], Package: f[2], Args: f[3:]})
	}
	return all, nil
}

// Build compiles the program of an image to a file: static, without a path of this
// machine or the state of a checkout in it, so that the same sources and the same Go
// give the same bytes everywhere.
func (i Image) Build(ctx context.Context, root, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", file, i.Package) //nolint:gosec // G204: the package is of the repository's own list
	cmd.Dir = filepath.Join(root, i.Module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: go build %s: %w\n%s", i.Name, i.Package, err, out.String())
	}
	return nil
}
