package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// atDoor is what every command at the operator's door has in common.
type atDoor struct {
	state, tenant string
	asJSON        bool
	// lab is the laboratory, when the server that was found is one.
	lab *door.Info
}

func tenantCommand() *cobra.Command {
	d := &atDoor{}
	cmd := &cobra.Command{
		Use:   "tenant",
		Short: "Read and change the tenants of a running lockstep serve or lab",
		Long: `Read and change the tenants of a running lockstep serve or lockstep lab: users, devices,
applications, policies, keys, the sign-in log; and play the person in front of a
sign-in page. Changes last as long as the server does, or its --state folder.`,
	}
	f := cmd.PersistentFlags()
	stateFlag(f, &d.state)
	f.StringVar(&d.tenant, "tenant", "", "id or domain of the tenant that is meant (default all, or the only one)")
	f.BoolVar(&d.asJSON, "json", false, "print one JSON object a line")
	cmd.AddCommand(
		d.list("List the tenants", (*operator.Client).Tenants),
		userCommand(d), deviceCommand(d), appCommand(d), consentCommand(d), policyCommand(d), signInsCommand(d), messagesCommand(d), rotateKeysCommand(d), advanceCommand(d),
	)
	cmd.AddCommand(personCommands(d)...)
	return cmd
}

// work is a command at the door; it returns what to say.
type work func(ctx context.Context, c *operator.Client, args []string) (answer, error)

// answer is a list, or a message with the sentence that says it to people.
type answer struct {
	list    *operator.List
	said    string
	message any
}

// run connects, works and prints.
func (d *atDoor) run(do work) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		var i serve.Info
		if i, d.lab, err = theServer(cmd.ErrOrStderr(), d.state); err != nil {
			return err
		}
		c, err := operator.Connect(i)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		a, err := do(cmd.Context(), c, args)
		if err != nil {
			return err
		}
		return d.show(cmd.OutOrStdout(), a)
	}
}

func (d *atDoor) show(out io.Writer, a answer) error {
	switch {
	case a.list != nil && d.asJSON:
		for _, m := range a.list.Messages {
			if err := writeMessage(out, m); err != nil {
				return err
			}
		}
	case a.list != nil:
		head := make(table.Row, 0, len(a.list.Head))
		for _, h := range a.list.Head {
			head = append(head, h)
		}
		rows := make([]table.Row, 0, len(a.list.Rows))
		for _, cells := range a.list.Rows {
			row := make(table.Row, 0, len(cells))
			for _, cell := range cells {
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
		showTable(out, "", head, rows)
	case d.asJSON:
		return json.NewEncoder(out).Encode(a.message)
	default:
		_, err := fmt.Fprintln(out, a.said)
		return err
	}
	return nil
}

// writeMessage writes a message with the names of the contract, in one line: the
// library varies its blanks on purpose.
func writeMessage(out io.Writer, m proto.Message) error {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("answer as JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return fmt.Errorf("answer as JSON: %w", err)
	}
	_, err = fmt.Fprintln(out, line.String())
	return err
}

// list is a command that lists something of the tenants that are meant.
func (d *atDoor) list(short string, read func(*operator.Client, context.Context, string) (operator.List, error)) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: short, Args: cobra.NoArgs,
		RunE: d.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			l, err := read(c, ctx, d.tenant)
			return answer{list: &l}, err
		}),
	}
}

// done is the answer to a change.
func done(said string, facts map[string]any) answer {
	facts["done"] = said
	return answer{said: said, message: facts}
}

// change is a command that changes the one thing its argument names.
func (d *atDoor) change(use, short, said string, do func(context.Context, *operator.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			return done(fmt.Sprintf(said, args[0]), map[string]any{"name": args[0]}), do(ctx, c, args[0])
		}),
	}
}

func signInsCommand(d *atDoor) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "sign-ins", Short: "List the newest events of the sign-in log, oldest first", Args: cobra.NoArgs,
		RunE: d.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			l, err := c.SignIns(ctx, d.tenant, limit)
			return answer{list: &l}, err
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "number of events, at most 1000")
	return cmd
}

func advanceCommand(d *atDoor) *cobra.Command {
	return &cobra.Command{
		Use: "advance DURATION", Short: "Move the clock, as lockstep clock advance does", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			by, err := lab.ParseDuration(args[0])
			if err != nil {
				return answer{}, fmt.Errorf("how far to move the clock: %w", err)
			}
			t, err := clockOf(c, d.lab)
			if err != nil {
				return answer{}, err
			}
			now, err := t.advance(ctx, by)
			if err = errors.Join(err, t.close()); err != nil {
				return answer{}, err
			}
			said := now.Format(time.RFC3339)
			return done("it is "+said, map[string]any{"now": said}), nil
		}),
	}
}
