package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/trust"
)

func trustCommand() *cobra.Command {
	var (
		state, write         string
		shell, asJSON, hosts bool
	)
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Say what a client needs to take a running lockstep serve for the cloud",
		Long: `Say what a client needs to take a running lockstep serve for the cloud: the
certificate to trust, environment variables, hosts lines and notes for the known
clients. It changes nothing. Everything but the variables is a comment, so that a
shell can read it:

  eval "$(lockstep trust --shell)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i, err := whom(cmd.ErrOrStderr(), state)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case write != "":
				paths, err := trust.Write(i, write)
				for _, p := range paths {
					_, _ = fmt.Fprintln(out, p)
				}
				return err
			case asJSON:
				return showTrust(out, i)
			case hosts:
				_, err = io.WriteString(out, trust.Hosts(i))
			case shell:
				_, err = io.WriteString(out, trust.Shell(i))
			default:
				explainTrust(out, i)
			}
			return err
		},
	}
	f := cmd.Flags()
	stateFlag(f, &state)
	f.BoolVar(&shell, "shell", false, "print the variables only, for eval")
	f.BoolVar(&asJSON, "json", false, "print one JSON object: ca, env, hosts, names")
	f.BoolVar(&hosts, "hosts", false, "print lines for /etc/hosts only")
	f.StringVar(&write, "write", "", "write ca.pem, env and hosts into this folder")
	cmd.MarkFlagsMutuallyExclusive("shell", "json", "hosts", "write")
	cmd.AddCommand(trustFetchCommand())
	return cmd
}

// whom finds the server that is meant and says so when that was a choice. A state
// folder without a server still has a certificate to trust.
func whom(notes io.Writer, state string) (serve.Info, error) {
	i, err := serve.Find(state)
	if err == nil {
		if state == "" {
			_, _ = fmt.Fprintf(notes, "lockstep: the server with process id %d, state folder %s\n", i.PID, i.State)
		}
		return i, nil
	}
	if state == "" {
		return serve.Info{}, err
	}
	ca, absErr := filepath.Abs(filepath.Join(state, host.CAFile))
	if _, statErr := os.Stat(ca); absErr != nil || errors.Is(statErr, fs.ErrNotExist) {
		return serve.Info{}, err
	}
	_, _ = fmt.Fprintf(notes, "lockstep: no server runs on %s: this is its certificate only\n", state)
	return serve.Info{CA: ca, State: state}, nil
}

func showTrust(out io.Writer, i serve.Info) error {
	env := map[string]string{}
	for _, v := range trust.Variables(i) {
		env[v.Name] = v.Value
	}
	return json.NewEncoder(out).Encode(map[string]any{
		"ca": i.CA, "env": env, "names": i.Names, "hosts": strings.Split(strings.TrimSpace(trust.Hosts(i)), "\n"),
	})
}

func explainTrust(out io.Writer, i serve.Info) {
	var notes, hosts strings.Builder
	rows := make([]table.Row, 0, 8)
	for _, n := range trust.Notes(i) {
		rows = append(rows, table.Row{n.Client, n.Trust, n.Way})
	}
	showTable(&notes, "", table.Row{"client", "trusts", "finds the way by"}, rows)
	hosts.WriteString("Lines for /etc/hosts, for clients that know no proxy:\n" + trust.Hosts(i))
	_, _ = fmt.Fprint(out, trust.Comment("The certificate to trust, and nothing else: "+i.CA+"\n"), trust.Shell(i), trust.Comment(hosts.String()), trust.Comment(notes.String()))
}
