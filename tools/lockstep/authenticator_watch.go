package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

// lookEvery is how often the telephone asks whether something waits.
const lookEvery = 300 * time.Millisecond

// watch is a telephone that lies on the table.
type watch struct {
	*phone
	out io.Writer
	// always is what is done with every question; empty waits for what is typed.
	always verb
	// once ends after the first question was dealt with.
	once bool

	client *operator.Client
	seen   map[string]bool
	// current is the newest question that was shown and not dealt with.
	current *directoryv1.Challenge
	dealt   bool
}

func (p *phone) watchCommand() *cobra.Command {
	var always string
	var once bool
	cmd := &cobra.Command{
		Use: "watch", Short: "Show what waits, as it comes: the number, the application, where from; and answer it", Args: cobra.NoArgs,
		Long: `Show what waits, as it comes: the number, the application, where from. Type what the
person does: approve NUMBER, deny, wrong-number, or ignore. Ends with Ctrl-C.`,
	}
	cmd.RunE = p.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
		switch verb(always) {
		case "", approve, deny, wrongNumber, ignore:
		default:
			return answer{}, fmt.Errorf("--answer %.20q is not approve, deny, wrong-number or ignore", always)
		}
		w := &watch{phone: p, out: cmd.OutOrStdout(), always: verb(always), once: once, client: c, seen: map[string]bool{}}
		err := w.run(ctx, typed(ctx, cmd.InOrStdin()))
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return done("the telephone is put away", map[string]any{"user": p.user}), err
	})
	f := cmd.Flags()
	f.StringVar(&always, "answer", "", "do this with every question, without being asked: approve (with the right number), deny, wrong-number, ignore")
	f.BoolVar(&once, "once", false, "end after the first question")
	return cmd
}

// typed are the lines that somebody types, until there are no more. The reader of
// a terminal cannot be stopped: it ends with the process.
func typed(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(io.LimitReader(in, 1<<20))
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

func (w *watch) run(ctx context.Context, lines <-chan string) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		if w.once && w.dealt {
			return nil
		}
		// Nobody types an answer to a question that is not there yet.
		from := lines
		if w.current == nil {
			from = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, more := <-from:
			if !more {
				lines = nil
				continue
			}
			w.hear(ctx, line)
		case <-tick.C:
		}
	}
}

// look shows what came since the last time.
func (w *watch) look(ctx context.Context) error {
	list, err := w.client.Read.ListChallenges(ctx, &directoryv1.ListChallengesRequest{UserPrincipalName: w.user})
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, c := range list.GetChallenges() {
		id := fmt.Sprint(c.GetChallengeId(), c.GetExpiresAt().AsTime().UnixNano()) // asked again is another question
		there[id] = true
		if w.seen[id] {
			continue
		}
		w.seen[id], w.current = true, c
		if err := w.show(c); err != nil {
			return err
		}
		if w.always != "" {
			w.do(ctx, w.always, c.GetNumber())
		}
	}
	for id := range w.seen {
		if !there[id] {
			delete(w.seen, id)
		}
	}
	if len(there) == 0 && w.current != nil {
		w.say("it is over")
		w.current, w.dealt = nil, true
	}
	return nil
}

func (w *watch) show(c *directoryv1.Challenge) error {
	if w.asJSON {
		return writeMessage(w.out, c)
	}
	what := "Approve the sign-in to "
	switch {
	case c.GetPhoneSignIn():
		what = "Sign in without a password to "
	case c.GetMethodId() == "TwoWayVoiceMobile":
		what = "A call, press # (approve), for the sign-in to "
	}
	line := what + orUnknown(c.GetApplication()) + " from " + orUnknown(c.GetIpAddress())
	if c.GetNumber() != 0 {
		line += "; the page shows " + operator.Number(c)
	}
	_, err := fmt.Fprintln(w.out, line)
	return err
}

func orUnknown(s string) string {
	if s == "" {
		return "somewhere unknown"
	}
	return s
}

// hear does what was typed. A line that means nothing is answered and changes nothing.
func (w *watch) hear(ctx context.Context, line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	v := verb(words[0])
	number, err := typedNumber(words[1:])
	switch {
	case v != approve && v != deny && v != wrongNumber && v != ignore:
		w.say("type approve NUMBER, deny, wrong-number or ignore")
	case err != nil:
		w.say(err.Error())
	default:
		w.do(ctx, v, number)
	}
}

func (w *watch) do(ctx context.Context, v verb, number int32) {
	said, err := w.act(ctx, w.client, v, w.current, number)
	if err != nil {
		w.say(err.Error()) // the question waits on
		return
	}
	w.say(said)
	w.current, w.dealt = nil, true
}

func (w *watch) say(text string) {
	if !w.asJSON {
		_, _ = fmt.Fprintln(w.out, text)
	}
}
