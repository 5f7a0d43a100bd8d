package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// Run is lockstep tenant with these arguments, against this server. It answers
// what the command printed.
func (c *Cloud) Run(ctx context.Context, args ...string) (string, error) {
	return c.command(ctx, append([]string{"tenant"}, args...)...)
}

// Telephone is lockstep authenticator with these arguments, as one user's telephone.
func (c *Cloud) Telephone(ctx context.Context, user string, args ...string) (string, error) {
	return c.command(ctx, append(append([]string{"authenticator"}, args...), "--user", user)...)
}

func (c *Cloud) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.cfg.Binary, append(args, "--state", c.state())...)
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("lockstep %s: %w: %s%s", strings.Join(args, " "), err, out.String(), bad.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// List is a command of lockstep tenant that lists something, one object an entry.
func (c *Cloud) List(ctx context.Context, args ...string) ([]map[string]any, error) {
	text, err := c.Run(ctx, append(args, "--json")...)
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		if raw[0] == '[' {
			var part []map[string]any
			if err := json.Unmarshal(raw, &part); err != nil {
				return nil, err
			}
			list = append(list, part...)
			continue
		}
		var one map[string]any
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}
