// Command adfs runs the federation provider as a process of its own.
package main

import (
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	"github.com/lockstep-sso/lockstep/services/adfs"
)

func main() { run.Main("adfs", adfs.Wire, scrape.Open) }
