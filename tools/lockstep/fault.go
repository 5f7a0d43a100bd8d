package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	faultv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/fault/v1"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/services/faulty"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// faultsAt says which stand-in a command is for.
type faultsAt struct {
	lab, device  string
	at, identity string
	within       time.Duration
	asJSON       bool
}

func faultCommand() *cobra.Command {
	var w faultsAt
	cmd := &cobra.Command{
		Use: "fault", Short: "Have calls of a component break, in a running lockstep lab or anywhere with a stand-in",
		Long: `Have calls of a component break by rules, which pkg/fault explains. In a running lockstep
lab a stand-in takes the component's place with the first rules; elsewhere, as in a
cluster, one that stands there is reached with --at and the identity of the operator.`,
		Example: "  lockstep fault set tpm-agent '(delay 200ms)'\n" +
			"  lockstep fault set idp '(answer 50126 (user \"alice@contoso.test\") (first 2))'\n" +
			"  lockstep fault set lsa-cloudap -f rules.txt --seed 7\n" +
			"  lockstep fault show tpm-agent\n" +
			"  lockstep fault clear tpm-agent\n" +
			"  lockstep fault set idp '(throttle 30s)' --at tcp:idp.lockstep-cloud.svc:9443 --identity /identities/operator",
	}
	f := cmd.PersistentFlags()
	labFlag(f, &w.lab)
	f.StringVar(&w.device, "device", "", "device whose component is meant (default the first)")
	f.StringVar(&w.at, "at", "", "address of a stand-in that is in no lab of this machine: unix:PATH or tcp:HOST:PORT")
	f.StringVar(&w.identity, "identity", "", "folder of the operator's identity, for --at")
	f.DurationVar(&w.within, "within", 0, "how long to wait for a stand-in that cannot be reached yet (default not at all)")
	f.BoolVar(&w.asJSON, "json", false, "print one JSON object: component, seed, rules with rule, seen, struck, last")
	cmd.AddCommand(w.set(), &cobra.Command{
		Use: "show COMPONENT", Short: "Show the rules of a stand-in and how often each struck", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return w.with(cmd, args[0], show) },
	}, &cobra.Command{
		Use: "clear COMPONENT", Short: "Take all rules from a stand-in: it hands every call on", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.with(cmd, args[0], func(ctx context.Context, s stand) error { return s.set(ctx, "", 0) })
		},
	})
	return cmd
}

func (w *faultsAt) set() *cobra.Command {
	var file string
	var seed uint64
	cmd := &cobra.Command{
		Use: "set COMPONENT [RULES]", Short: "Replace the rules of a component's stand-in; none are cleared by fault clear", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := rulesOf(cmd.InOrStdin(), args[1:], file)
			if err != nil {
				return err
			}
			return w.with(cmd, args[0], func(ctx context.Context, s stand) error {
				if err := s.swapIn(ctx, text); err != nil {
					return err
				}
				return s.set(ctx, text, seed)
			})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file with the rules, - is standard input")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "seed of what the rules leave to chance, to have a failure again (default one of its own)")
	return cmd
}

// rulesOf reads the rules of a command, which are some.
func rulesOf(stdin io.Reader, args []string, file string) (string, error) {
	text := strings.Join(args, "")
	switch {
	case (file == "") == (len(args) == 0):
		return "", errors.New("which rules? Give them as one argument, such as '(delay 200ms)', or a file with -f")
	case file != "":
		if file != "-" {
			f, err := os.Open(file)
			if err != nil {
				return "", fmt.Errorf("rules: %w", err)
			}
			defer func() { _ = f.Close() }()
			stdin = f
		}
		b, err := io.ReadAll(io.LimitReader(stdin, fault.MaxText+1))
		if err != nil {
			return "", fmt.Errorf("rules: %w", err)
		}
		text = string(b)
	}
	rules, err := fault.Parse(text)
	if err == nil && len(rules) == 0 {
		err = errors.New("there is no rule: say (unavailable), or use lockstep fault clear")
	}
	return text, err
}

// stand is a stand-in that a command is for.
type stand struct {
	out       io.Writer
	asJSON    bool
	component string
	device    string
	faults    faultv1.FaultServiceClient
	// lab is nil where the stand-in is in no lab of this machine.
	lab labv1.LabServiceClient
}

// with opens the ways to a stand-in for one command.
func (w *faultsAt) with(cmd *cobra.Command, component string, do func(context.Context, stand) error) (err error) {
	if err := faulty.Known(component); err != nil {
		return err
	}
	s := stand{out: cmd.OutOrStdout(), asJSON: w.asJSON, component: component, device: w.device}
	var conns []io.Closer
	defer func() {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
	}()
	if (w.at == "") != (w.identity == "") {
		return errors.New("--at and --identity belong together: where the stand-in is, and the folder of the operator's identity")
	}
	var conn *grpc.ClientConn
	if w.at != "" {
		id, err := rpc.LoadIdentity(w.identity)
		if err != nil {
			return err
		}
		if conn, err = rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: w.at, Identity: id, Server: component}); err != nil {
			return err
		}
	} else {
		i, err := theLab(cmd.ErrOrStderr(), w.lab)
		if err != nil {
			return err
		}
		whole, err := i.DialLab()
		if err != nil {
			return err
		}
		conns, s.lab = append(conns, whole), labv1.NewLabServiceClient(whole)
		if conn, err = w.inLab(i, component); err != nil {
			return err
		}
	}
	conns, s.faults = append(conns, conn), faultv1.NewFaultServiceClient(conn)
	if err := s.await(cmd.Context(), w.within); err != nil {
		return err
	}
	return do(cmd.Context(), s)
}

