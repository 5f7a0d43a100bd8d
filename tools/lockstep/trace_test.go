package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/labserver"
)

// letters are those of the steps that trace --json prints.
func letters(t *testing.T, out string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var o struct{ Step string }
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		b.WriteString(o.Step)
	}
	return b.String()
}

func TestOBS10_TracesOfARunningLaboratory(t *testing.T) {
	laboratory(t, labserver.Config{Lab: lab.Config{TPM: "mem:"}})
	refuses(t, "no such flow has run yet", "trace", "last")
	played := does(t, "play", "join user=alice", "sign-in user=alice", "token user=alice")
	at := strings.Index(played, "\ntrace ")
	id := played[at+len("\ntrace "):][:32]
	for _, one := range []struct {
		want string
		args []string
	}{
		{"ACDE", []string{"last"}}, {"ABCDEF", []string{id}}, {"ABCDEF", []string{id[:10]}}, {"ABCDEF", []string{"last", "--flow", "first_sign_in"}},
		// As status and the sign-in log write it.
		{"ABCDEF", []string{id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]}},
	} {
		if got := letters(t, does(t, append([]string{"trace", "--json"}, one.args...)...)); got != one.want {
			t.Errorf("%v: rows %s, want %s", one.args, got, one.want)
		}
	}
	if list := does(t, "trace", "list"); strings.Count(list, "first_sign_in") != 1 || strings.Count(list, "app_token") != 1 || !strings.Contains(list, id) {
		t.Error(list)
	}
	if list := does(t, "trace", "list", "--flow", "app_token", "--json"); strings.Contains(list, id) || strings.Count(list, "trace_id") != 1 {
		t.Error(list)
	}
	if all := does(t, "trace", "list", "--all", "--limit", "1000"); strings.Count(all, "│\n") <= 3 {
		t.Errorf("the join is no flow, but a trace:\n%s", all)
	}
	if text := does(t, "trace", id, "--diagram"); !strings.Contains(text, "First sign-in") || !strings.Contains(text, "trace "+id) || !strings.Contains(text, "├─ A ─") {
		t.Error(text)
	}
	if table := does(t, "trace", id, "--hops"); !strings.Contains(table, "PRTKeyService/ImportSessionKey") {
		t.Error(table)
	}
	file := filepath.Join(t.TempDir(), "picture.svg")
	does(t, "trace", id, "--svg", file)
	if svg, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(svg), "<svg ") || !strings.Contains(string(svg), id) {
		t.Errorf("%v: %.80s", err, svg)
	}
	refuses(t, "there is no flow", "trace", "last", "--flow", "tango")
	refuses(t, "0 traces begin with", "trace", "zzz")
	refuses(t, "is not there", "trace", strings.Repeat("0", 31)+"1")
}
