package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// laws reads what the rules go by.
func laws(root string) (law, error) {
	graph, err := callGraph(root)
	if err != nil {
		return law{}, err
	}
	flags, settings, err := readFlags(root)
	return law{root: root, graph: graph, flags: flags, settings: settings}, err
}

func checkCommand(root *string) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Render every overlay and hold it to every rule", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			began := time.Now()
			l, err := laws(*root)
			if err != nil {
				return err
			}
			all, err := overlays(*root)
			if err != nil {
				return err
			}
			bad, err := check(l, all)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, line := range bad {
				_, _ = fmt.Fprintln(out, line)
			}
			objects := 0
			for _, o := range all {
				objects += len(o.objects)
			}
			_, _ = fmt.Fprintf(out, "%d overlays, %d objects, %d rules: %d findings in %v\n", len(all), objects, len(rules()), len(bad), time.Since(began).Round(time.Millisecond))
			if len(bad) > 0 {
				return fmt.Errorf("%d findings", len(bad))
			}
			return nil
		},
	}
}
