package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
	"github.com/lockstep-sso/lockstep/tools/ladder/jaegertest"
)

// besides starts a TPM as a tpm-agent's pod has it beside the agent: with a certificate of a
// maker of its own, at a socket. It returns the socket and the maker's certificate.
func besides(t *testing.T) (socket string, maker []byte) {
	t.Helper()
	ca, err := tpmca.Open(t.TempDir())
	ok(t, err)
	tpm, err := softtpm.New(softtpm.Config{})
	ok(t, err)
	t.Cleanup(func() { _ = tpm.Close() })
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	ok(t, err)
	_, err = tpmca.Manufacture(t.Context(), tpm, ca)
	ok(t, err)
	server, err := tpmsocket.New(tpmsocket.Config{TPM: tpm, Power: tpm, Framing: tpmsocket.SWTPM})
	ok(t, err)
	// The agent comes down after the end of the test's context.
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	path := filepath.Join(t.TempDir(), "tpm.sock")
	commands, err := rpc.OS{}.Listen("unix:" + path)
	ok(t, err)
	control, err := rpc.OS{}.Listen("unix:" + path + ".ctrl")
	ok(t, err)
	go func() { ended <- server.Serve(ctx, commands, control) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return "unix:" + path, ca.RootPEM()
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheCloudKnowsTheMakersThatItsOperatorNames: a device with a TPM beside it is what the
// operator's folder of makers makes it. Without its maker there it is one with keys in
// software, whatever the TPM shows.
func TestTheCloudKnowsTheMakersThatItsOperatorNames(t *testing.T) {
	for want, known := range map[string]bool{"emulated": true, "software": false} {
		t.Run(want, func(t *testing.T) {
			socket, maker := besides(t)
			folder := t.TempDir()
			if !known {
				_, maker = besides(t) // another one
			}
			ok(t, os.WriteFile(filepath.Join(folder, "maker.pem"), maker, 0o600))
			j := jaegertest.New(t)
			file := deployWith(t, j, map[string]map[string]string{
				"tpm-agent": {"tpm": socket, "software-keys": "refuse"}, "idp": {"tpm-makers": "emulated=" + folder},
			})
			out := does(t, "demo", "--deployment", file, "--flow", "first_sign_in")
			if !strings.Contains(out, "the tenant knows them to be "+want) {
				t.Error(out)
			}
		})
	}
}
