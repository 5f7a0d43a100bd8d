package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/services/browsercore"
	"github.com/lockstep-sso/lockstep/services/telemetry"
	"github.com/lockstep-sso/lockstep/tools/ladder/jaegertest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/components"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// actors are those whose identities a player has.
func actors() []string {
	return []string{"logonui", "app", "window", "browser", "settings", "operator"}
}

// deploy starts the components as a cluster has them: each with an identity out of a
// folder, over TCP, with what its own binary is given; and returns the deployment file.
func deploy(t *testing.T, j jaegertest.Jaeger) string {
	t.Helper()
	return deployWith(t, j, nil)
}

// deployWith is deploy with further settings of components, by their names.
func deployWith(t *testing.T, j jaegertest.Jaeger, further map[string]map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for _, name := range []string{"idp", "adfs", "tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore"} {
		at[name] = "tcp:127.0.0.1:" + freePort(t)
	}
	for _, name := range append(actors(), "observer", "idp", "adfs", "tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore") {
		id, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Save(filepath.Join(dir, "identities", name)); err != nil {
			t.Fatal(err)
		}
	}
	peers := map[string]string{}
	maps.Copy(peers, at)
	settings := map[string]map[string]string{
		"tpm-agent":   {"tpm": "mem:", "spare-key-sets": "0"},
		"lsa-cloudap": {"sign-in-url": lab.SignInOrigin}, "wam-broker": {"sign-in-url": lab.SignInOrigin},
	}
	for name, more := range further {
		if settings[name] == nil {
			settings[name] = map[string]string{}
		}
		maps.Copy(settings[name], more)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	// As in a pod without a way out: a spool takes what the tpm-agent exports, and a pump
	// fetches it.
	otlp := map[string]string{}
	sides := [][]string{}
	if j.OTLP != "" {
		otlp["tpm-agent"], at["spool"], at["pump"] = "unix:"+filepath.Join(dir, "otlp.sock"), "tcp:127.0.0.1:"+freePort(t), "none"
		sides = append(sides,
			[]string{"spool", "--receive", otlp["tpm-agent"], "--listen", at["spool"], "--identity", filepath.Join(dir, "identities", "tpm-agent"), "--log", "off"},
			[]string{"pump", "--spool", at["spool"], "--identity", filepath.Join(dir, "identities", "observer"), "--otlp", j.OTLP, "--log", "off"})
	}
	for _, args := range sides {
		cmd := telemetry.Command()
		cmd.SetArgs(args)
		go func() { ended <- cmd.ExecuteContext(ctx) }()
	}
	start := func(name string, wire run.Wire) {
		go func() {
			ended <- run.Process(ctx, name, run.Flags{
				Listen: at[name], Identity: filepath.Join(dir, "identities", name), State: filepath.Join(dir, "state", name),
				Peers: peers, OTLP: cmp.Or(otlp[name], j.OTLP), LogLevel: "off", Lab: true, Set: settings[name],
			}, wire)
		}()
	}
	for name, wire := range components.Wires() {
		if at[name] != "" {
			start(name, wire)
		}
	}
	start("browsercore", browsercore.Wire)
	t.Cleanup(func() {
		cancel()
		for range at {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	file := filepath.Join(dir, "deployment.yaml")
	text := fmt.Sprintf("otlp: %s\njaeger: %s\nidentities: %s\ncloud:\n  idp: %s\n  adfs: %s\ndevices:\n- name: device-1\n  components:\n", j.OTLP, j.URL, filepath.Join(dir, "identities"), at["idp"], at["adfs"])
	for _, c := range []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "browsercore"} {
		text += "    " + c + ": " + at[c] + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func freePort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestOBS05_TheDemoOfADeployment runs the demo twice against components that are elsewhere,
// and holds what comes back from Jaeger to the golden ladders.
func TestOBS05_TheDemoOfADeployment(t *testing.T) {
	for name, start := range map[string]func(testing.TB) jaegertest.Jaeger{"Jaeger in this process": jaegertest.New, "native Jaeger": jaegertest.Native} {
		t.Run(name, func(t *testing.T) {
			j := start(t)
			file := deploy(t, j)
			for range 2 {
				out := does(t, "demo", "--deployment", file)
				if !strings.Contains(out, "all 24 documented rows ran, in order") || strings.Count(out, ", trace ") != 5 {
					t.Error(out)
				}
				for _, flow := range []string{"first_sign_in", "app_token", "browser_sso", "renewal"} {
					does(t, "ladder", "--jaeger", j.URL, "--flow", flow, "--check")
				}
			}
			out := does(t, "demo", "--deployment", file, "--flow", "browser_sso", "--hops")
			if !strings.Contains(out, "all 6 documented rows of the flow ran") || !strings.Contains(out, "NativeHostService/ExchangeMessage") || strings.Contains(out, "first sign-in") {
				t.Error(out)
			}
		})
	}
}

// TestADeploymentThatIsNotThereIsNamed: what does not answer is said, within the time that
// the caller gives.
func TestADeploymentThatIsNotThereIsNamed(t *testing.T) {
	file := deploy(t, jaegertest.Jaeger{})
	d, err := lab.ReadDeployment(file)
	if err != nil {
		t.Fatal(err)
	}
	d.Devices[0].Components["dsreg"] = "tcp:127.0.0.1:1"
	l, err := lab.Start(t.Context(), lab.Config{Deployment: d})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := l.AwaitReady(ctx, func(err error) { t.Log(err) }); err == nil || !strings.Contains(err.Error(), "device-1/dsreg does not answer at tcp:127.0.0.1:1") {
		t.Error(err)
	}
	// Another actor's identity in the folder of one is refused before anything is sent.
	d.Identities = t.TempDir()
	if err := os.Rename(filepath.Join(filepath.Dir(file), "identities", "app"), filepath.Join(d.Identities, "logonui")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Dial(t.Context(), "logonui", "device-1/lsa-cloudap"); err == nil || !strings.Contains(err.Error(), "it is that of app") {
		t.Error(err)
	}
}

// TestFLT01_AScriptPlaysInADeployment: persons act where the components are elsewhere, a
// command that may fail does not end the play, and what is not for there is refused by name.
func TestFLT01_AScriptPlaysInADeployment(t *testing.T) {
	file := deploy(t, jaegertest.Jaeger{})
	out := does(t, "play", "--deployment", file, "--", "-leave", "join user=alice", "-sign-in user=alice password=wrong",
		"sign-in user=alice", "token user=alice fresh", "sign-out user=alice", "advance by=5h", "sign-in user=alice", "state")
	for _, want := range []string{
		"> sign-in user=alice password=wrong\nerror (unauthenticated): AADSTS50126", "checked by the identity provider\ntrace ",
		"access token of alice@contoso.test for https://graph.microsoft.com", "checked from the cache\ntrace ", "alice@contoso.test password: PRT-1",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	for line, want := range map[string]string{
		"restart component=idp":       `"restart" is not for a deployment`,
		"offline":                     `"offline" is not for a deployment`,
		"fault idp (unavailable)":     "is idp itself: deploy the overlay with a stand-in for it first",
		"fault toaster (unavailable)": `the deployment has no component "device-1/toaster"`,
	} {
		if out, err := command(t, "play", "--deployment", file, line); err == nil || !strings.Contains(out+err.Error(), want) {
			t.Errorf("%s: it does not say %q:\n%s%v", line, want, out, err)
		}
	}
}

// TestFLT05_AClockOfBeforeIsCaughtUp: a cloud whose clock an earlier play moved gives
// certificates that are of the future of a device that came later, until both have one time.
func TestFLT05_AClockOfBeforeIsCaughtUp(t *testing.T) {
	file := deploy(t, jaegertest.Jaeger{})
	d, err := lab.ReadDeployment(file)
	ok(t, err)
	l, err := lab.Start(t.Context(), lab.Config{Deployment: d})
	ok(t, err)
	defer func() { _ = l.Close() }()
	conn, err := l.Dial(t.Context(), "operator", "idp")
	ok(t, err)
	_, err = labv1.NewClockServiceClient(conn).AdvanceClock(t.Context(), &labv1.AdvanceClockRequest{By: durationpb.New(30 * time.Hour)}, grpc.WaitForReady(true))
	ok(t, err)
	out := does(t, "play", "--deployment", file, "join user=alice", "sign-in user=alice", "advance by=5h", "sign-in user=alice")
	if !strings.Contains(out, "checked by the identity provider") {
		t.Error(out)
	}
	ok(t, l.AwaitReady(t.Context(), func(err error) { t.Error(err) }))
	if ahead := l.Ahead(); ahead < 34*time.Hour || ahead > 36*time.Hour {
		t.Errorf("the deployment is %v ahead", ahead)
	}
}
