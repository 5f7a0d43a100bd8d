// Command dsreg runs device registration as a process of its own.
package main

import (
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	"github.com/lockstep-sso/lockstep/services/dsreg"
)

func main() { run.Main("dsreg", dsreg.Wire, scrape.Open) }
