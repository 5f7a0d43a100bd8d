// Command identity gives the components of a cluster their identities: certificates
// whose one name is spiffe://lockstep/NAME, as the table of identities says.
//
// What lives here: the commands. What never may: a decision about a request, which is
// package signer's. Callers are the signer's pod and the bootstrap Job of a cluster.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/authority"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/bootstrap"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/signer"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

// common is what both commands need.
type common struct{ table, folder, kubeconfig string }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		stop()
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &common{}
	cmd := &cobra.Command{Use: "identity", Short: "Give the components of a cluster their identities", SilenceUsage: true}
	f := cmd.PersistentFlags()
	f.StringVar(&c.table, "table", "", "file that says which ServiceAccount is which component")
	f.StringVar(&c.folder, "ca-dir", "", "folder for the keys of the authorities, on a volume that nobody else has")
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "how to reach the cluster; empty is from inside it")
	_ = cmd.MarkPersistentFlagRequired("table")
	_ = cmd.MarkPersistentFlagRequired("ca-dir")
	cmd.AddCommand(c.signCommand(), c.bootstrapCommand())
	return cmd
}

// open reads the table and the authorities, and connects to the cluster.
func (c *common) open() (*table.Table, *authority.Set, *kubernetes.Clientset, error) {
	t, err := table.Load(c.table)
	if err != nil {
		return nil, nil, nil, err
	}
	set, err := authority.Open(c.folder, t.Order(), time.Now())
	if err != nil {
		return nil, nil, nil, err
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("way to the cluster: %w", err)
	}
	cfg.UserAgent = "lockstep-identity"
	client, err := kubernetes.NewForConfig(cfg)
	return t, set, client, err
}

func (c *common) signCommand() *cobra.Command {
	var health string
	cmd := &cobra.Command{
		Use: "sign", Short: "Answer PodCertificateRequests for the signer " + signer.Name, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, log := cmd.Context(), slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
			t, set, client, err := c.open()
			if err != nil {
				return err
			}
			door, err := openHealth(ctx, health)
			if err != nil {
				return err
			}
			defer door.close()
			events := record.NewBroadcaster(record.WithContext(ctx))
			defer events.Shutdown()
			events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
			s, err := signer.New(signer.Config{
				Client: client, Table: t, Authorities: set, Log: log, Now: time.Now,
				Events: events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "lockstep-identity"}),
			})
			if err != nil {
				return err
			}
			return s.Run(ctx, door.ready)
		},
	}
	cmd.Flags().StringVar(&health, "health", "", "answer plaintext gRPC health checks at this address: tcp:HOST:PORT")
	return cmd
}

func (c *common) bootstrapCommand() *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use: "bootstrap", Short: "Write the identities as Secrets, where they are missing or end soon", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if life < time.Hour {
				return fmt.Errorf("--life %v: an hour is the least", life)
			}
			t, set, client, err := c.open()
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
			return bootstrap.Run(cmd.Context(), bootstrap.Config{Client: client, Table: t, Authorities: set, Life: life, Log: log, Now: time.Now()})
		},
	}
	cmd.Flags().DurationVar(&life, "life", 30*24*time.Hour, "life of a certificate; it is made anew when a third is left")
	return cmd
}
