package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/tools/ladder/jaegertest"
)

// built is this program.
func built(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "lockstep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// TestOBS05_TheDemoComesBackFromJaeger runs the demo in one process and in many, has it
// send its traces to Jaeger, and holds what comes back to the golden ladders.
func TestOBS05_TheDemoComesBackFromJaeger(t *testing.T) {
	bin := built(t)
	for name, start := range map[string]func(testing.TB) jaegertest.Jaeger{"in this process": jaegertest.New, "native": jaegertest.Native} {
		t.Run(name, func(t *testing.T) {
			for _, args := range [][]string{{"--tpm", "mem:"}, {"--processes"}} {
				j := start(t)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				cmd := exec.CommandContext(ctx, bin, append([]string{"demo", "--otlp", j.OTLP}, args...)...)
				cmd.Stderr = os.Stderr
				out, err := cmd.Output()
				cancel()
				if err != nil {
					t.Fatalf("demo %v: %v\n%s", args, err, out)
				}
				readBack(t, j)
			}
		})
	}
}

// readBack reads each flow back from Jaeger with the commands that people use.
func readBack(t *testing.T, j jaegertest.Jaeger) {
	t.Helper()
	for _, flow := range step.Flows() {
		out := does(t, "ladder", "--jaeger", j.URL, "--flow", string(flow), "--check", "--hops")
		if !strings.Contains(out, "the whole flow") {
			t.Errorf("%s: %s", flow, out)
		}
	}
	// The newest app token is a later one; the first is among those that are listed.
	checked := 0
	for line := range strings.Lines(does(t, "trace", "list", "--jaeger", j.URL, "--flow", "app_token", "--json")) {
		id := line[strings.Index(line, `"trace_id":"`)+len(`"trace_id":"`):][:32]
		does(t, "ladder", "--jaeger", j.URL, "--flow", "app_token", "--trace", id, "--check")
		checked++
	}
	if checked != 2 {
		t.Errorf("%d app tokens are in Jaeger, want 2", checked)
	}
}

// TestOBS10_DiagramOfATraceInJaeger draws a trace that Jaeger has, found by its id, by the
// first digits of it, and as the newest.
func TestOBS10_DiagramOfATraceInJaeger(t *testing.T) {
	j := jaegertest.New(t)
	does(t, "demo", "--tpm", "mem:", "--otlp", j.OTLP)
	list := does(t, "trace", "list", "--jaeger", j.URL, "--flow", "renewal", "--json")
	id := list[strings.Index(list, `"trace_id":"`)+len(`"trace_id":"`):][:32]
	for _, name := range []string{id, id[:12], "last", id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]} {
		text := does(t, "trace", name, "--jaeger", j.URL, "--flow", "renewal", "--diagram")
		at := -1
		for _, letter := range "ABCDEFG" {
			next := strings.Index(text, " "+string(letter)+" ")
			if next <= at {
				t.Errorf("%s: the letters are not in order at %c:\n%s", name, letter, text)
			}
			at = next
		}
		if !strings.Contains(text, "trace "+id) {
			t.Errorf("%s: the picture is not of trace %s", name, id)
		}
	}
	if all := does(t, "trace", "list", "--jaeger", j.URL); strings.Count(all, "app_token") != 2 || strings.Count(all, "browser_sso") != 1 {
		t.Error(all)
	}
	refuses(t, "is not in Jaeger", "trace", strings.Repeat("0", 31)+"1", "--jaeger", j.URL)
	refuses(t, "0 traces in Jaeger begin with", "trace", "zzz", "--jaeger", j.URL)
	refuses(t, "there is no flow", "ladder", "--jaeger", j.URL, "--flow", "tango")
	refuses(t, "has no row of flow browser_sso", "ladder", "--jaeger", j.URL, "--flow", "browser_sso", "--trace", id)
	refuses(t, "is no address of Jaeger", "ladder", "--jaeger", "jaeger", "--flow", "renewal")
	refuses(t, "cannot be reached", "ladder", "--jaeger", "http://127.0.0.1:1", "--flow", "renewal")
	refuses(t, "no such flow has reached Jaeger", "ladder", "--jaeger", jaegertest.New(t).URL, "--flow", "renewal")
}
