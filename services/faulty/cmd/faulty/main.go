// Command faulty stands in the place of a component of a laboratory and breaks calls by
// rules.
package main

import (
	"github.com/spf13/pflag"

	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/scrape"
	"github.com/lockstep-sso/lockstep/services/faulty"
)

func main() {
	run.MainWith(faulty.Name, wire, func(fs *pflag.FlagSet, f *run.Flags) {
		fs.StringVar(&f.StandInFor, "stand-in-for", "", "component in whose place to stand, under its identity")
	}, scrape.Open)
}

func wire(f run.Flags) (run.Wire, error) {
	return faulty.Wire(f.StandInFor), faulty.Known(f.StandInFor)
}
