package checks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/judge"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
)

// agentName is the component that has the keys.
const agentName = "tpm-agent"

// Intruders tries what somebody would try who may use kubectl (threat T4).
type Intruders struct {
	Cluster *kube.Cluster
	Court   *judge.Court
	Stage   string
}

// running is what is read of a pod that runs.
type running struct {
	Metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Token      *bool           `json:"automountServiceAccountToken"`
		Host       bool            `json:"hostNetwork"`
		HostPID    bool            `json:"hostPID"`
		Init       []specContainer `json:"initContainers"`
		Containers []specContainer `json:"containers"`
		Volumes    []struct {
			Name     string           `json:"name"`
			HostPath *json.RawMessage `json:"hostPath"`
		} `json:"volumes"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

type specContainer struct {
	Name   string `json:"name"`
	Mounts []struct {
		Path string `json:"mountPath"`
	} `json:"volumeMounts"`
	Security struct {
		ReadOnly *bool `json:"readOnlyRootFilesystem"`
	} `json:"securityContext"`
}

// pods are all pods of ours that run.
func pods(ctx context.Context, c *kube.Cluster) ([]running, error) {
	var list struct {
		Items []running `json:"items"`
	}
	if err := c.Get(ctx, &list, "pods", "--all-namespaces", "-l", "app.kubernetes.io/part-of=lockstep", "--field-selector", "status.phase=Running"); err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no pod of ours runs")
	}
	return list.Items, nil
}

// Run makes all checks.
func (i Intruders) Run(ctx context.Context) {
	i.Court.Check(i.Stage, "no pod of ours has a shell to exec", "T4", func() (string, error) { return i.shell(ctx) })
	i.Court.Check(i.Stage, "a privileged ephemeral container is refused in a tpm-agent's pod", "T4", func() (string, error) { return i.ephemeral(ctx) })
	i.Court.Check(i.Stage, "tpm-agent: no token, read-only root, no path of the host", "T4", func() (string, error) { return i.closed(ctx) })
}

// shell tries to start the usual shells in every container of ours. That exec itself
// works is shown by what it says: that there is no such file.
func (i Intruders) shell(ctx context.Context) (string, error) {
	all, err := pods(ctx, i.Cluster)
	if err != nil {
		return "", err
	}
	tried := 0
	for _, p := range all {
		for _, c := range p.Spec.Containers {
			for _, shell := range []string{"/bin/sh", "/bin/bash", "/bin/busybox"} {
				out, err := i.Cluster.Kubectl(ctx, "exec", "-n", p.Metadata.Namespace, p.Metadata.Name, "-c", c.Name, "--", shell, "-c", "echo inside")
				tried++
				if err == nil {
					return "", fmt.Errorf("%s in %s/%s (%s) says %q", shell, p.Metadata.Namespace, p.Metadata.Name, c.Name, out)
				}
				if !strings.Contains(err.Error(), "no such file") {
					return "", fmt.Errorf("%s in %s/%s (%s) failed for another reason: %w", shell, p.Metadata.Namespace, p.Metadata.Name, c.Name, err)
				}
			}
		}
	}
	return fmt.Sprintf("%d attempts in %d pods, no such file", tried, len(all)), nil
}

func (i Intruders) agents(ctx context.Context) ([]running, error) {
	all, err := pods(ctx, i.Cluster)
	if err != nil {
		return nil, err
	}
	agents := slices.DeleteFunc(all, func(p running) bool { return p.Metadata.Labels["app.kubernetes.io/name"] != agentName })
	if len(agents) == 0 {
		return nil, errors.New("no pod of a tpm-agent runs")
	}
	return agents, nil
}

func (i Intruders) ephemeral(ctx context.Context) (string, error) {
	agents, err := i.agents(ctx)
	if err != nil {
		return "", err
	}
	patch := func(security string) error {
		p := agents[0].Metadata
		_, err := i.Cluster.Kubectl(ctx, "patch", "pod", "-n", p.Namespace, p.Name, "--subresource=ephemeralcontainers", "--dry-run=server", "-p",
			`{"spec":{"ephemeralContainers":[{"name":"debugger","image":"lockstep/lockstep:dev","targetContainerName":"tpm-agent","securityContext":`+security+`}]}}`)
		return err
	}
	err = patch(`{"privileged":true}`)
	if err == nil {
		return "", errors.New("it is admitted")
	}
	if !strings.Contains(err.Error(), "violates PodSecurity") {
		return "", fmt.Errorf("refused for another reason: %w", err)
	}
	// The control: one that asks for nothing passes, so it is PodSecurity that refused.
	harmless := `{"runAsNonRoot":true,"runAsUser":65532,"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}}`
	if err := patch(harmless); err != nil {
		return "", fmt.Errorf("the control failed: %w", err)
	}
	return "PodSecurity refuses it; one without rights is admitted, and reaches the target's memory no more than its user may", nil
}

func (i Intruders) closed(ctx context.Context) (string, error) {
	agents, err := i.agents(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range agents {
		who := p.Metadata.Namespace + "/" + p.Metadata.Name
		if p.Spec.Token == nil || *p.Spec.Token || p.Spec.Host || p.Spec.HostPID {
			return "", fmt.Errorf("%s has a token of a service account, or the host's network or processes", who)
		}
		for _, v := range p.Spec.Volumes {
			if v.HostPath != nil {
				return "", fmt.Errorf("%s mounts a path of the host: %s", who, v.Name)
			}
		}
		for _, c := range append(p.Spec.Init, p.Spec.Containers...) {
			if c.Security.ReadOnly == nil || !*c.Security.ReadOnly {
				return "", fmt.Errorf("%s: %s can write to its root", who, c.Name)
			}
			for _, m := range c.Mounts {
				if strings.HasPrefix(m.Path, "/var/run/secrets") {
					return "", fmt.Errorf("%s: %s has a token at %s", who, c.Name, m.Path)
				}
			}
		}
	}
	return fmt.Sprintf("%d pods", len(agents)), nil
}
