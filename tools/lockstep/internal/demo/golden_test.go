package demo_test

import (
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/cockroachdb/datadriven" // for the flag -rewrite, which means the same everywhere

	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// goldens is where the golden ladders are.
const goldens = "../../../ladder/testdata"

// TestGoldenLadders holds the flows of the demo to the golden ladders, over both carriers.
func TestGoldenLadders(t *testing.T) {
	for name, cfg := range map[string]lab.Config{"gRPC": {TPM: "mem:"}, "HTTPS": {TPM: "mem:", HTTPS: true}} {
		t.Run(name, func(t *testing.T) {
			l, err := lab.Start(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}()
			d := demo.New(demo.Config{Lab: l, Out: io.Discard})
			if err := d.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, ran := range d.Ran() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				spans, err := ladder.AwaitWhole(ctx, l.Traces(), ran.Trace, ran.Rows)
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				got := ladder.FormOf(ran.Flow, spans)
				if flag.Lookup("rewrite").Value.String() == "true" {
					// What is left to chance, or to a deployment, is for a person to say.
					if old, err := ladder.Golden(got.Name); err == nil {
						for call := range old.Maybe {
							got.Calls[call], got.Maybe[call] = max(got.Calls[call], old.Calls[call]), old.Maybe[call]
						}
					}
					if err := os.WriteFile(filepath.Join(goldens, got.Name+".txt"), []byte(got.Text()), 0o600); err != nil {
						t.Fatal(err)
					}
					continue
				}
				want, err := ladder.Golden(got.Name)
				if err != nil {
					t.Fatal(err)
				}
				if err := want.Compare(got); err != nil {
					t.Errorf("%v\nran:\n%s", err, got.Text())
				}
			}
		})
	}
}
