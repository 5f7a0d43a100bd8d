package lab_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// twins are two devices whose identities come from authorities of their own, as the
// namespaces of a cluster have them, beside an idp.
type twins struct {
	*lab.Lab
	// bundle is whom the operator trusts, and second the authority of device-2.
	bundle string
	second []byte
	serve  func(key string)
}

// newTwins starts the idp and device-1. The operator trusts all but device-2.
func newTwins(t *testing.T) *twins {
	t.Helper()
	dir := t.TempDir()
	var authorities [][]byte
	cas := map[string]*rpc.CA{}
	for _, zone := range []string{"idp", "device-1", "device-2", "operator"} {
		ca, err := rpc.NewCA()
		must(t, err)
		id, err := ca.Issue("operator")
		must(t, err)
		must(t, id.Save(filepath.Join(dir, "operator")))
		pem, err := os.ReadFile(filepath.Join(dir, "operator", "ca.pem"))
		must(t, err)
		cas[zone], authorities = ca, append(authorities, pem)
	}
	w := &twins{bundle: filepath.Join(dir, "operator", "ca.pem"), second: authorities[2]}
	w.trust(t, authorities[0], authorities[1], authorities[3])
	d := &lab.Deployment{Identities: dir, Cloud: map[string]string{"idp": "unix:" + filepath.Join(dir, "idp")}}
	for _, name := range []string{"device-1", "device-2"} {
		parts := map[string]string{}
		for _, c := range []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore"} {
			parts[c] = "unix:" + filepath.Join(dir, name+c)
		}
		d.Devices = append(d.Devices, lab.DeployedDevice{Name: name, Components: parts})
	}
	l, err := lab.Start(t.Context(), lab.Config{Deployment: d})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	w.Lab = l
	w.serve = func(key string) {
		zone, name, _ := strings.Cut(key, "/")
		if name == "" {
			name = zone
		}
		// It trusts the operator alone, as far as this goes.
		id, err := cas[zone].Issue(name)
		must(t, err)
		own := t.TempDir()
		must(t, id.Save(own))
		must(t, os.WriteFile(filepath.Join(own, "ca.pem"), authorities[3], 0o600))
		id, err = rpc.LoadIdentity(own)
		must(t, err)
		c := clock.NewLab()
		r, err := run.Start(run.Config{Name: name, Identity: id, Network: rpc.OS{}, Listen: l.Addr(key), Env: run.Env{Clock: c, Lab: c}},
			func(*run.Env) (*run.Component, error) { return &run.Component{Service: nothing{}}, nil })
		must(t, err)
		t.Cleanup(func() { _ = r.Stop() })
	}
	w.serve("idp")
	for c := range d.Devices[0].Components {
		w.serve("device-1/" + c)
	}
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *twins) trust(t *testing.T, authorities ...[]byte) {
	t.Helper()
	var all []byte
	for _, a := range authorities {
		all = append(all, a...)
	}
	must(t, os.WriteFile(w.bundle+".new", all, 0o600))
	must(t, os.Rename(w.bundle+".new", w.bundle))
}

// second waits until all of the second device were met, and returns what was.
func second(met <-chan error) (all []error) {
	for len(all) < 5 {
		if err := <-met; strings.HasPrefix(err.Error(), "device-2/") {
			all = append(all, err)
		}
	}
	return all
}

// TestT13_AnAuthorityThatComesLater: the second device's authority is not in the bundle
// when the player starts, and comes while it waits. Its connections take it over.
func TestT13_AnAuthorityThatComesLater(t *testing.T) {
	w := newTwins(t)
	for c := range map[string]bool{"tpm-agent": true, "dsreg": true, "lsa-cloudap": true, "wam-broker": true, "browsercore": true} {
		w.serve("device-2/" + c)
	}
	met := make(chan error, 16)
	ready := make(chan error, 1)
	go func() { ready <- w.AwaitReady(t.Context(), func(err error) { met <- err }) }()
	for _, err := range second(met) {
		if !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("met %v", err)
		}
	}
	select {
	case err := <-ready:
		t.Fatalf("ready without trust in the second device: %v", err)
	default:
	}
	old, err := os.ReadFile(w.bundle)
	must(t, err)
	w.trust(t, old, w.second)
	if err := <-ready; err != nil {
		t.Error(err)
	}
}

// TestWhoDoesNotAnswerIsNamed: the end of the wait names everybody who did not answer, where
// and why: what was met there last, and not that the wait ended.
func TestWhoDoesNotAnswerIsNamed(t *testing.T) {
	w := newTwins(t)
	w.serve("device-2/dsreg")
	ctx, cancel := context.WithCancel(t.Context())
	met := make(chan error, 16)
	ready := make(chan error, 1)
	go func() { ready <- w.AwaitReady(ctx, func(err error) { met <- err }) }()
	second(met)
	cancel()
	err := <-ready
	if err == nil {
		t.Fatal("ready without the second device")
	}
	why := map[string]string{}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		name, rest, _ := strings.Cut(line, " does not answer at unix:/")
		why[name] = rest
	}
	for _, c := range []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore"} {
		want := "no such file"
		if c == "dsreg" {
			want = "unknown authority"
		}
		if got := why["device-2/"+c]; !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", c, got, want)
		}
		delete(why, "device-2/"+c)
	}
	for name, got := range why { // asked when the wait ended, on a machine that is slow
		if !strings.Contains(got, "context canceled") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
