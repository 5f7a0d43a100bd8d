package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/settings"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// TestLogsAreHeardBeforeTheyGo: whoever removes pods has heard them first, and says when they
// could not be heard.
func TestLogsAreHeardBeforeTheyGo(t *testing.T) {
	dir := t.TempDir()
	kubectl, calls := filepath.Join(dir, "kubectl"), filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$3 $*\" >>" + calls + "\ncase \"$*\" in *name=mute*) echo no such pod >&2; exit 1;; esac\n"
	if err := os.WriteFile(kubectl, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := kube.New(kube.Config{Shell: sh.New(sh.Config{}), Kubectl: kubectl, Context: "kind-test"})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	w := newWorld(settings.Settings{}, &said, &said)
	objects, err := kube.Split([]byte("kind: Service\nmetadata: {name: faulty, namespace: a}\n---\nkind: Deployment\nmetadata: {name: faulty, namespace: a}\n---\nkind: Deployment\nmetadata: {name: mute, namespace: a}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.drop(t.Context(), c, objects); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for line := range strings.Lines(string(raw)) {
		order = append(order, strings.Fields(line)[0])
	}
	if strings.Join(order, " ") != "logs logs delete" || !strings.Contains(string(raw), "logs -n a -l app.kubernetes.io/name=faulty --all-containers --tail=-1") {
		t.Errorf("called:\n%s", raw)
	}
	if !strings.Contains(said.String(), "the logs of mute in a could not be read before they go") || strings.Contains(said.String(), "logs of faulty") {
		t.Errorf("said:\n%s", said.String())
	}
}
