package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/judge"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
)

// joined finds in the demo's summary which device it was.
var joined = regexp.MustCompile(`device ([0-9a-f-]{36}) joined`)

// judgeTwins shows that a device is its TPM and not the name of its pod (threat T13): in the
// overlay two-devices every pod has a twin of its own name.
func (w *world) judgeTwins(ctx context.Context, c *kube.Cluster, court *judge.Court) {
	const check = "two devices with pods of the same name are two devices"
	court.Check(stageKind, check, "T13", func() (seen string, err error) {
		if err := w.lay(ctx, c, "two-devices"); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, w.unlay(context.WithoutCancel(ctx), c, "two-devices")) }()
		return w.twins(ctx, c)
	})
}

// twins joins both, signs alice in on both and compares. Both computers have the name that the
// demo gives, both pods the same account, and only their TPMs differ.
func (w *world) twins(ctx context.Context, c *kube.Cluster) (string, error) {
	const account = "{.metadata.name} {.spec.serviceAccountName}"
	var pods, ids []string
	for _, device := range []string{"device-1", "device-2"} {
		pod, err := c.Kubectl(ctx, "get", "pod", "tpm-agent-0", "-n", "lockstep-"+device, "-o", "jsonpath="+account)
		if err != nil {
			return "", err
		}
		pods = append(pods, string(pod))
		id, err := w.joinedAs(ctx, c, device)
		if err != nil {
			return "", err
		}
		ids = append(ids, id)
	}
	if pods[0] != pods[1] {
		return "", fmt.Errorf("the pods are no twins: %v", pods)
	}
	if ids[0] == ids[1] {
		return "", fmt.Errorf("both are device %s", ids[0])
	}
	return fmt.Sprintf("%s in both, %s and %s; alice has a PRT on each", strings.Fields(pods[0])[0], ids[0], ids[1]), nil
}

// joinedAs joins a device, signs alice in on it and returns which device it is.
func (w *world) joinedAs(ctx context.Context, c *kube.Cluster, device string) (string, error) {
	out, err := w.playQuietly(ctx, c, "twin", "demo", "--deployment", deploymentFile, "--flow", "first_sign_in", "--device", device)
	if err != nil {
		return "", fmt.Errorf("%s: %w", device, err)
	}
	found := joined.FindStringSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("%s: the demo does not say which device joined: %s", device, tail(out, 300))
	}
	return found[1], nil
}

// lay brings another overlay in, signer first.
func (w *world) lay(ctx context.Context, c *kube.Cluster, overlay string) error {
	objects, err := w.render(ctx, c, w.set.Overlay(overlay))
	if err != nil {
		return err
	}
	return w.deploy(ctx, c, objects)
}

// unlay brings the overlay demo back and removes what it does not have.
func (w *world) unlay(ctx context.Context, c *kube.Cluster, overlay string) error {
	was, err := w.render(ctx, c, w.set.Overlay(overlay))
	if err != nil {
		return err
	}
	demo, err := w.render(ctx, c, w.set.Overlay("demo"))
	if err != nil {
		return err
	}
	if err := w.drop(ctx, c, kube.Missing(was, demo)); err != nil {
		return err
	}
	return w.deploy(ctx, c, demo)
}
