package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// scripted is a Cluster whose kubectl is a shell script: it gets the arguments and a
// folder to remember in, $DIR.
func scripted(t *testing.T, script string, progress *bytes.Buffer) *Cluster {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "kubectl")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nDIR="+dir+"\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Shell: sh.New(sh.Config{}), Kubectl: path, Context: "kind-test", Progress: progress, Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const two = `
apiVersion: v1
kind: Namespace
metadata:
  name: a
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: a
  labels: {note: "---"}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "x/web:1"}
      initContainers:
      - {name: i, image: "x/init:1"}
`

func TestSplitImagesPodsMissing(t *testing.T) {
	all, err := Split([]byte(two))
	if err != nil || len(all) != 2 || all[1].ID() != "Deployment a/web" {
		t.Fatalf("Split: %v %v", all, err)
	}
	again, err := Split(Join(all))
	if err != nil || len(again) != 2 || !bytes.Equal(again[1].Text, all[1].Text) {
		t.Errorf("Split of Join: %v %v", again, err)
	}
	images, err := Images(all)
	if err != nil || strings.Join(images, " ") != "x/init:1 x/web:1" {
		t.Errorf("Images: %v %v", images, err)
	}
	pods, err := Pods(all)
	if err != nil || len(pods) != 1 {
		t.Fatalf("Pods: %v %v", pods, err)
	}
	var pod struct {
		Kind     string
		Metadata struct{ Labels map[string]string }
		Spec     struct{ Containers []any }
	}
	if err := json.Unmarshal(pods[0].Text, &pod); err != nil || pod.Kind != "Pod" || pod.Metadata.Labels["app"] != "web" || len(pod.Spec.Containers) != 1 {
		t.Errorf("pod: %+v %v", pod, err)
	}
	if gone := Missing(all, all[:1]); len(gone) != 1 || gone[0].Name != "web" {
		t.Errorf("Missing: %v", gone)
	}
	if _, err := Split([]byte("kind: Pod\n")); err == nil {
		t.Error("a manifest without a name is taken")
	}
}

// The user's current context may be anything, so a Cluster without one of its own is
// not made, and every call names it.
func TestOnlyTheNamedCluster(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("a Cluster without a context is made")
	}
	c := scripted(t, `echo "$@"`, &bytes.Buffer{})
	out, err := c.Kubectl(t.Context(), "get", "pods")
	if err != nil || string(out) != "--context kind-test get pods\n" {
		t.Errorf("kubectl was called with %q, %v", out, err)
	}
}

const workloads = `{"items":[{"kind":"Deployment","metadata":{"name":"web","namespace":"a","generation":2},
"spec":{"replicas":1},"status":{"observedGeneration":2,"replicas":1,"updatedReplicas":1,"readyReplicas":%s}}]}`

// A wait whose time is over says what is not ready, and shows pods, events and logs.
func TestWaitThatEndsBadlyDiagnoses(t *testing.T) {
	all, err := Split([]byte(two))
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	c := scripted(t, `
case "$*" in
*deployments*) cat <<'X'
`+strings.Replace(workloads, "%s", "0", 1)+`
X
;;
*"pods -n a -o wide"*) echo web-1 CrashLoopBackOff;;
*events*) echo BackOff restarting;;
*"-o json pods -n a"*) echo '{"items":[{"metadata":{"name":"web-1","namespace":"a"},"status":{"containerStatuses":[{"name":"c","restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}]}';;
*--previous*) echo it said before;;
*logs*) echo it says;;
*) echo "not expected: $*" >&2; exit 1;;
esac`, &said)
	err = c.WaitReady(t.Context(), all, 300*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "web (a)") {
		t.Errorf("WaitReady: %v", err)
	}
	for _, want := range []string{"0 of 1 ready, waiting for web (a)", "web-1 CrashLoopBackOff", "BackOff restarting", "it says", "it said before", "2 restarts"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("not shown: %q in\n%s", want, &said)
		}
	}
	if strings.Contains(said.String(), "not expected") {
		t.Error(said.String())
	}
}

// A rollout is over when the old pods are gone too, and an API that fails now and then
// does not end the wait.
func TestWaitEndsWhenReady(t *testing.T) {
	all, err := Split([]byte(two))
	if err != nil {
		t.Fatal(err)
	}
	c := scripted(t, `
echo x >> $DIR/calls
case $(wc -l < $DIR/calls) in
1) exit 1;;
2|3) cat <<'X'
`+strings.Replace(workloads, "%s", "0", 1)+`
X
;;
*) cat <<'X'
`+strings.Replace(workloads, "%s", "1", 1)+`
X
;;
esac`, &bytes.Buffer{})
	if err := c.WaitReady(t.Context(), all, time.Minute); err != nil {
		t.Error(err)
	}
	var w workload
	for text, ready := range map[string]bool{
		strings.Replace(workloads, "%s", "1", 1): true,
		strings.Replace(strings.Replace(workloads, "%s", "1", 1), `"replicas":1,"upd`, `"replicas":2,"upd`, 1): false,
		strings.Replace(strings.Replace(workloads, "%s", "1", 1), `"generation":2`, `"generation":3`, 1):       false,
	} {
		var list struct{ Items []workload }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		if w = list.Items[0]; w.ready() != ready {
			t.Errorf("%s: ready is %v", text, w.ready())
		}
	}
}

