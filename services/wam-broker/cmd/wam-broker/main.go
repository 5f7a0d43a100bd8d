// Command wam-broker runs the token broker as a process of its own.
package main

import (
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
)

func main() { run.Main("wam-broker", wambroker.Wire, scrape.Open) }