// await waits until the stand-in can be reached. A pod that just started may be refused by
// the network for a second or two, until its policies are there.
func (s stand) await(ctx context.Context, within time.Duration) error {
	if within <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := s.faults.DescribeRules(ctx, &faultv1.DescribeRulesRequest{}, grpc.WaitForReady(true))
	if noStandIn(err) {
		return nil // the command says what to do about it
	}
	return err
}

// inLab connects as the operator to a component of a laboratory.
func (w *faultsAt) inLab(i door.Info, component string) (*grpc.ClientConn, error) {
	switch component {
	case "idp":
		return i.DialIdP()
	case "adfs": // listens beside the idp
		return i.Dial(door.Operator, component, path.Join(path.Dir(i.IdP), component+".sock"))
	}
	d, err := i.Device(w.device)
	if err != nil {
		return nil, err
	}
	return d.Dial(component)
}

// swapIn has a laboratory put a stand-in in the component's place when there is none.
func (s stand) swapIn(ctx context.Context, rules string) error {
	_, err := s.faults.DescribeRules(ctx, &faultv1.DescribeRulesRequest{})
	if err == nil || s.lab == nil || !noStandIn(err) {
		return s.explained(err)
	}
	r, err := s.lab.PlayCommand(ctx, &labv1.PlayCommandRequest{Command: "fault " + s.component + " " + rules, Device: s.device})
	if err == nil && r.GetFailed() {
		err = errors.New(strings.TrimSpace(r.GetOutput()))
	}
	return err
}

// noStandIn says of an error that the component itself answered: it has no such service.
func noStandIn(err error) bool {
	k := prterr.KindOf(err)
	return k == prterr.NotFound || k == prterr.Denied
}

// explained says what to do about it that no stand-in is there.
func (s stand) explained(err error) error {
	if !noStandIn(err) {
		return err
	}
	if s.lab != nil {
		return fmt.Errorf("no stand-in is before %s: lockstep fault set %s '(unavailable)' puts one there", s.component, s.component)
	}
	return fmt.Errorf("what answers there is %s itself, or does not know this operator: start a stand-in at that address, as services/faulty says", s.component)
}

// set replaces the rules and shows them.
func (s stand) set(ctx context.Context, rules string, seed uint64) error {
	if _, err := s.faults.SetRules(ctx, &faultv1.SetRulesRequest{Rules: rules, Seed: seed}); err != nil {
		return s.explained(err)
	}
	return show(ctx, s)
}

// ruleState is a rule as the command prints it.
type ruleState struct {
	Rule   string `json:"rule"`
	Seen   uint64 `json:"seen"`
	Struck uint64 `json:"struck"`
	Last   string `json:"last,omitempty"`
}

func show(ctx context.Context, s stand) error {
	d, err := s.faults.DescribeRules(ctx, &faultv1.DescribeRulesRequest{})
	if err != nil {
		return s.explained(err)
	}
	states := []ruleState{}
	for _, r := range d.GetRules() {
		st := ruleState{Rule: r.GetRule(), Seen: r.GetSeen(), Struck: r.GetStruck()}
		if r.GetLast() != nil {
			st.Last = r.GetLast().AsTime().UTC().Format("2006-01-02 15:04:05")
		}
		states = append(states, st)
	}
	if s.asJSON {
		return json.NewEncoder(s.out).Encode(map[string]any{"component": d.GetComponent(), "seed": d.GetSeed(), "rules": states})
	}
	if len(states) == 0 {
		_, err := fmt.Fprintf(s.out, "nothing breaks at %s\n", d.GetComponent())
		return err
	}
	var rows []table.Row
	for _, st := range states {
		rows = append(rows, table.Row{st.Rule, st.Seen, st.Struck, st.Last})
	}
	showTable(s.out, fmt.Sprintf("%s, seed %d", d.GetComponent(), d.GetSeed()), table.Row{"rule", "fitted", "struck", "last"}, rows)
	return nil
}

// faultsOf reads the values of --fault.
func faultsOf(values []string) (map[string]string, error) {
	faults := map[string]string{}
	for _, v := range values {
		component, rules, ok := strings.Cut(v, ":")
		component = strings.TrimSpace(component)
		if !ok {
			return nil, fmt.Errorf("--fault %.80q: write 'COMPONENT: RULES', such as 'tpm-agent: (delay 200ms)'", v)
		}
		if err := faulty.Known(component); err != nil {
			return nil, fmt.Errorf("--fault: %w", err)
		}
		if _, err := fault.Parse(rules); err != nil {
			return nil, fmt.Errorf("--fault %s: %w", component, err)
		}
		faults[component] += rules + "\n"
	}
	return faults, nil
}

// tellStruck says on standard error which rules struck in a laboratory that ends.
func tellStruck(cmd *cobra.Command, l *lab.Lab) error {
	for _, key := range l.SwappedKeys() {
		d, err := l.Rules(context.WithoutCancel(cmd.Context()), key)
		if err != nil {
			return err
		}
		for _, r := range d.GetRules() {
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "fault %s: %s fitted %d calls and struck %d\n", key, r.GetRule(), r.GetSeen(), r.GetStruck())
		}
	}
	return nil
}
