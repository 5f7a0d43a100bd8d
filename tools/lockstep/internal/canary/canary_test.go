package canary_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/canary"
)

const peopleEnv = "LOCKSTEP_CANARY_PEOPLE"

// signIns is how many session keys a run sees: 50, or what the environment says;
// make tpm-canary says 1,000.
func signIns(t *testing.T) int {
	t.Helper()
	if testing.Short() {
		t.Skip("many sign-ins in a lab of processes take their time, and -short is set")
	}
	v := os.Getenv(peopleEnv)
	if v == "" {
		return 50
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 10 {
		t.Fatalf("%s is %q: say a number from 10", peopleEnv, v)
	}
	return n
}

// looks is how often in a run the memory of all processes is taken.
const looks = 3

// taken is the memory of a process at one time.
type taken struct {
	component string
	after     int
	snapshot  *canary.Snapshot
}

// folder is a short one: sockets have paths of at most 107 bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "canary-") //nolint:usetesting // t.TempDir makes longer paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// run signs in n times and takes the memory of all processes on the way.
func (w *world) run(n int) (all []taken) {
	w.t.Helper()
	for nth := range n {
		w.firstDay(nth)
		if (nth+1)%(n/looks) != 0 {
			continue
		}
		for component, pid := range w.pids() {
			s, err := canary.Take(pid, filepath.Join(w.dir, fmt.Sprintf("memory-%s-%d", component, nth)))
			mayTrace(w.t, err)
			all = append(all, taken{component, nth + 1, s})
		}
	}
	return all
}

// cores dumps the core of every process with gcore.
func (w *world) cores() map[string]string {
	w.t.Helper()
	if os.Getenv(peopleEnv) == "" {
		w.t.Logf("core dumps are looked at only when %s is set: gdb takes its time", peopleEnv)
		return nil
	}
	gcore, err := exec.LookPath("gcore")
	if err != nil {
		w.t.Log("core dumps were not looked at: no gcore in PATH")
		return nil
	}
	cores := map[string]string{}
	for component, pid := range w.pids() {
		prefix := filepath.Join(w.dir, "core-"+component)
		out, err := exec.CommandContext(w.t.Context(), gcore, "-o", prefix, strconv.Itoa(pid)).CombinedOutput()
		if err != nil {
			w.t.Fatalf("gcore of %s: %v\n%s", component, err, out)
		}
		cores[component] = prefix + "." + strconv.Itoa(pid)
	}
	return cores
}

// holders may have keys: the identity provider makes them, the tpm-agent keeps them.
func holders(component string) bool { return component == "idp" || component == "tpm-agent" }

// TestA10_PRO01_OnlyTheAgentHoldsKeys searches all processes of a lab for all
// session keys and derived keys of many sign-ins.
func TestA10_PRO01_OnlyTheAgentHoldsKeys(t *testing.T) {
	n, dir := signIns(t), folder(t)
	w := newWorld(t, dir, "")
	memory := w.run(n)
	cores := w.cores()
	state := filepath.Join(w.device.StateDir("tpm-agent"), "tpm.state")
	w.stop()

	tpm, err := softtpm.OpenFile(state, softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tpm.Close() }()
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		t.Fatal(err)
	}
	open := w.dataKeyOpener(t, tpm)
	keys := learn(t, w.tap.tokens, tpmagenttest.Unwrapper(t, w.device.StateDir("tpm-agent"), tpm))
	w.learnDataKeys(&keys, open)
	agent := w.judge(n, keys, memory, cores)
	// The agent has the TPM in it here, so what it holds shows that the scan finds
	// what is there, in a process like the others.
	if len(agent) == 0 {
		t.Error("the process with the TPM holds no key either: the scan finds nothing")
	}
}

// judge searches everything that there is. It returns what the agent held at the
// last look.
func (w *world) judge(n int, keys truth, memory []taken, cores map[string]string) (agent map[string]int) {
	t := w.t
	t.Helper()
	if len(keys.sessions) < n || keys.signatures < n+n/10 || len(keys.derived) < 4*n {
		t.Fatalf("%d session keys, %d signatures, %d derived keys in %d sign-ins: the tap missed some", len(keys.sessions), keys.signatures, len(keys.derived), n)
	}
	needles := keys.needles(t)
	for _, m := range memory {
		found, err := m.snapshot.Search(needles)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("memory of %s after %d sign-ins, %d KiB: %v", m.component, m.after, m.snapshot.Size()>>10, kinds(found))
		if m.component == "tpm-agent" {
			agent = kinds(found)
		}
		if len(found) > 0 && !holders(m.component) {
			t.Errorf("%s holds %q", m.component, canary.Summary(found))
		}
	}
	for component, path := range cores {
		found := searchFile(t, needles, path)
		t.Logf("core of %s: %v", component, kinds(found))
		if len(found) > 0 && !holders(component) {
			t.Errorf("the core of %s holds %q", component, canary.Summary(found))
		}
	}
	w.judgeWritten(needles)
	t.Logf("%d sign-ins, %d session keys, %d derived keys searched for, %d signatures seen", n, len(keys.sessions), len(keys.derived), keys.signatures)
	return agent
}

// judgeWritten searches logs, traces and all state, of every component.
func (w *world) judgeWritten(needles *canary.Needles) {
	t := w.t
	t.Helper()
	found, err := needles.In(bytes.NewReader(w.spans.all()))
	if err != nil || len(found) > 0 || len(w.spans.all()) < 10_000 {
		t.Errorf("%d bytes of traces hold %q, %v", len(w.spans.all()), canary.Summary(found), err)
	}
	log := filepath.Join(w.dir, "log")
	if info, err := os.Stat(log); err != nil || info.Size() < 10_000 {
		t.Errorf("the log is too short to say anything: %v", err)
	}
	files := 0
	for _, root := range []string{log, filepath.Join(w.dir, "lab")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			files++
			if found := searchFile(t, needles, path); len(found) > 0 {
				t.Errorf("%s holds %q", path, canary.Summary(found))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d files and %d bytes of traces", files, len(w.spans.all()))
}

func searchFile(t *testing.T, needles *canary.Needles, path string) []canary.Found {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	found, err := needles.In(f)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
