package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// followEvery is how often new events are asked for.
const followEvery = time.Second

func eventsCommand() *cobra.Command {
	var which whichDevice
	var asJSON, follow bool
	var ids []uint
	var correlation string
	cmd := &cobra.Command{
		Use: "events", Args: cobra.NoArgs, Short: "Show the event logs of a device's components, with the ids of Windows",
		Long: `Show the event logs of a device's components in the order of time. What belongs to one
attempt to obtain or renew a PRT stands in a bracket, from its event 1006 to its 1007,
which carries the code that it ended with. The logs are in the components' memory: the
newest few thousand since each started.`,
		Example: "  lockstep events\n  lockstep events --id 1081,1084,1088\n  lockstep events --follow --json",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			filter := status.Filter{Correlation: correlation}
			if correlation != "" && !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(correlation) {
				return fmt.Errorf("--correlation %.80q is no trace id of 32 hexadecimal digits: take the Correlation ID of lockstep status", correlation)
			}
			for _, id := range ids {
				filter.IDs = append(filter.IDs, uint32(min(id, 1<<31)))
			}
			d, err := which.open(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			return showEvents(cmd, status.NewEvents(d.Door, filter), asJSON, follow)
		},
	}
	which.flags(cmd, false)
	f := cmd.Flags()
	f.UintSliceVar(&ids, "id", nil, "only events with these ids")
	f.StringVar(&correlation, "correlation", "", "only events of this trace, the Correlation ID of lockstep status")
	f.BoolVar(&follow, "follow", false, "go on with what comes, until Ctrl-C")
	f.BoolVar(&asJSON, "json", false, "print one JSON object an event: time, component, channel, id, level, correlation_id, message, fields, status")
	return cmd
}

// showEvents shows what there is, and with follow what comes. A component that does not
// answer is named when that is new.
func showEvents(cmd *cobra.Command, log *status.Events, asJSON, follow bool) error {
	var lines status.Lines
	told := map[string]bool{}
	for {
		events, missing := log.Read(cmd.Context())
		down := map[string]bool{}
		for _, m := range missing {
			if down[m.Component] = true; !told[m.Component] {
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "lockstep: %s: %s\n", m.Component, m.Reason)
			}
		}
		told = down
		var err error
		if asJSON {
			err = status.EventsJSON(cmd.OutOrStdout(), events)
		} else {
			err = lines.Write(cmd.OutOrStdout(), events)
		}
		if follow && err == nil && len(missing) == log.Components() {
			return errors.New("no component of the device answers any more: the laboratory has ended, or the device is off")
		}
		if err != nil || !follow || !sleep(cmd.Context(), followEvery) {
			return err
		}
	}
}

// sleep waits; false is the end of the command.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
