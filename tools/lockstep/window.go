package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/browsercore"
)

// windowCommand is the broker's sign-in window for people. The browser is a program of
// its own, so that nothing of it is in this one.
func windowCommand() *cobra.Command {
	var identity, broker, program string
	var fd uint
	cmd := &cobra.Command{
		Use: "window [-- flags of the browser program]", Short: "Show the token broker's sign-in pages in a browser",
		Long: "Waits for the sign-in pages of one logon session and shows them, one after the other, with the program that\n" +
			"make window builds. The logon session comes over a pipe, because it is a secret.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			session, err := browsercore.ReadSession(fd)
			if err != nil {
				return err
			}
			id, err := rpc.LoadIdentity(identity)
			if err != nil {
				return err
			}
			conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: broker, Identity: id, Server: "wam-broker"})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			return showPages(cmd.Context(), wamv1.NewWindowServiceClient(conn), session, append([]string{program}, args...))
		},
	}
	f := cmd.Flags()
	f.StringVar(&identity, "identity", "", "folder of the identity of window")
	f.StringVar(&broker, "broker", "", "address of wam-broker, such as unix:/run/lockstep/wam-broker.sock")
	f.StringVar(&program, "program", "lockstep-window", "the program that has the browser (make window)")
	f.UintVar(&fd, "session-fd", 0, "file descriptor that gives the logon session; 0 is standard input")
	return cmd
}

// showPages serves a session until ctx ends.
func showPages(ctx context.Context, broker wamv1.WindowServiceClient, session secret.Text, program []string) error {
	for ctx.Err() == nil {
		page, err := broker.AwaitInteraction(ctx, &wamv1.AwaitInteractionRequest{LogonSession: session.Reveal()})
		if err != nil && ctx.Err() == nil {
			return err
		}
		if page.GetInteraction() == nil {
			continue
		}
		final, failed := showPage(ctx, program, page.GetInteraction())
		_, err = broker.FinishInteraction(ctx, &wamv1.FinishInteractionRequest{
			LogonSession: session.Reveal(), InteractionId: page.GetInteraction().GetInteractionId(), FinalUri: final,
		})
		if err := errors.Join(failed, err); err != nil {
			return err
		}
	}
	return nil
}

// showPage has the browser program show one page, and reads where it ended: empty when
// the user closed it.
func showPage(ctx context.Context, program []string, i *authorityv1.Interaction) (string, error) {
	headers := map[string]string{}
	for _, h := range i.GetHeaders() {
		headers[h.GetName()] = h.GetValue()
	}
	in, err := json.Marshal(map[string]any{"url": i.GetUrl(), "headers": headers, "redirect_uri": i.GetRedirectUri()})
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, program[0], program[1:]...) //nolint:gosec // the user of this command names the program
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("the browser program %s: %w", program[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
