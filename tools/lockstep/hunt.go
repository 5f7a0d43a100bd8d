package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/faults"
)

// huntCommand draws sessions from seeds and looks for one that breaks what must hold.
func huntCommand() *cobra.Command {
	var seed uint64
	var seeds, lines int
	var script string
	cmd := &cobra.Command{
		Use: "hunt", Short: "Draw sessions with faults from seeds, and make what breaks something as short as it gets",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := faults.Config{Seed: seed, Progress: func(s string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), s) }}
			if script != "" {
				return replay(cmd, cfg, script)
			}
			for range seeds {
				found, err := faults.Hunt(cmd.Context(), cfg, lines)
				if err != nil {
					return err
				}
				if found != nil {
					_, _ = fmt.Fprintf(cmd.OutOrStdout(), "# %s\n# again: lockstep hunt --seed %d --script FILE\n%s", found.Run.Breach, found.Seed, found.Session.Text())
					return fmt.Errorf("seed %d breaks: %s", found.Seed, found.Run.Breach.Invariant)
				}
				cfg.Progress(fmt.Sprintf("seed %d: all held", cfg.Seed))
				cfg.Seed++
			}
			return nil
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the first session, and of its rules")
	cmd.Flags().IntVar(&seeds, "seeds", 1, "how many seeds, one after the other")
	cmd.Flags().IntVar(&lines, "lines", 30, "lines of a session")
	cmd.Flags().StringVar(&script, "script", "", "run this session in place of drawn ones, and print its log")
	return cmd
}

// replay runs a session from a file.
func replay(cmd *cobra.Command, cfg faults.Config, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := faults.ParseSession(string(text))
	if err != nil {
		return err
	}
	run, err := faults.Play(cmd.Context(), cfg, s)
	_, _ = fmt.Fprint(cmd.OutOrStdout(), run.Log)
	if err == nil && run.Breach != nil {
		err = fmt.Errorf("%s", run.Breach)
	}
	return err
}
