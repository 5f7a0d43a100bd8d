package bare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

const (
	// KubernetesVersion is that of the nodes of deploy/kind/cluster.yaml.
	KubernetesVersion = "v1.37.0"
	stagingVersion    = "v0.37.0"
	// EtcdVersion is the one that kubeadm of that version chooses.
	EtcdVersion = "v3.7.0"
)

// Builder builds programs out of Go modules, for machines that have Go and no more.
type Builder struct {
	Shell func(dir string) *sh.Shell
	// Dir gets the programs in bin/ and the throw-away modules beside it.
	Dir string
	// Log gets what the compiler says.
	Log io.Writer
}

// EtcdProgram builds etcd: about two minutes of one core.
func (b Builder) EtcdProgram(ctx context.Context) (string, error) {
	return b.program(ctx, "etcd", "go.etcd.io/etcd/server/v3", EtcdVersion, "go.etcd.io/etcd/server/v3", "-s -w")
}

// APIServerProgram builds kube-apiserver: about ten minutes of one core.
func (b Builder) APIServerProgram(ctx context.Context) (string, error) {
	return b.kubernetes(ctx, "kube-apiserver")
}

// KubectlProgram builds kubectl.
func (b Builder) KubectlProgram(ctx context.Context) (string, error) {
	return b.kubernetes(ctx, "kubectl")
}

func (b Builder) kubernetes(ctx context.Context, name string) (string, error) {
	flags := "-s -w"
	// A program of Kubernetes that does not know its version says v0.0.0-master to everybody.
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		minor := strings.Split(KubernetesVersion, ".")[1]
		flags += fmt.Sprintf(" -X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s", p, KubernetesVersion, p, p, minor)
	}
	return b.program(ctx, name, "k8s.io/kubernetes", KubernetesVersion, "k8s.io/kubernetes/cmd/"+name, flags)
}

// program builds one program in a module of its own that begins with the go.mod of the
// program's module: go install refuses modules that replace others, as these do.
func (b Builder) program(ctx context.Context, name, module, version, pkg, ldflags string) (string, error) {
	out := filepath.Join(b.Dir, "bin", name+"-"+version)
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	dir := filepath.Join(b.Dir, name)
	if err := errors.Join(os.MkdirAll(dir, 0o750), os.MkdirAll(filepath.Dir(out), 0o750)); err != nil {
		return "", fmt.Errorf("folder: %w", err)
	}
	_, _ = fmt.Fprintf(b.Log, "building %s %s from its Go module (once; it stays in %s)\n", name, version, filepath.Dir(out))
	shell := b.Shell(dir)
	if err := b.module(ctx, shell, dir, module, version); err != nil {
		return "", fmt.Errorf("module of %s: %w", name, err)
	}
	err := shell.Run(ctx, sh.Job{Name: "go", Args: []string{"build", "-trimpath", "-buildvcs=false", "-mod=mod", "-ldflags", ldflags, "-o", out + ".new", pkg}, Out: b.Log, Err: b.Log})
	if err != nil {
		return "", err
	}
	if err := os.Rename(out+".new", out); err != nil {
		return "", fmt.Errorf("program: %w", err)
	}
	return out, nil
}

var (
	moduleLine  = regexp.MustCompile(`(?m)^module .*$`)
	stagingLine = regexp.MustCompile(`(?m)=> \./staging/src/(k8s\.io/[a-z-]+)$`)
	folderLine  = regexp.MustCompile(`(?m)^.*=> \.\.?/.*\n`)
)

// rewrite makes a go.mod ours: folders beside it that are published as modules become
// those, and others go.
func rewrite(text string) string {
	text = moduleLine.ReplaceAllString(text, "module built.invalid/program")
	text = stagingLine.ReplaceAllString(text, "=> $1 "+stagingVersion)
	return folderLine.ReplaceAllString(text, "")
}

func (b Builder) module(ctx context.Context, shell *sh.Shell, dir, module, version string) error {
	answer, err := shell.Output(ctx, "go", "mod", "download", "-json", module+"@"+version)
	if err != nil {
		return err
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(answer, &found); err != nil {
		return fmt.Errorf("answer of go mod download: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(found.Dir, "go.mod"))
	if err != nil {
		return fmt.Errorf("its go.mod: %w", err)
	}
	mod := rewrite(string(text))
	sums, err := os.ReadFile(filepath.Join(found.Dir, "go.sum"))
	if err != nil {
		return fmt.Errorf("its go.sum: %w", err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600), os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600))
	if err != nil {
		return fmt.Errorf("throw-away module: %w", err)
	}
	_, err = shell.Output(ctx, "go", "mod", "edit", "-require="+module+"@"+version)
	return err
}
