package tpmagent_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"

	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// TestStatsTellEachCommand: what a registration and a cookie cost the TPM.
func TestStatsTellEachCommand(t *testing.T) {
	a := tpmagenttest.Start(t, tpmagent.Config{})
	_, key := a.Import(a.Register(), tpmagenttest.UserA)
	if err := cookie(t, a, tpmagenttest.UserA, key); err != nil {
		t.Fatal(err)
	}
	all := a.Service.Stats()
	if len(all) != 1 {
		t.Fatalf("%d TPMs", len(all))
	}
	create, hmac := all[0].Commands[tpm2.TPMCCCreate], all[0].Commands[tpm2.TPMCCHMAC]
	if create.Count < 5 || create.Time <= 0 || create.Longest > create.Time || hmac.Count != 1 || all[0].Queue.Jobs == 0 {
		t.Errorf("%+v", all[0])
	}
}
