// Command images makes the images of Lockstep: programs, archives without a registry or
// a daemon, lists of what is in them, and signatures.
//
// What lives here: the commands. What never may: anything that a program needs to run.
// Callers are the targets of the Makefile.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/tools/images/internal/distro"
	"github.com/lockstep-sso/lockstep/tools/images/internal/list"
	"github.com/lockstep-sso/lockstep/tools/images/internal/sign"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		stop()
		os.Exit(1)
	}
}

func root() *cobra.Command {
	s := &shop{}
	cmd := &cobra.Command{Use: "images", Short: "Make the images of Lockstep", SilenceUsage: true}
	f := cmd.PersistentFlags()
	f.StringVar(&s.root, "root", ".", "the repository")
	f.StringVar(&s.out, "out", "bin/images", "folder for what is made")
	f.StringVar(&s.tag, "tag", "dev", "tag of the images")
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		s.log = cmd.OutOrStdout()
		s.out, err = filepath.Abs(s.out)
		return err
	}
	cmd.AddCommand(s.archivesCommand(), s.dockerCommand(), s.signCommand(), s.verifyCommand())
	return cmd
}

// chosen are the names that a command has as arguments, or all.
func (s *shop) chosen(args []string) (built []list.Image, taken []string, err error) {
	taken = slices.DeleteFunc(slices.Clone(args), func(n string) bool { return !slices.Contains(distro.Names(), n) })
	names := slices.DeleteFunc(slices.Clone(args), func(n string) bool { return slices.Contains(taken, n) })
	if len(args) > 0 && len(names) == 0 {
		return nil, taken, nil
	}
	built, err = list.Read(s.root, names)
	return built, taken, err
}

func (s *shop) archivesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "archives [NAME...]", Short: "Write OUT/NAME.tar, for kind load image-archive, and OUT/NAME.cdx.json, what is in it",
		Long: "Write OUT/NAME.tar, for kind load image-archive, and OUT/NAME.cdx.json, what is in it. Without names it is\nall of " + list.Path +
			"; those of the distribution, " + strings.Join(distro.Names(), " and ") + ", are named.",
		RunE: func(cmd *cobra.Command, args []string) error {
			built, taken, err := s.chosen(args)
			if err != nil {
				return err
			}
			if err := s.programs(cmd.Context(), built); err != nil {
				return err
			}
			for _, i := range built {
				if _, err := s.archive(i); err != nil {
					return err
				}
			}
			for _, name := range taken {
				if _, err := s.distribution(cmd.Context(), name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (s *shop) dockerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "docker [NAME...]", Short: "Have Docker build images from deploy/images/Dockerfile",
		RunE: func(cmd *cobra.Command, args []string) error {
			built, taken, err := s.chosen(args)
			if err != nil {
				return err
			}
			if len(taken) > 0 {
				return fmt.Errorf("%v: images of the distribution are made as archives, which docker load takes", taken)
			}
			if err := s.programs(cmd.Context(), built); err != nil {
				return err
			}
			for _, i := range built {
				if err := s.docker(cmd.Context(), i); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// made are the names of the images that are in the folder.
func (s *shop) made() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.out, "*.digest"))
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".digest")
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no image in %s", s.out)
	}
	return files, err
}

func (s *shop) signCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "sign", Short: "Sign the digest of each archive: OUT/NAME.payload.json and OUT/NAME.sig", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := sign.Key(path)
			if err != nil {
				return err
			}
			names, err := s.made()
			if err != nil {
				return err
			}
			facts := map[string]string{"revision": s.revision(cmd.Context())}
			for _, name := range names {
				digest, err := s.digest(name)
				if err != nil {
					return err
				}
				body, signature, err := sign.Sign(key, s.repository(name), digest, facts)
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(s.out, name+".payload.json"), body, 0o600); err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(s.out, name+".sig"), signature, 0o600); err != nil {
					return err
				}
			}
			s.say("%d images are signed", len(names))
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "key", "", "file with the key in PKCS#8; it is made when it is not there")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func (s *shop) verifyCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "verify", Short: "Check archives against their signatures", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			key, err := sign.PublicKey(path)
			if err != nil {
				return err
			}
			names, err := s.made()
			if err != nil {
				return err
			}
			for _, name := range names {
				if err := s.verify(key, name); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			s.say("%d images are what was signed", len(names))
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "key", "", "file with the public key")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}
