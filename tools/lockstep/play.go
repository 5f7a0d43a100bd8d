package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/flows"
)

// maxScript bounds a script, in bytes.
const maxScript = 1 << 20

func playCommand() *cobra.Command {
	var (
		dir, device, file string
		asJSON            bool
	)
	cmd := &cobra.Command{
		Use:   "play [COMMAND]...",
		Short: "Have persons, apps and administrators act in a running lockstep lab",
		Long: `Have persons, apps and administrators act in a running lockstep lab: each COMMAND is a
directive of the flow scripts, and below its output stands the trace of what ran. A
command that fails ends the play with exit code 1.`,
		Example: "  lockstep play 'join user=alice' 'sign-in user=alice' 'token user=alice'\n" +
			"  lockstep play --device device-2 'sign-in user=bob'\n" +
			"  lockstep play -f script.txt",
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
			i, err := theLab(cmd.ErrOrStderr(), dir)
			if err != nil {
				return err
			}
			conn, err := i.DialLab()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			return play(cmd.Context(), cmd.OutOrStdout(), labv1.NewLabServiceClient(conn), commands, device, asJSON)
		},
	}
	f := cmd.Flags()
	labFlag(f, &dir)
	f.StringVar(&device, "device", "", "device that the commands are for (default the first)")
	f.StringVarP(&file, "file", "f", "", "script in the form of the flow scripts, - is standard input; what a script expects is not compared")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a command: command, output, trace_id, failed")
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

func play(ctx context.Context, out io.Writer, l labv1.LabServiceClient, commands []string, device string, asJSON bool) error {
	for _, c := range commands {
		r, err := l.PlayCommand(ctx, &labv1.PlayCommandRequest{Command: c, Device: device})
		if err != nil {
			return err
		}
		if err := showPlayed(out, c, r, asJSON, len(commands) > 1); err != nil {
			return err
		}
		if r.GetFailed() {
			return fmt.Errorf("%.80q failed: what went wrong is above", c)
		}
	}
	return nil
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
