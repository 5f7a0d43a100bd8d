package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/images/internal/distro"
	"github.com/lockstep-sso/lockstep/tools/images/internal/list"
	"github.com/lockstep-sso/lockstep/tools/images/internal/oci"
	"github.com/lockstep-sso/lockstep/tools/images/internal/sbom"
)

// shop is where images are made: root is the repository, out the folder for what is made.
type shop struct {
	root, out, tag string
	log            io.Writer
}

// reference is the name of an image.
func (s *shop) reference(image string) string { return "lockstep/" + image + ":" + s.tag }

func (s *shop) say(format string, args ...any) { _, _ = fmt.Fprintf(s.log, format+"\n", args...) }

// programs builds the programs of images to OUT/NAME/app.
func (s *shop) programs(ctx context.Context, images []list.Image) error {
	return list.Build(ctx, s.root, s.out, images, func(line string) { s.say("%s", line) })
}

// archive makes OUT/NAME.tar and OUT/NAME.cdx.json of OUT/NAME/app, and returns the digest.
func (s *shop) archive(i list.Image) (string, error) {
	raw, err := os.ReadFile(filepath.Join(s.out, i.Name, "app"))
	if err != nil {
		return "", err
	}
	parts, err := sbom.OfGo(i.Name, raw)
	if err != nil {
		return "", err
	}
	return s.write(i.Name, parts, oci.Spec{
		Title: i.Name, Entrypoint: append([]string{"/app"}, i.Args...), Files: map[string]oci.File{"/app": {Mode: 0o755, Data: raw}},
	})
}

// distribution makes the same of programs of this machine's distribution.
func (s *shop) distribution(ctx context.Context, name string) (string, error) {
	img, err := distro.New(ctx, name)
	if err != nil {
		return "", err
	}
	parts, err := sbom.OfPackages(name, img.Packages)
	if err != nil {
		return "", err
	}
	return s.write(name, parts, img.Spec)
}

func (s *shop) write(name string, parts []byte, spec oci.Spec) (string, error) {
	img, err := oci.New(spec)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	var b bytes.Buffer
	if err := oci.Archive(&b, img, s.reference(name)); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if err := os.MkdirAll(s.out, 0o750); err != nil {
		return "", err
	}
	for ext, data := range map[string][]byte{".tar": b.Bytes(), ".cdx.json": parts, ".digest": []byte(digest.String() + "\n")} {
		if err := os.WriteFile(filepath.Join(s.out, name+ext), data, 0o600); err != nil {
			return "", err
		}
	}
	s.say("%-12s %s %6.1f MB", name, digest, float64(b.Len())/1e6)
	return digest.String(), nil
}

// docker has Docker's builder make the image of OUT/NAME/app. A second ENTRYPOINT replaces
// the first.
func (s *shop) docker(ctx context.Context, i list.Image) error {
	file, err := os.ReadFile(filepath.Join(s.root, "deploy", "images", "Dockerfile"))
	if err != nil {
		return err
	}
	if len(i.Args) > 0 {
		file = append(file, []byte(`ENTRYPOINT ["/app", "`+strings.Join(i.Args, `", "`)+"\"]\n")...)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", "build", "-t", s.reference(i.Name), "--build-arg", "SERVICE="+i.Name, "-f", "-", s.out) //nolint:gosec // G204: names of the repository's own list
	// The folder is the context: other images are not for this one.
	ignore := "*\n!" + i.Name + "/app\n"
	if err := os.WriteFile(filepath.Join(s.out, ".dockerignore"), []byte(ignore), 0o600); err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(file), &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("docker build %s: %w\n%s", i.Name, err, out.String())
	}
	s.say("%s", s.reference(i.Name))
	return nil
}

// revision is the commit of the sources, "" where there is none to be had.
func (s *shop) revision(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "-C", s.root, "rev-parse", "HEAD").Output() //nolint:gosec // G204: the folder is the caller's
	if err != nil {
		return ""
	}
	dirty, err := exec.CommandContext(ctx, "git", "-C", s.root, "status", "--porcelain").Output() //nolint:gosec // G204: as above
	commit := strings.TrimSpace(string(out))
	if err != nil || len(dirty) > 0 {
		commit += "-dirty"
	}
	return commit
}
