package tpmagent_test

import (
	"testing"

	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

func TestConformance(t *testing.T) {
	a := tpmagenttest.Start(t, tpmagent.Config{})
	tpmagenttest.Run(t, a.Dial)
}
