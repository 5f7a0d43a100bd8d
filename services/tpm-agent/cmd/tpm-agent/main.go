// Command tpm-agent runs the key holder as a process of its own. It opens no listener
// for metrics: they are exported over OTLP.
package main

import (
	"github.com/lockstep-sso/lockstep/pkg/run"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
)

func main() { run.Main("tpm-agent", tpmagent.Wire, nil) }
