package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

// phone is the telephone of one person.
type phone struct {
	atDoor
	user string
}

func authenticatorCommand() *cobra.Command {
	p := &phone{}
	cmd := &cobra.Command{
		Use:   "authenticator",
		Short: "Play a person's telephone for a running lockstep serve: authenticator app, text messages, calls",
		Long: `Play a person's telephone for a running lockstep serve: the authenticator app that
approves sign-ins and shows codes, text messages, and calls. The server's contract
PersonService is the same for programs.`,
	}
	f := cmd.PersistentFlags()
	stateFlag(f, &p.state)
	f.StringVar(&p.user, "user", "", "whose telephone it is, such as mia@contoso.test")
	f.BoolVar(&p.asJSON, "json", false, "print one JSON object a line")
	_ = cmd.MarkPersistentFlagRequired("user")
	cmd.AddCommand(p.watchCommand(), p.answerCommand("approve [NUMBER]", "Approve what waits, with the number that the page shows", approve),
		p.answerCommand("deny", "Deny what waits", deny), p.answerCommand("wrong-number", "Approve what waits with another number than the page shows", wrongNumber),
		p.pairCommand(), p.codeCommand(), p.inboxCommand())
	return cmd
}

// verb is what a person does with a question.
type verb string

const (
	approve     verb = "approve"
	deny        verb = "deny"
	wrongNumber verb = "wrong-number"
	// ignore lets the question end by itself.
	ignore verb = "ignore"
)

// act does it and says so. Number is what the person typed, 0 for nothing.
func (p *phone) act(ctx context.Context, c *operator.Client, v verb, w *directoryv1.Challenge, number int32) (string, error) {
	req := &directoryv1.AnswerChallengeRequest{UserPrincipalName: p.user, ChallengeId: w.GetChallengeId(), Approve: v != deny, Number: number}
	switch v {
	case ignore:
		return "ignored: it ends by itself", nil
	case wrongNumber:
		if w.GetNumber() == 0 {
			return "", errors.New("there is no number to get wrong")
		}
		req.Number = 10 + (w.GetNumber()-10+1)%90 // another of 10 to 99
	case deny:
		req.Number = 0
	case approve:
	}
	_, err := c.Person.AnswerChallenge(ctx, req)
	return map[verb]string{approve: "approved", deny: "denied", wrongNumber: "answered with " + strconv.Itoa(int(req.GetNumber()))}[v], err
}

// newest is the newest question that waits for the person.
func (p *phone) newest(ctx context.Context, c *operator.Client) (*directoryv1.Challenge, error) {
	list, err := c.Read.ListChallenges(ctx, &directoryv1.ListChallengesRequest{UserPrincipalName: p.user})
	if err != nil {
		return nil, err
	}
	all := list.GetChallenges()
	if len(all) == 0 {
		return nil, errors.New("nothing waits on the telephone of " + p.user + ": begin at the sign-in page")
	}
	return all[len(all)-1], nil
}

func (p *phone) answerCommand(use, short string, v verb) *cobra.Command {
	args := cobra.NoArgs
	if v == approve {
		args = cobra.MaximumNArgs(1)
	}
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: p.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			number, err := typedNumber(args)
			if err != nil {
				return answer{}, err
			}
			w, err := p.newest(ctx, c)
			if err != nil {
				return answer{}, err
			}
			said, err := p.act(ctx, c, v, w, number)
			return done(said, map[string]any{"challenge": w.GetChallengeId(), "user": p.user}), err
		}),
	}
}

// typedNumber is the number after approve, 0 without one.
func typedNumber(args []string) (int32, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(args[0], 10, 32)
	if err != nil || n < 10 || n > 99 {
		return 0, fmt.Errorf("%.20q is not a number that a page shows: those are 10 to 99", args[0])
	}
	return int32(n), nil
}

func (p *phone) pairCommand() *cobra.Command {
	req := &directoryv1.PairAuthenticatorRequest{}
	cmd := &cobra.Command{
		Use: "pair CODE", Short: "Take the activation code that the registration page shows", Args: cobra.ExactArgs(1),
		RunE: p.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			req.UserPrincipalName, req.ActivationCode = p.user, args[0]
			_, err := c.Person.PairAuthenticator(ctx, req)
			return done("paired with "+p.user, map[string]any{"user": p.user}), err
		}),
	}
	cmd.Flags().StringVar(&req.DeviceName, "name", "", "name of the telephone, such as Pixel 9")
	cmd.Flags().BoolVar(&req.PhoneSignIn, "phone-sign-in", false, "turn on signing in without a password")
	return cmd
}

func (p *phone) codeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "code", Short: "Show the one-time code of now", Args: cobra.NoArgs,
		RunE: p.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			shown, err := c.Person.ReadOneTimeCode(ctx, &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: p.user})
			return answer{said: shown.GetOneTimeCode(), message: map[string]any{"user": p.user, "code": shown.GetOneTimeCode()}}, err
		}),
	}
}

func (p *phone) inboxCommand() *cobra.Command {
	return &cobra.Command{
		Use: "messages", Short: "List the text messages, calls and notices, the newest last", Args: cobra.NoArgs,
		RunE: p.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			l, err := c.Messages(ctx, p.user)
			return answer{list: &l}, err
		}),
	}
}
