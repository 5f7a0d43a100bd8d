package browsercore_test

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/lockstep-sso/lockstep/services/browsercore"
)

// TestFLT01_ALaboratoryIsAsked: the overlays start the server with --lab, without which it
// refuses what a stand-in hands on; it is off unless it is asked for.
func TestFLT01_ALaboratoryIsAsked(t *testing.T) {
	for want, args := range map[bool][]string{false: {"--listen=unix:/x"}, true: {"--listen=unix:/x", "--lab"}} {
		var p browsercore.Program
		fs := pflag.NewFlagSet("browsercore", pflag.ContinueOnError)
		p.Bind(fs)
		if err := fs.Parse(args); err != nil || p.Lab != want {
			t.Errorf("%v: Lab %v, %v", args, p.Lab, err)
		}
	}
}
