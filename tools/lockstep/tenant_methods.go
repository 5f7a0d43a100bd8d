package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/operator"
)

// methodCommands are about how one user proves who they are; they stand below user.
func methodCommands(d *atDoor) []*cobra.Command {
	return []*cobra.Command{
		methodsCommand(d), removeMethodCommand(d), accessPassCommand(d), riskCommand(d), helloKeyCommand(d),
	}
}

func methodsCommand(d *atDoor) *cobra.Command {
	return &cobra.Command{
		Use: "methods UPN", Short: "List how a user can prove who they are, beside the password", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			l, err := c.UserMethods(ctx, args[0])
			return answer{list: &l}, err
		}),
	}
}

func removeMethodCommand(d *atDoor) *cobra.Command {
	return &cobra.Command{
		Use: "remove-method UPN METHOD", Short: "Remove a method of a user, such as a Windows Hello key, by its id in the list of methods", Args: cobra.ExactArgs(2),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			_, err := c.Admin.RemoveUserMethod(ctx, &directoryv1.RemoveUserMethodRequest{UserPrincipalName: args[0], MethodId: args[1]})
			return done("method "+args[1]+" of "+args[0]+" is removed", map[string]any{"name": args[0], "method": args[1]}), err
		}),
	}
}

func accessPassCommand(d *atDoor) *cobra.Command {
	var life time.Duration
	req := &directoryv1.IssueAccessPassRequest{}
	cmd := &cobra.Command{
		Use: "access-pass UPN", Short: "Make a Temporary Access Pass for a user, in place of an earlier one; it is shown once", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			if life%time.Second != 0 {
				return answer{}, errors.New("--lifetime is not whole seconds")
			}
			req.UserPrincipalName, req.LifetimeSeconds = args[0], int64(life/time.Second)
			made, err := c.Admin.IssueAccessPass(ctx, req)
			ends := made.GetExpiresAt().AsTime().UTC().Format(time.RFC3339)
			return done("the access pass of "+args[0]+" is "+made.GetAccessPass()+" until "+ends,
				map[string]any{"name": args[0], "access_pass": made.GetAccessPass(), "expires_at": ends}), err
		}),
	}
	f := cmd.Flags()
	f.DurationVar(&life, "lifetime", time.Hour, "how long it is good, 10m to 720h")
	f.BoolVar(&req.OneTime, "one-time", false, "good for one sign-in")
	return cmd
}

func riskCommand(d *atDoor) *cobra.Command {
	return &cobra.Command{
		Use: "risk UPN LEVEL", Short: "Set what a risk engine would say of a user: none, low, medium or high", Args: cobra.ExactArgs(2),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			_, err := c.Admin.SetUserRisk(ctx, &directoryv1.SetUserRiskRequest{UserPrincipalName: args[0], Risk: args[1]})
			return done("the risk of "+args[0]+" is "+args[1], map[string]any{"name": args[0], "risk": args[1]}), err
		}),
	}
}

// maxKeyFile bounds the file of a key: an RSA1 blob of 4,096 bits has 539 bytes.
const maxKeyFile = 8 << 10

func helloKeyCommand(d *atDoor) *cobra.Command {
	var file string
	req := &directoryv1.PutHelloKeyRequest{}
	cmd := &cobra.Command{
		Use: "put-hello-key UPN", Short: "Write a Windows Hello key into the directory, as who may write the attribute can; strict tenants do not take it", Args: cobra.ExactArgs(1),
		RunE: d.run(func(ctx context.Context, c *operator.Client, args []string) (answer, error) {
			key, err := readSmall(file, maxKeyFile)
			if err != nil {
				return answer{}, fmt.Errorf("key: %w", err)
			}
			req.UserPrincipalName, req.Key = args[0], key
			put, err := c.Admin.PutHelloKey(ctx, req)
			return done("the key of "+args[0]+" is written as "+put.GetMethodId(), map[string]any{"name": args[0], "method": put.GetMethodId()}), err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&file, "key", "", "file with the public key, a BCRYPT_RSAKEY_BLOB (RSA1)")
	f.StringVar(&req.DeviceId, "device", "", "id of the device that it is written down for")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

// readSmall reads a file of at most so many bytes.
func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s is longer than %d bytes", path, most)
	}
	return raw, err
}

func messagesCommand(d *atDoor) *cobra.Command {
	var upn string
	cmd := &cobra.Command{
		Use: "messages", Short: "List what went to telephones: text messages, calls, notices; the newest is the last", Args: cobra.NoArgs,
		RunE: d.run(func(ctx context.Context, c *operator.Client, _ []string) (answer, error) {
			l, err := c.Messages(ctx, upn)
			return answer{list: &l}, err
		}),
	}
	cmd.Flags().StringVar(&upn, "user", "", "to this user only")
	return cmd
}
