package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// kubectl runs kubectl against one cluster: standard input, arguments, standard output.
type kubectl func(ctx context.Context, stdin []byte, args ...string) ([]byte, error)

// commandLine is kubectl as a program, with what goes before its arguments.
func commandLine(prefix []string, kubeContext string) kubectl {
	return func(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
		line := append(append([]string{}, prefix...), "kubectl", "--context", kubeContext)
		line = append(line, args...)
		cmd := exec.CommandContext(ctx, line[0], line[1:]...) //nolint:gosec // what the user asked for
		var out, complaint bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaint
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("kubectl %s: %w: %s", args[0], err, bytes.TrimSpace(complaint.Bytes()))
		}
		return out.Bytes(), nil
	}
}

func netpolCommand(root *string) *cobra.Command {
	var name, kubeContext, image string
	var prefix []string
	var within time.Duration
	cmd := &cobra.Command{
		Use: "netpol", Short: "Try every connection in a running cluster and compare it with the policies", Args: cobra.NoArgs,
		Long: `Try every connection between the pods of a running overlay, from pods with the labels of
each component, and compare what opens with what the policies permit. It fails when a
forbidden connection opens, which is also how a cluster without an enforcer shows, and
when a permitted one does not.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			objects, err := render(filepath.Join(*root, "deploy", "overlays", name))
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), within)
			defer cancel()
			p := prober{kubectl: commandLine(prefix, kubeContext), image: image, overlay: overlay{name, objects}}
			tried, err := p.run(ctx)
			if err != nil {
				return err
			}
			return report(cmd.OutOrStdout(), tried)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "overlay", "demo", "the overlay that runs there")
	f.StringVar(&kubeContext, "context", "kind-lockstep", "context of kubectl")
	f.StringVar(&image, "image", "lockstep/lockstep:dev", "image with the command reach")
	f.StringSliceVar(&prefix, "run", nil, "command before kubectl, with commas between its words")
	f.DurationVar(&within, "within", 10*time.Minute, "how long all of it may take")
	return cmd
}

// attempt is one connection that was tried.
type attempt struct {
	connection
	permitted, open bool
	why             string
	// own is a way to the pod's own node, which no policy can close.
	own bool
}

// wrong says whether cluster and policies disagree.
func (a attempt) wrong() bool { return a.permitted != a.open && !a.own }

// word is what happened, for the table.
func (a attempt) word() string {
	if a.open {
		return "open"
	}
	return "closed"
}

// report prints a table, and is an error when cluster and policies disagree.
func report(w io.Writer, tried []attempt) error {
	var forbidden, leaks, lost, own int
	for _, a := range tried {
		mark := ""
		switch {
		case a.own:
			own++
			mark = "   (the pod's own node: no policy closes that; a second node would show it)"
		case a.open && !a.permitted:
			leaks++
			mark = "   <-- forbidden"
		case a.wrong():
			lost++
			mark = "   <-- permitted, and " + a.why
		}
		if !a.permitted && !a.own {
			forbidden++
		}
		if _, err := fmt.Fprintf(w, "%-7s %s%s\n", a.word(), a.connection, mark); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintf(w, "\n%d connections tried: %d permitted, %d forbidden; %d forbidden ones opened, %d permitted ones did not\n", len(tried), len(tried)-forbidden-own, forbidden, leaks, lost)
	var errs []error
	switch {
	case len(tried) == 0:
		errs = append(errs, errors.New("nothing was tried"))
	case forbidden == 0:
		errs = append(errs, errors.New("nothing is forbidden here, so nothing was shown"))
	case leaks == forbidden:
		errs = append(errs, errors.New("every forbidden connection opened: nobody enforces NetworkPolicies in this cluster"))
	case leaks > 0:
		errs = append(errs, fmt.Errorf("%d forbidden connections opened", leaks))
	}
	if lost > 0 {
		errs = append(errs, fmt.Errorf("%d permitted connections did not open", lost))
	}
	return errors.Join(errs...)
}
