package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

func userCommand(d *atDoor) *cobra.Command {
	enable := func(to bool) func(context.Context, *operator.Client, string) error {
		return func(ctx context.Context, c *operator.Client, upn string) error {
			_, err := c.Admin.SetUserEnabled(ctx, &directoryv1.SetUserEnabledRequest{UserPrincipalName: upn, Enabled: to})
			return err
		}
	}
	cmd := &cobra.Command{Use: "user", Short: "Users"}
	cmd.AddCommand(
		d.list("List the users", (*operator.Client).Users),
		createUserCommand(d), updateUserCommand(d),
		d.change("disable UPN", "Keep a user out: nothing the user holds works any more", "user %s is disabled", enable(false)),
		d.change("enable UPN", "Let a user in again", "user %s is enabled", enable(true)),
		d.change("delete UPN", "Remove a user and everything the user holds", "user %s is deleted", func(ctx context.Context, c *operator.Client, upn string) error {
			_, err := c.Admin.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: upn})
			return err
		}),
		d.change("revoke UPN", "Make worthless what a user got before now", "sessions of %s are revoked", func(ctx context.Context, c *operator.Client, upn string) error {
			_, err := c.Admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: upn})
			return err
		}),
	)
	cmd.AddCommand(methodCommands(d)...)
	return cmd
}

// maxLine bounds what is read from standard input, in bytes.
const maxLine = 4096

// password takes a password from a flag or from the first line of standard
// input, where no list of processes shows it.
func password(cmd *cobra.Command, given string, stdin bool) (string, error) {
	if !stdin {
		return given, nil
	}
	if given != "" {
		return "", errors.New("--password and --password-stdin exclude each other")
	}
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("password on standard input: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("there is no password on standard input")
	}
	return line, nil
}

func createUserCommand(d *atDoor) *cobra.Command {
	var stdin bool
	req := &directoryv1.CreateUserRequest{}
	cmd := &cobra.Command{
		Use: "create UPN", Short: "Add a user; without a password one is made and shown once", Args: cobra.ExactArgs(1),
	}
	cmd.RunE = d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
		req.UserPrincipalName = args[0]
		text, err := password(cmd, req.GetPassword(), stdin)
		if err != nil {
			return answer{}, err
		}
		made := ""
		if text == "" && req.GetImmutableId() == "" {
			made = rand.Text()
			text = made
		}
		req.Password = text
		created, err := c.Admin.CreateUser(ctx, req)
		a := done("user "+args[0]+" is created with the id "+created.GetUserId(), map[string]any{"name": args[0], "id": created.GetUserId()})
		if made != "" {
			a.said += " and the password " + made
			a.message.(map[string]any)["password"] = made
		}
		return a, err
	})
	f := cmd.Flags()
	f.StringVar(&req.Password, "password", "", "the password")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	f.StringVar(&req.DisplayName, "display-name", "", "name to show (default what is before the @)")
	f.StringVar(&req.UserId, "id", "", "GUID of the user (default a new one)")
	f.StringVar(&req.ImmutableId, "immutable-id", "", "base64 name of a user of a federated domain, in place of a password")
	f.StringVar(&req.GivenName, "given-name", "", "given name")
	f.StringVar(&req.Surname, "surname", "", "surname")
	f.StringVar(&req.Mail, "mail", "", "mail address")
	f.StringVar(&req.JobTitle, "job-title", "", "job title")
	f.BoolVar(&req.MustChangePassword, "must-change-password", false, "the next interactive sign-in changes the password")
	f.BoolVar(&req.Administrator, "administrator", false, "the user may make bulk enrolment packages")
	f.BoolVar(&req.NoJoin, "no-join", false, "the user may not register devices")
	return cmd
}

func updateUserCommand(d *atDoor) *cobra.Command {
	var (
		text  string
		stdin bool
	)
	factors := &directoryv1.SetUserMethodsRequest{}
	cmd := &cobra.Command{
		Use: "update UPN", Short: "Set the password or the second factors of a user", Args: cobra.ExactArgs(1),
	}
	cmd.RunE = d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
		text, err := password(cmd, text, stdin)
		if err != nil {
			return answer{}, err
		}
		var what []string
		if text != "" {
			if _, err := c.Admin.SetUserPassword(ctx, &directoryv1.SetUserPasswordRequest{UserPrincipalName: args[0], Password: text}); err != nil {
				return answer{}, err
			}
			what = append(what, "password")
		}
		if slices.ContainsFunc([]string{"totp", "push", "phone", "phone-sign-in", "default-method"}, cmd.Flags().Changed) {
			factors.UserPrincipalName = args[0]
			if _, err := c.Admin.SetUserMethods(ctx, factors); err != nil {
				return answer{}, err
			}
			what = append(what, "second factors")
		}
		if len(what) == 0 {
			return answer{}, errors.New("nothing is to be changed: use --password, --password-stdin, --totp, --push, --phone, --phone-sign-in or --default-method")
		}
		return done(strings.Join(what, " and ")+" of "+args[0]+" are set", map[string]any{"name": args[0]}), nil
	})
	f := cmd.Flags()
	f.StringVar(&text, "password", "", "the new password; what was obtained with the old one dies")
	f.BoolVar(&stdin, "password-stdin", false, "read the new password from standard input")
	f.StringVar(&factors.TotpSecret, "totp", "", "base32 secret for one-time codes; sets all second factors, so empty takes it away")
	f.BoolVar(&factors.Push, "push", false, "an authenticator app that approves; sets all second factors")
	f.BoolVar(&factors.PhoneSignIn, "phone-sign-in", false, "the app signs in without a password; sets all second factors, so it needs --push")
	f.StringVar(&factors.PhoneNumber, "phone", "", "telephone for messages and calls, such as '+49 1701234567'; sets all second factors")
	f.StringVar(&factors.DefaultMethod, "default-method", "", "second factor that is asked for first, such as OneWaySMS; sets all second factors")
	return cmd
}
