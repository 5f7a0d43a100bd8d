package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// maxScript bounds a script, in bytes.
const maxScript = 1 << 20

func playCommand() *cobra.Command {
	var (
		dir, device, file, deployment string
		asJSON                        bool
	)
	cmd := &cobra.Command{
		Use:   "play [COMMAND]...",
		Short: "Have persons, apps and administrators act in a running lockstep lab, or in a deployment",
		Long: `Have persons, apps and administrators act in a running lockstep lab: each COMMAND is a
directive of the flow scripts, and below its output stands the trace of what ran. A
command that fails ends the play with exit code 1, unless a - stands before it.

With --deployment they act where the components run elsewhere, as in a cluster: the file
says where. At the end they sign out. Commands about processes, networks and files are not for there.`,
		Example: "  lockstep play 'join user=alice' 'sign-in user=alice' 'token user=alice'\n" +
			"  lockstep play --device device-2 'sign-in user=bob'\n" +
			"  lockstep play -f script.txt\n" +
			"  lockstep play --deployment /etc/lockstep/deployment.yaml -- '-leave' 'join user=alice' 'sign-in user=alice'",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			commands := args
			if file != "" {
				if commands, err = scriptOf(cmd.InOrStdin(), file); err != nil {
					return err
				}
			}
			if len(commands) == 0 || file != "" && len(args) > 0 {
				return errors.New("what to play? Give commands such as 'sign-in user=alice', or a script with -f")
			}
			if deployment != "" {
				return playElsewhere(cmd, deployment, commands, device, asJSON)
			}
			i, err := theLab(cmd.ErrOrStderr(), dir)
			if err != nil {
				return err
			}
			conn, err := i.DialLab()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			l := labv1.NewLabServiceClient(conn)
			return play(cmd.Context(), cmd.OutOrStdout(), commands, asJSON, func(ctx context.Context, command string) (*labv1.PlayCommandResponse, error) {
				return l.PlayCommand(ctx, &labv1.PlayCommandRequest{Command: command, Device: device})
			})
		},
	}
	f := cmd.Flags()
	labFlag(f, &dir)
	f.StringVar(&device, "device", "", "device that the commands are for (default the first)")
	f.StringVarP(&file, "file", "f", "", "script in the form of the flow scripts, - is standard input; what a script expects is not compared")
	f.StringVar(&deployment, "deployment", "", "file that says where the components are, in place of a laboratory on this machine")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a command: command, output, trace_id, failed")
	cmd.MarkFlagsMutuallyExclusive("lab", "deployment")
	return cmd
}

// scriptOf reads the commands of a script.
func scriptOf(stdin io.Reader, path string) ([]string, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("script: %w", err)
		}
		defer func() { _ = f.Close() }()
		stdin = f
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxScript+1))
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	if len(text) > maxScript {
		return nil, fmt.Errorf("script: %s has more than %d bytes", path, maxScript)
	}
	return flows.Commands(string(text)), nil
}

// play carries out commands by a function and shows what comes of each.
func play(ctx context.Context, out io.Writer, commands []string, asJSON bool, do func(context.Context, string) (*labv1.PlayCommandResponse, error)) error {
	for _, c := range commands {
		c, mayFail := strings.CutPrefix(c, "-")
		r, err := do(ctx, c)
		if err != nil {
			return err
		}
		if err := showPlayed(out, c, r, asJSON, len(commands) > 1); err != nil {
			return err
		}
		if r.GetFailed() && !mayFail {
			return fmt.Errorf("%.80q failed: what went wrong is above", c)
		}
	}
	return nil
}

// signOutWithin bounds how long a play in a deployment takes to end.
const signOutWithin = 10 * time.Second

// playElsewhere plays in a deployment, on all of its devices. At the end all are signed out.
func playElsewhere(cmd *cobra.Command, file string, commands []string, device string, asJSON bool) (err error) {
	d, err := lab.ReadDeployment(file)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	l, err := lab.Start(ctx, lab.Config{Deployment: d})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	stop := progress(cmd.ErrOrStderr())
	err = ready(ctx, l, stop)
	stop("")
	if err != nil {
		return err
	}
	var devices []*lab.Device
	for range d.Devices {
		there, err := l.AddDevice(ctx)
		if err != nil {
			return err
		}
		devices = append(devices, there)
	}
	runner := flows.On(l, devices...)
	defer func() {
		out, cancel := context.WithTimeout(context.WithoutCancel(ctx), signOutWithin)
		defer cancel()
		if left := runner.SignOut(out); left != nil {
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "lockstep: who is still signed in could not be signed out: %v\n", left)
		}
	}()
	return play(ctx, cmd.OutOrStdout(), commands, asJSON, func(ctx context.Context, command string) (*labv1.PlayCommandResponse, error) {
		return runner.PlayCommand(ctx, &labv1.PlayCommandRequest{Command: command, Device: cmp.Or(device, devices[0].Name)}), nil
	})
}

func showPlayed(out io.Writer, command string, r *labv1.PlayCommandResponse, asJSON, several bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{
			"command": command, "output": r.GetOutput(), "trace_id": r.GetTraceId(), "failed": r.GetFailed(),
		})
	}
	var b strings.Builder
	if several {
		fmt.Fprintf(&b, "> %s\n", command)
	}
	b.WriteString(r.GetOutput())
	if id := r.GetTraceId(); id != "" {
		fmt.Fprintf(&b, "trace %s\n", id)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
