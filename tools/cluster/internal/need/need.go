// Package need says what a command needs of the machine: which programs, from which
// version on, and how to get what is missing. Every command asks before it does
// anything, so that nobody learns of a missing program after ten minutes.
package need

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// answerIn bounds how long a program may take to tell its version. A daemon that
// hangs is as good as none.
const answerIn = 30 * time.Second

// Program is something on the PATH.
type Program struct {
	// Name on the PATH.
	Name string
	// Why it is needed, and how to get it: ends of sentences.
	Why, Get string
	// Major and Minor are of the oldest version that will do.
	Major, Minor int
	// ask returns the version, in whatever text it stands.
	ask func(context.Context, *sh.Shell) (string, error)
}

// Docker is the daemon that runs the nodes; 20.10 is the oldest that kind supports.
func Docker() Program {
	return Program{
		Name: "docker", Major: 20, Minor: 10,
		Why: "kind runs the nodes of the cluster as its containers",
		Get: "install Docker Engine, https://docs.docker.com/engine/install",
		ask: func(ctx context.Context, s *sh.Shell) (string, error) {
			out, err := s.Output(ctx, "docker", "version", "--format", "{{.Server.Version}}")
			if err != nil {
				return "", fmt.Errorf("its daemon does not answer (start it, or set DOCKER_HOST): %s", sh.Said(err))
			}
			return string(out), nil
		},
	}
}

// Kind is the program that makes the cluster. Before 0.33 there is no node with
// Kubernetes 1.37, which is the first whose kubelet has pod certificates on by default.
func Kind() Program {
	return Program{
		Name: "kind", Major: 0, Minor: 33,
		Why: "it makes the cluster",
		Get: "go install sigs.k8s.io/kind@v0.33.0, or https://kind.sigs.k8s.io/docs/user/quick-start",
		ask: func(ctx context.Context, s *sh.Shell) (string, error) {
			out, err := s.Output(ctx, "kind", "version")
			return string(out), err
		},
	}
}

// Kubectl is the program that talks to the cluster; it may be one minor version older
// than the API server (Kubernetes version skew policy, "kubectl").
func Kubectl() Program {
	return Program{
		Name: "kubectl", Major: 1, Minor: 36,
		Why: "it talks to the cluster",
		Get: "https://kubernetes.io/docs/tasks/tools",
		ask: func(ctx context.Context, s *sh.Shell) (string, error) {
			out, err := s.Output(ctx, "kubectl", "version", "--client", "-o", "json")
			if err != nil {
				return "", err
			}
			var v struct {
				ClientVersion struct {
					GitVersion string `json:"gitVersion"`
				} `json:"clientVersion"`
			}
			if err := json.Unmarshal(out, &v); err != nil {
				return "", fmt.Errorf("its version: %w", err)
			}
			return v.ClientVersion.GitVersion, nil
		},
	}
}

// Go is the compiler, which builds what is not there.
func Go() Program {
	return Program{
		Name: "go", Major: 1, Minor: 26,
		Why: "it builds what is missing",
		Get: "https://go.dev/doc/install",
		ask: func(ctx context.Context, s *sh.Shell) (string, error) {
			out, err := s.Output(ctx, "go", "env", "GOVERSION")
			return strings.TrimPrefix(string(out), "go"), err
		},
	}
}

// Make is make, which knows how the images are built.
func Make() Program {
	return Program{
		Name: "make", Major: 3, Minor: 81,
		Why: "it builds the images",
		Get: "the package make of your system",
		ask: func(ctx context.Context, s *sh.Shell) (string, error) {
			out, err := s.Output(ctx, "make", "--version")
			return string(out), err
		},
	}
}

// Check returns one error that names every program that is missing, too old or mute,
// with what it is for and how to get it.
func Check(ctx context.Context, s *sh.Shell, programs ...Program) error {
	var bad []error
	for _, p := range programs {
		if err := p.check(ctx, s); err != nil {
			bad = append(bad, err)
		}
	}
	return errors.Join(bad...)
}

func (p Program) check(ctx context.Context, s *sh.Shell) error {
	if _, err := exec.LookPath(p.Name); err != nil {
		return fmt.Errorf("%s %d.%d or newer is needed and not on the PATH: %s. To get it: %s", p.Name, p.Major, p.Minor, p.Why, p.Get)
	}
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	text, err := p.ask(ctx, s)
	if err != nil {
		return fmt.Errorf("%s is there, but cannot be used: %w", p.Name, err)
	}
	major, minor, err := version(text)
	if err != nil {
		return fmt.Errorf("%s is there, but does not tell its version: %w", p.Name, err)
	}
	if major < p.Major || major == p.Major && minor < p.Minor {
		return fmt.Errorf("%s is %d.%d, and %d.%d or newer is needed. To get it: %s", p.Name, major, minor, p.Major, p.Minor, p.Get)
	}
	return nil
}

var versionForm = regexp.MustCompile(`v?(\d{1,4})\.(\d{1,4})(\.|\b)`)

// version reads the first version in a text.
func version(text string) (major, minor int, err error) {
	m := versionForm.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, fmt.Errorf("no version in %q", strings.TrimSpace(text))
	}
	if major, err = strconv.Atoi(m[1]); err != nil {
		return 0, 0, fmt.Errorf("version: %w", err)
	}
	if minor, err = strconv.Atoi(m[2]); err != nil {
		return 0, 0, fmt.Errorf("version: %w", err)
	}
	return major, minor, nil
}
