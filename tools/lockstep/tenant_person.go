package main

import (
	"context"

	"github.com/spf13/cobra"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

// personCommands play a person in front of a sign-in page.
func personCommands(d *atDoor) []*cobra.Command {
	return []*cobra.Command{
		approveCodeCommand(d), totpCommand(d), challengesCommand(d),
		answerCommand(d, "approve UPN", "Approve the second factor that waits for a user, as on a telephone", true),
		answerCommand(d, "deny UPN", "Deny the second factor that waits for a user", false),
	}
}

func approveCodeCommand(d *atDoor) *cobra.Command {
	req := &directoryv1.ApproveDeviceCodeRequest{}
	cmd := &cobra.Command{
		Use: "approve-code CODE", Short: "Sign a device in that shows a code, as on the device code page", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			req.UserCode = args[0]
			_, err := c.Person.ApproveDeviceCode(ctx, req)
			said := "code " + args[0] + " is approved for " + req.GetUserPrincipalName()
			if req.GetDecline() {
				said = "code " + args[0] + " is declined"
			}
			return done(said, map[string]any{"name": args[0], "user": req.GetUserPrincipalName()}), err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&req.UserPrincipalName, "user", "", "the user who signs in")
	f.BoolVar(&req.WithMfa, "mfa", false, "with a second factor as well")
	f.BoolVar(&req.Decline, "decline", false, "decline instead")
	_ = cmd.MarkFlagRequired("user")
	return cmd
}

func totpCommand(d *atDoor) *cobra.Command {
	return &cobra.Command{
		Use: "totp UPN", Short: "Show the one-time code that a user's app shows now", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			shown, err := c.Person.ReadOneTimeCode(ctx, &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: args[0]})
			return answer{said: shown.GetOneTimeCode(), message: map[string]any{"name": args[0], "code": shown.GetOneTimeCode()}}, err
		}),
	}
}

func challengesCommand(d *atDoor) *cobra.Command {
	var upn string
	cmd := &cobra.Command{
		Use: "challenges", Short: "List the second factors that wait for an answer", Args: cobra.NoArgs,
		RunE: d.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			l, err := c.Challenges(ctx, upn)
			return answer{list: &l}, err
		}),
	}
	cmd.Flags().StringVar(&upn, "user", "", "of this user only")
	return cmd
}

func answerCommand(d *atDoor, use, short string, approve bool) *cobra.Command {
	req := &directoryv1.AnswerChallengeRequest{Approve: approve}
	said := "denied for "
	if approve {
		said = "approved for "
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			req.UserPrincipalName = args[0]
			_, err := c.Person.AnswerChallenge(ctx, req)
			return done(said+args[0], map[string]any{"name": args[0]}), err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&req.ChallengeId, "challenge", "", "id of the challenge (default the newest)")
	if approve {
		f.Int32Var(&req.Number, "number", 0, "number that the page shows, to compare")
	}
	return cmd
}
