package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// flowsOf runs the binary and returns the letters of each flow, in order.
func flowsOf(t *testing.T, bin string, args ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, append([]string{"demo", "--json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("demo %v: %v\n%s", args, err, out)
	}
	var flows []string
	last := ""
	dec := json.NewDecoder(bytes.NewReader(out))
	for dec.More() {
		var o struct{ Flow, Step, From, To, What string }
		if err := dec.Decode(&o); err != nil {
			t.Fatal(err)
		}
		if o.Flow != last || o.Step == "A" {
			flows, last = append(flows, o.Flow+" "), o.Flow
		}
		flows[len(flows)-1] += o.Step
	}
	return flows
}

func TestDemoInOneProcessAndInMany(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "lockstep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	want := []string{"first_sign_in ABCDEF", "app_token ACDE", "app_token ABE", "browser_sso ABCDEF", "renewal ABCDEFG"}
	// With a stand-in before each component too, one of them slow.
	through := []string{"--processes", "--fault", "tpm-agent: (delay 1ms)"}
	for _, c := range []string{"idp", "adfs", "dsreg", "lsa-cloudap", "wam-broker"} {
		through = append(through, "--fault", c+":")
	}
	for _, args := range [][]string{{"--tpm", "mem:"}, {"--processes"}, through} {
		got := flowsOf(t, bin, args...)
		if len(got) != len(want) {
			t.Errorf("%v: %v", args, got)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%v: flow %d is %q, want %q", args, i, got[i], want[i])
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), bin, "demo", "--tpm", "unix:"+filepath.Join(t.TempDir(), "nobody"))
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("the TPM does not answer")) {
		t.Errorf("a TPM that is not there: %v\n%s", err, out)
	}
}
