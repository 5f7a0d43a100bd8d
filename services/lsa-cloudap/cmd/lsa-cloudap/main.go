// Command lsa-cloudap runs LSA's logon door and CloudAP as a process of its own.
package main

import (
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

func main() { run.Main("lsa-cloudap", lsacloudap.Wire, scrape.Open) }
