package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/whatif"
)

// question is what lockstep whatif was asked.
type question struct {
	cfg                         whatif.Config
	tenants, policy, other      string
	scenario                    string
	asJSON, enrolment           bool
	users, apps, clients, holds []string
	devices, credentials, modes []string
}

func whatIfCommand() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "whatif",
		Short: "Run every sign-in under a policy file and show who is asked for what",
		Long: `Run the lattice of users, device states, credentials, browser modes and
applications under a policy file, on simulated devices with the real components,
and show for each cell whether the user got in silently, was asked for something,
or was refused, by which policy. Nothing is predicted. With --diff show only what
is different under another policy file.`,
		Example: `  lockstep whatif --policy passwordless-windows
  lockstep whatif --policy passwordless-windows --users ada --devices joined-compliant --modes native
  lockstep whatif --policy none --diff compliant-devices
  lockstep whatif --tenants mine.yaml --policy policies.yaml --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.answer(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&q.policy, "policy", "", "policy file: a path, none, or the name of an embedded one (default the policies of the tenant file)")
	f.StringVar(&q.other, "diff", "", "another policy file: show only the cells whose outcome changes with it")
	f.StringVar(&q.tenants, "tenants", "", "tenant file (default an embedded one with a user for each way to sign in)")
	f.StringVar(&q.cfg.Tenant, "tenant", "", "id or domain of the tenant in that file (default the first)")
	f.StringSliceVar(&q.users, "users", nil, "only these users, such as ada or *@contoso.test")
	f.StringSliceVar(&q.devices, "devices", nil, "only these device states: "+list(whatif.DeviceStates()))
	f.StringSliceVar(&q.credentials, "credentials", nil, "only these credentials: "+list(whatif.Credentials()))
	f.StringSliceVar(&q.modes, "modes", nil, "only these modes: "+list(whatif.Modes()))
	f.StringSliceVar(&q.apps, "apps", nil, "only these resources, by name or address, such as '*exchange*'")
	f.StringSliceVar(&q.clients, "clients", nil, "these clients, by name or id, or all (default one app and one web application)")
	f.StringVar(&q.cfg.Platform, "platform", "", "platform of the devices: windows, macos, linux, ios, android (default windows)")
	f.StringVar(&q.cfg.From, "from", "", "IP address that every request comes from (default 192.0.2.1)")
	f.StringSliceVar(&q.holds, "holds", nil, "what a tenant file cannot say of its users: USER=fido2, USER=tap or USER=certificate")
	f.StringVar(&q.scenario, "scenario", "", "run a teaching file: a path, or three-questions; fails when an answer is not the expected one")
	f.BoolVar(&q.enrolment, "enrolment", false, "have every user set up Windows Hello for the first time, with each of their methods, and list who cannot")
	f.BoolVar(&q.cfg.Check, "check", false, "also ask the identity provider's what-if query about every cell; fails when it says something else")
	f.BoolVar(&q.asJSON, "json", false, "print one JSON object a cell")
	return cmd
}

func list[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, a := range all {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
}

// words are those of a flag, each of which has to be known.
func words[T ~string](flag string, given []string, known []T) ([]T, error) {
	var out []T
	for _, g := range given {
		found := false
		for _, k := range known {
			if strings.EqualFold(g, string(k)) {
				out, found = append(out, k), true
			}
		}
		if !found {
			return nil, fmt.Errorf("--%s %s: use %s", flag, g, list(known))
		}
	}
	return out, nil
}

func (q *question) narrow() (n whatif.Narrow, err error) {
	n = whatif.Narrow{Users: q.users, Apps: q.apps, Clients: q.clients}
	var e1, e2, e3 error
	n.Devices, e1 = words("devices", q.devices, whatif.DeviceStates())
	n.Credentials, e2 = words("credentials", q.credentials, whatif.Credentials())
	n.Modes, e3 = words("modes", q.modes, whatif.Modes())
	return n, errors.Join(e1, e2, e3)
}

// answer starts the simulation and has it answer what was asked.
func (q *question) answer(cmd *cobra.Command) (err error) {
	if q.tenants != "" {
		if q.cfg.Tenants, err = os.ReadFile(q.tenants); err != nil {
			return fmt.Errorf("tenant file: %w", err)
		}
	}
	if q.cfg.Holds, err = holdings(q.holds); err != nil {
		return err
	}
	show := progress(cmd.ErrOrStderr())
	defer show("")
	q.cfg.Progress = show
	w, err := whatif.New(cmd.Context(), q.cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	switch out := cmd.OutOrStdout(); {
	case q.scenario != "":
		return q.teach(cmd.Context(), out, w)
	case q.enrolment:
		return q.enrol(cmd.Context(), out, w)
	default:
		return q.lattice(cmd.Context(), out, w)
	}
}

// holdings reads USER=CREDENTIAL.
func holdings(pairs []string) (map[string][]whatif.Credential, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	all := map[string][]whatif.Credential{}
	for _, pair := range pairs {
		user, what, _ := strings.Cut(pair, "=")
		c, err := words("holds USER=", []string{what}, []whatif.Credential{whatif.FIDO2, whatif.AccessPass, whatif.Certificate})
		if err != nil {
			return nil, err
		}
		all[user] = append(all[user], c...)
	}
	return all, nil
}

// lattice runs the cells, twice for a difference, and prints.
func (q *question) lattice(ctx context.Context, out io.Writer, w *whatif.World) error {
	narrow, err := q.narrow()
	if err != nil {
		return err
	}
	began := time.Now()
	cells, err := w.Cells(narrow)
	if err != nil {
		return err
	}
	ran, err := q.under(ctx, w, q.policy, cells)
	if err != nil {
		return err
	}
	if q.other == "" {
		q.cfg.Progress("")
		err := q.print(out, whatif.Summary(ran), ran, fmt.Sprintf("%d cells in %.1f s", len(ran), time.Since(began).Seconds()))
		return errors.Join(err, q.agreed(ran))
	}
	now, err := q.under(ctx, w, q.other, cells)
	if err != nil {
		return err
	}
	q.cfg.Progress("")
	changes := whatif.Diff(ran, now)
	if q.asJSON {
		err = writeJSON(out, changes)
	} else {
		err = q.print(out, whatif.Changes(changes), nil, fmt.Sprintf("%d of %d cells change, in %.1f s", len(changes), len(ran), time.Since(began).Seconds()))
	}
	return errors.Join(err, q.agreed(ran), q.agreed(now))
}

// agreed fails when the what-if query says something else than a cell met.
func (q *question) agreed(ran []whatif.Ran) error {
	var differ []error
	for _, r := range ran {
		if r.Answer != nil && !r.Answer.Agrees {
			differ = append(differ, fmt.Errorf("%s: %s", r.Key(), r.Answer.Differs))
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return fmt.Errorf("the what-if query says something else of %d cells: %w", len(differ), errors.Join(differ...))
}

// under runs the cells with a policy file in force.
func (q *question) under(ctx context.Context, w *whatif.World, name string, cells []whatif.Cell) ([]whatif.Ran, error) {
	document, err := policies(w, name)
	if err != nil {
		return nil, err
	}
	return w.Under(ctx, document, cells)
}

func policies(w *whatif.World, name string) ([]byte, error) {
	if name == "" {
		return w.OwnPolicies()
	}
	return whatif.PolicyFile(name)
}

func writeJSON[T any](out io.Writer, all []T) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, one := range all {
		if err := enc.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

func (q *question) print(out io.Writer, rows []whatif.Row, ran []whatif.Ran, said string) error {
	if q.asJSON {
		return writeJSON(out, ran)
	}
	var notes []string
	for i := 0; i < len(rows); {
		user, end := rows[i].User, i
		var lines []table.Row
		for ; end < len(rows) && rows[end].User == user; end++ {
			r := rows[end]
			lines = append(lines, table.Row{r.Credential, list(r.Devices), r.Desktop, r.Mode, strings.Join(r.Apps, ", "), r.Says + footnote(&notes, r.Why)})
		}
		showTable(out, user, table.Row{"credential", "device", "desktop", "mode", "application", "outcome"}, lines)
		i = end
	}
	for i, why := range notes {
		_, _ = fmt.Fprintf(out, "(%d) %s\n", i+1, why)
	}
	_, err := fmt.Fprintln(out, said)
	return err
}

// footnote is the number of a text below the tables, and nothing for an empty one.
func footnote(all *[]string, why string) string {
	if why == "" {
		return ""
	}
	i := slices.Index(*all, why)
	if i < 0 {
		i = len(*all)
		*all = append(*all, why)
	}
	return fmt.Sprintf(" (%d)", i+1)
}
