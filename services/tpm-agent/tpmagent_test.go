package tpmagent_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// TestConformance holds the agent to its contract, on the TPM in software.
func TestConformance(t *testing.T) {
	tpmagenttest.Run(t, tpmagenttest.Start(t, tpmagent.Config{NativeSessionKeys: true}).Dial)
}

// TestT3_KeysAreOfOnePartition: who may use one user's key uses no other's with it.
func TestT3_KeysAreOfOnePartition(t *testing.T) {
	tpmagenttest.OtherPartitions(t, tpmagenttest.Start(t, tpmagent.Config{}))
}

// TestDEP08_OnSWTPM is the same suite on a TPM that is not ours.
func TestDEP08_OnSWTPM(t *testing.T) {
	needSWTPM(t)
	tpmagenttest.Run(t, tpmagenttest.Start(t, tpmagent.Config{TPM: "swtpm:", NativeSessionKeys: true}).Dial)
}

func needSWTPM(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("swtpm"); errors.Is(err, exec.ErrNotFound) {
		if os.Getenv("LOCKSTEP_NEED_SWTPM") != "" {
			t.Fatal("swtpm is not installed: install the package swtpm")
		}
		t.Skip("swtpm is not installed: install the package swtpm")
	}
}