const job = `{"kind":"Job","metadata":{"name":"like","namespace":"a"},"spec":{"template":{"spec":{"containers":[{"name":"c","args":["old"]}]}}}}`

// The output of a Job comes once, whole, though the stream of its log breaks off, and
// its exit code is the container's.
func TestRunTakesABrokenLogUpAgain(t *testing.T) {
	c := scripted(t, `
running='{"items":[{"metadata":{"name":"demo-1"},"status":{"containerStatuses":[{"state":{"running":{}}}]}}]}'
case "$*" in
*delete*) cat > /dev/null;;
*create*) cat > $DIR/created;;
*job-name=demo*) echo "$running";;
*logs*) echo x >> $DIR/logs
  echo one; [ $(wc -l < $DIR/logs) -gt 1 ] || exit 1
  echo two;;
*"pod demo-1"*) [ $(wc -l < $DIR/logs) -gt 1 ] && echo '{"status":{"containerStatuses":[{"state":{"terminated":{"exitCode":7}}}]}}' || echo '{"status":{"containerStatuses":[{"state":{"running":{}}}]}}';;
*) echo "not expected: $*" >&2; exit 1;;
esac`, &bytes.Buffer{})
	var out bytes.Buffer
	e := Errand{Like: Object{Kind: "Job", Namespace: "a", Name: "like", Text: []byte(job)}, Name: "demo", Args: []string{"demo", "--x"}, Start: time.Minute, Within: time.Minute}
	code, err := c.Run(t.Context(), e, &out)
	if err != nil || code != 7 {
		t.Errorf("exit code %d, %v", code, err)
	}
	if out.String() != "one\ntwo\n" {
		t.Errorf("output %q", out.String())
	}
	created, err := os.ReadFile(filepath.Join(filepath.Dir(c.cfg.Kubectl), "created"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(created), `"args":["demo","--x"]`) || !strings.Contains(string(created), `"name":"demo"`) || !strings.Contains(string(created), `"activeDeadlineSeconds":120`) {
		t.Errorf("created %s", created)
	}
}

// A pod that does not start in time is diagnosed.
func TestRunThatDoesNotStart(t *testing.T) {
	var said bytes.Buffer
	c := scripted(t, `
case "$*" in
*delete*|*create*) cat > /dev/null;;
*job-name=demo*) echo '{"items":[]}';;
*"-o wide"*) echo demo-1 Pending;;
*) echo '{"items":[]}';;
esac`, &said)
	e := Errand{Like: Object{Kind: "Job", Namespace: "a", Name: "like", Text: []byte(job)}, Name: "demo", Start: 200 * time.Millisecond, Within: time.Second}
	if _, err := c.Run(context.Background(), e, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "waited 200ms for the start of demo") {
		t.Errorf("Run: %v", err)
	}
	if !strings.Contains(said.String(), "demo-1 Pending") {
		t.Errorf("not shown: %s", &said)
	}
}

// What is behind a tag is part of the pod's template, so that new images make new pods.
func TestStamp(t *testing.T) {
	all, err := Split([]byte(two))
	if err != nil {
		t.Fatal(err)
	}
	stamp := func(id string) string {
		stamped, err := Stamp(all, map[string]string{"x/web:1": id})
		if err != nil || len(stamped) != 2 || !bytes.Equal(stamped[0].Text, all[0].Text) {
			t.Fatalf("Stamp: %v %v", stamped, err)
		}
		return string(stamped[1].Text)
	}
	one, other := stamp("sha256:aaaa"), stamp("sha256:bbbb")
	if one == other || one != stamp("sha256:aaaa") || !strings.Contains(one, `"lockstep.dev/images":"aaaa"`) || !strings.Contains(one, `"app":"web"`) {
		t.Errorf("stamped:\n%s\n%s", one, other)
	}
}

// TestStampOfTrust: pods of a namespace that trusts somebody else than before are others,
// those of the rest stay.
func TestStampOfTrust(t *testing.T) {
	stamp := func(trusts string) (cloud, device string) {
		all, err := Split([]byte(`apiVersion: v1
kind: ConfigMap
metadata: {name: identities, namespace: signing}
data:
  table.yaml: |
    namespaces:
      cloud: {trusts: [` + trusts + `]}
      device-1: {trusts: [device-1, cloud]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: idp, namespace: cloud}
spec: {template: {spec: {containers: [{name: c, image: "x/idp:1"}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: dsreg, namespace: device-1}
spec: {template: {spec: {containers: [{name: c, image: "x/dsreg:1"}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: another, namespace: cloud}
data: {rules: x}
`))
		if err != nil {
			t.Fatal(err)
		}
		stamped, err := Stamp(all, nil)
		if err != nil || len(stamped) != 4 {
			t.Fatal(stamped, err)
		}
		return string(stamped[1].Text), string(stamped[2].Text)
	}
	cloud, device := stamp("cloud, device-1")
	again, _ := stamp("device-1, cloud")
	more, same := stamp("cloud, device-1, device-2")
	if !strings.Contains(cloud, `"lockstep.dev/trusts":"cloud device-1"`) || cloud != again || cloud == more || device != same {
		t.Errorf("stamped:\n%s\n%s\n%s\n%s\n%s", cloud, again, more, device, same)
	}
}
