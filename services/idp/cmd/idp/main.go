// Command idp runs the identity provider as a process of its own.
package main

import (
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	"github.com/lockstep-sso/lockstep/services/idp"
)

func main() { run.Main("idp", idp.Wire, scrape.Open) }
