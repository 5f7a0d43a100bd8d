package list

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// sayEvery is after how many compiled packages a line is said.
const sayEvery = 200

// Build compiles the programs of images to OUT/NAME/app: static, without a path of this
// machine or the state of a checkout in them, so that the same sources and the same Go
// give the same bytes everywhere. All of a module are compiled in one go, which has every
// processor busy to the end; say is told how far it is.
func Build(ctx context.Context, root, out string, images []Image, say func(string)) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	byModule := map[string][]Image{}
	var modules []string
	for _, i := range images {
		if byModule[i.Module] == nil {
			modules = append(modules, i.Module)
		}
		byModule[i.Module] = append(byModule[i.Module], i)
	}
	for _, m := range modules {
		if err := buildModule(ctx, filepath.Join(root, m), out, byModule[m], say); err != nil {
			return fmt.Errorf("module %s: %w", m, err)
		}
	}
	return nil
}

func buildModule(ctx context.Context, dir, out string, images []Image, say func(string)) (err error) {
	if err := os.MkdirAll(out, 0o750); err != nil {
		return err
	}
	made, err := os.MkdirTemp(out, ".programs-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	args := []string{"build", "-v", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", made + string(filepath.Separator)}
	for _, i := range images {
		args = append(args, i.Package)
	}
	said := &progress{began: time.Now(), say: say}
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // G204: the packages are of the repository's own list
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build of %d programs, after %d packages: %w\n%s", len(images), said.packages, errors.Join(err, ctx.Err()), said.rest.String())
	}
	say(fmt.Sprintf("%d programs, %d packages compiled, %s", len(images), said.packages, said.since()))
	for _, i := range images {
		if err := os.MkdirAll(filepath.Join(out, i.Name), 0o750); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(made, i.program()), filepath.Join(out, i.Name, "app")); err != nil {
			return err
		}
	}
	return nil
}

// program is what go build calls the program of an image.
func (i Image) program() string {
	if p := path.Base(filepath.ToSlash(i.Package)); p != "." {
		return p
	}
	return path.Base(filepath.ToSlash(i.Module))
}

// progress takes what go build -v says: a line with the path of each package that is
// compiled, and whatever else.
type progress struct {
	began    time.Time
	say      func(string)
	packages int
	// part is a line that has not ended, rest the lines that are no path of a package.
	part, rest bytes.Buffer
}

func (p *progress) since() time.Duration { return time.Since(p.began).Round(time.Second) }

// Write counts.
func (p *progress) Write(text []byte) (int, error) {
	p.part.Write(text)
	for {
		end := bytes.IndexByte(p.part.Bytes(), '\n')
		if end < 0 {
			return len(text), nil
		}
		line := string(p.part.Next(end + 1))
		if strings.ContainsAny(line, " \t") {
			p.rest.WriteString(line)
			continue
		}
		if p.packages++; p.packages%sayEvery == 0 {
			p.say(fmt.Sprintf("%d packages compiled, %s", p.packages, p.since()))
		}
	}
}
