package checks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
	"github.com/lockstep-sso/lockstep/tools/cluster/internal/sh"
)

// threePods are one that runs and was started again once, an errand that is over, and one
// whose main container waits for its init container.
const threePods = `{"items":[
{"metadata":{"name":"idp-0","namespace":"cloud"},"status":{"phase":"Running","initContainerStatuses":[{"name":"trust"}],"containerStatuses":[{"name":"idp","restartCount":1}]}},
{"metadata":{"name":"demo-x","namespace":"player"},"status":{"phase":"Succeeded","containerStatuses":[{"name":"player"}]}},
{"metadata":{"name":"late-y","namespace":"player"},"status":{"phase":"Pending","initContainerStatuses":[{"name":"pages"}],"containerStatuses":[{"name":"player","state":{"waiting":{}}}]}}]}`

// store is a Store whose kubectl knows those pods, and logs by the words in a file's name:
// pod, container, and previous. One that is not there cannot be read.
func store(t *testing.T, logs map[string]string) Store {
	t.Helper()
	dir := t.TempDir()
	for name, text := range logs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "kubectl")
	script := "#!/bin/sh\ncd " + dir + "\nif [ $3 = get ]; then cat <<'END'\n" + threePods + "\nEND\nexit; fi\nexec cat $6-$8${9}\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := kube.New(kube.Config{Shell: sh.New(sh.Config{}), Kubectl: path, Context: "kind-test"})
	if err != nil {
		t.Fatal(err)
	}
	return Store{Cluster: c, Heard: NewHeard()}
}

// TestT6_LogsOfAllThatEverRan: a password is found in whichever log it lies, and in what an
// errand printed that is gone.
func TestT6_LogsOfAllThatEverRan(t *testing.T) {
	clean := func() map[string]string {
		return map[string]string{"idp-0-trust": "a", "idp-0-idp": "b", "idp-0-idp--previous": "c", "demo-x-player": "d", "late-y-pages": "e"}
	}
	seen, err := store(t, clean()).logs(t.Context())
	if err != nil || !strings.Contains(seen, "in 5 logs of 3 pods, 1 of them ended; 0 logs were gone") {
		t.Errorf("%q, %v", seen, err)
	}
	for name := range clean() {
		logs := clean()
		logs[name] += " no devices for dave"
		if _, err := store(t, logs).logs(t.Context()); err == nil || !strings.Contains(err.Error(), "the logs has the password no devi") {
			t.Errorf("in %s: %v", name, err)
		}
	}
	s := store(t, clean())
	for _, piece := range []string{"no devices f", "or dave"} {
		if _, err := s.Heard.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.logs(t.Context()); err == nil || !strings.Contains(err.Error(), "what errands and pods said that are gone has the password") {
		t.Errorf("printed: %v", err)
	}
}

// TestALogThatIsGone: a kubelet drops logs of what ended, which is said; one of a container
// that runs has to be there.
func TestALogThatIsGone(t *testing.T) {
	all := map[string]string{"idp-0-trust": "a", "idp-0-idp": "b", "late-y-pages": "e"}
	seen, err := store(t, all).logs(t.Context())
	if err != nil || !strings.Contains(seen, "in 3 logs of 3 pods, 1 of them ended; 2 logs were gone") {
		t.Errorf("%q, %v", seen, err)
	}
	delete(all, "idp-0-idp")
	if _, err := store(t, all).logs(t.Context()); err == nil {
		t.Error("a log of a pod that runs was not read, and nothing is said")
	}
}
