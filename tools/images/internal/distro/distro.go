// Package distro takes programs of this machine's Debian with the libraries that they
// link, for images of what is not built from this repository. Which bytes those are is
// the distribution's doing: the packages and their versions are listed beside them.
// What never may live here: a program of ours. The command archives calls it.
package distro

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/images/internal/oci"
	"github.com/lockstep-sso/lockstep/tools/images/internal/sbom"
)

// Image is one of the distribution.
type Image struct {
	Spec     oci.Spec
	Packages []sbom.Package
}

// Names are the images that New makes.
func Names() []string { return []string{"postgres", "swtpm"} }

// New takes the files of an image from this machine.
func New(ctx context.Context, name string) (*Image, error) {
	switch name {
	case "postgres":
		return postgres(ctx)
	case "swtpm":
		return swtpm(ctx)
	default:
		return nil, fmt.Errorf("there is no image %s of the distribution", name)
	}
}

// swtpm is the TPM emulator, with the program as the entry point.
func swtpm(ctx context.Context) (*Image, error) {
	c := newCollection(ctx)
	c.program("/usr/bin/swtpm")
	return c.image(oci.Spec{Title: "swtpm", Entrypoint: []string{"/usr/bin/swtpm"}})
}

// collection is files on their way into an image.
type collection struct {
	ctx   context.Context
	files map[string]oci.File
	// real are the files of the machine that content came from.
	real []string
	err  error
}

func newCollection(ctx context.Context) *collection {
	return &collection{ctx: ctx, files: map[string]oci.File{}}
}

// program adds a program or library and what it links.
func (c *collection) program(path string) {
	c.file(path)
	if c.err != nil {
		return
	}
	out, err := output(c.ctx, "ldd", path)
	if err != nil {
		c.err = fmt.Errorf("ldd %s: %w", path, err)
		return
	}
	for line := range strings.Lines(string(out)) {
		lib, err := linked(line)
		if err != nil {
			c.err = fmt.Errorf("%s: %w", path, err)
			return
		}
		if _, have := c.files[lib]; lib != "" && !have {
			c.file(lib)
		}
	}
}

// linked is the file in a line of ldd, "" where there is none: the kernel's own.
func linked(line string) (string, error) {
	f := strings.Fields(line)
	switch {
	case strings.Contains(line, "not found"):
		return "", fmt.Errorf("a library is missing: %s", strings.TrimSpace(line))
	case len(f) >= 3 && f[1] == "=>" && filepath.IsAbs(f[2]):
		return f[2], nil
	case len(f) >= 1 && filepath.IsAbs(f[0]):
		return f[0], nil
	}
	return "", nil
}

// file adds the content that a path leads to, under that path.
func (c *collection) file(path string) {
	if c.err != nil {
		return
	}
	origin, err := filepath.EvalSymlinks(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s is not installed here", path)
		}
		c.err = err
		return
	}
	data, err := os.ReadFile(origin)
	if err != nil {
		c.err = err
		return
	}
	info, err := os.Stat(origin)
	if err != nil {
		c.err = err
		return
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if data == nil {
		data = []byte{}
	}
	c.files[path] = oci.File{Mode: mode, Data: data}
	c.real = append(c.real, origin)
}

func (c *collection) image(s oci.Spec) (*Image, error) {
	if c.err != nil {
		return nil, c.err
	}
	s.Files = c.files
	packages, err := packagesOf(c.ctx, c.real)
	return &Image{Spec: s, Packages: packages}, err
}

// packagesOf asks which packages the files belong to.
func packagesOf(ctx context.Context, files []string) ([]sbom.Package, error) {
	names := map[string]bool{}
	// It fails when one of them has no owner, and says the owners of the others.
	out, _ := output(ctx, "dpkg-query", append([]string{"-S"}, files...)...)
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		owner, file, _ := strings.Cut(strings.TrimSpace(line), ": ")
		names[owner], found[file] = true, true
	}
	for _, f := range files {
		if found[f] {
			continue
		}
		// A package may name the file below /lib, which is a link to /usr/lib.
		out, err := output(ctx, "dpkg-query", "-S", strings.TrimPrefix(f, "/usr"))
		if err != nil {
			return nil, fmt.Errorf("%s belongs to no package: %w", f, err)
		}
		owner, _, _ := strings.Cut(string(out), ": ")
		names[owner] = true
	}
	all := []sbom.Package{}
	for name := range names {
		out, err := output(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}", name)
		f := strings.Fields(string(out))
		if err != nil || len(f) != 3 {
			return nil, fmt.Errorf("package %s: %q, %w", name, out, err)
		}
		all = append(all, sbom.Package{Name: f[0], Version: f[1], Arch: f[2]})
	}
	slices.SortFunc(all, func(a, b sbom.Package) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// output runs one of the two programs that know what belongs to what.
func output(ctx context.Context, program string, args ...string) ([]byte, error) {
	return exec.CommandContext(ctx, program, args...).Output() //nolint:gosec // G204: ldd and dpkg-query, with paths of this file
}
