package main

import (
	"encoding/json"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/status"
)

// exitError ends the command with an exit code and no more words.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func statusCommand() *cobra.Command {
	var which whichDevice
	var asJSON, check, live bool
	cmd := &cobra.Command{
		Use: "status", Args: cobra.NoArgs,
		Short: "Show how sign-in on a device is, in the words of dsregcmd /status",
		Long: `Show how sign-in on a device is: the sections, words and order of dsregcmd /status,
then what this system knows beyond. A component that does not answer is named, and the
rest is shown.

With --check only judge, for monitoring. Exit codes, the worst of what holds first:
  3  the tenant has the device disabled or deleted
  5  the keys are lost and wait for their recovery
  4  a device key does not do its work
  1  the user has no PRT that can be used
  2  the PRT was not renewed for longer than the refresh cycle of four hours
  6  a component that would have to be asked does not answer
  0  none of these`,
		Example: "  lockstep status --live\n  lockstep status --user alice@contoso.test --json\n  lockstep status --check || lockstep why",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if check && !cmd.Flags().Changed("live") {
				live = true // a check without the tests would find little
			}
			f, err := which.facts(cmd, live)
			if err != nil {
				return err
			}
			switch out := cmd.OutOrStdout(); {
			case check:
				return judge(cmd, f, asJSON)
			case asJSON:
				return status.JSON(out, status.Status(f))
			default:
				return status.Text(out, status.Status(f))
			}
		},
	}
	which.flags(cmd, true)
	cmd.Flags().BoolVar(&live, "live", false, "make the tests that need the network and the TPM: device authentication, discovery, the keys")
	cmd.Flags().BoolVar(&check, "check", false, "judge only, with live tests, and end with an exit code")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object: a member for each section, in it the labels in snake_case; with --check: exit, problems")
	return cmd
}

// judge prints the findings and ends with the exit code of the worst.
func judge(cmd *cobra.Command, f status.Facts, asJSON bool) error {
	found := status.Check(f)
	worst := status.ExitOK
	if len(found) > 0 {
		worst = found[0].Exit
	}
	out := cmd.OutOrStdout()
	if asJSON {
		if found == nil {
			found = []status.Problem{}
		}
		if err := json.NewEncoder(out).Encode(map[string]any{"exit": worst, "problems": found}); err != nil {
			return err
		}
	} else {
		if len(found) == 0 {
			_, _ = fmt.Fprintln(out, "ok")
		}
		for _, p := range found {
			_, _ = fmt.Fprintf(out, "%d  %s\n", p.Exit, p.Text)
		}
	}
	if worst != status.ExitOK {
		return exitError(worst)
	}
	return nil
}

func whyCommand() *cobra.Command {
	var which whichDevice
	var asJSON, live bool
	cmd := &cobra.Command{
		Use: "why", Args: cobra.NoArgs, Short: "Say why sign-on fails: cause, evidence, next step",
		Long: `Say why sign-on on a device fails. It looks at what keeps everything else from working,
then at the last attempts to obtain, renew or use a PRT, then at the state, and names for
each finding the cause with its code, the evidence and the next step.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := which.facts(cmd, live)
			if err != nil {
				return err
			}
			found := status.Why(f)
			if !asJSON {
				return status.WriteWhy(cmd.OutOrStdout(), found)
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			for _, one := range found {
				if err := enc.Encode(one); err != nil {
					return err
				}
			}
			return nil
		},
	}
	which.flags(cmd, true)
	cmd.Flags().BoolVar(&live, "live", true, "make the tests that need the network and the TPM")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a finding: problem, cause, code, evidence, next, trace")
	return cmd
}

func partitionsCommand() *cobra.Command {
	var which whichDevice
	var asJSON bool
	cmd := &cobra.Command{
		Use: "partitions", Args: cobra.NoArgs, Short: "List the PRTs of a device: one line for each user and kind of credential",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := which.facts(cmd, false)
			if err != nil {
				return err
			}
			all := f.Partitions()
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				for _, p := range all {
					if err := enc.Encode(p); err != nil {
						return err
					}
				}
				return notReached(cmd, f.Missing)
			}
			var rows []table.Row
			for _, p := range all {
				rows = append(rows, table.Row{p.User, p.Credential, p.Validity, p.MFA, p.MFAAt, p.Age, p.ExpiryTime, p.Sessions, p.Digest})
			}
			showTable(cmd.OutOrStdout(), "", table.Row{"user", "credential", "PRT", "MFA", "MFA at", "age", "until", "sessions", "digest"}, rows)
			return notReached(cmd, f.Missing)
		},
	}
	which.flags(cmd, true)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a PRT: user, credential, mfa, mfa_time, update_time, expiry_time, age, validity, sessions, digest")
	return cmd
}

// notReached says on the side which components a list lacks.
func notReached(cmd *cobra.Command, missing []status.Missing) error {
	for _, m := range missing {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "lockstep: %s: %s\n", m.Component, m.Reason)
	}
	return nil
}
