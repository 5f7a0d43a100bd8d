package wycheprooftest_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/wycheprooftest"
)

const file = "hmac_sha256"

var errRefused = errors.New("refused")

// asItSays is a path that does what each vector says.
func asItSays(_ *testing.T, _ *wycheprooftest.Group, v *wycheprooftest.Vector) error {
	if v.Result == "valid" {
		return nil
	}
	return errRefused
}

// but is that path with one vector the other way round.
func but(id int) wycheprooftest.Path {
	return func(t *testing.T, g *wycheprooftest.Group, v *wycheprooftest.Vector) error {
		if taken := asItSays(t, g, v) == nil; taken == (v.ID != id) {
			return nil
		}
		return errRefused
	}
}

// TestTheJudge lets judgements that must fail run in a process of their own: a
// test cannot expect another to fail.
func TestTheJudge(t *testing.T) {
	row := func(id int) wycheprooftest.Deviation {
		return wycheprooftest.Deviation{IDs: []int{id}, Does: "otherwise", Why: "of this test"}
	}
	cases := map[string]struct {
		path  wycheprooftest.Path
		table []wycheprooftest.Deviation
		says  string
	}{
		"as it says":              {path: asItSays},
		"with its row":            {path: but(3), table: []wycheprooftest.Deviation{row(3)}},
		"a valid one refused":     {path: but(3), says: "vector 3 "},
		"an invalid one taken":    {path: but(60), says: "vector 60 "},
		"a row for another":       {path: but(3), table: []wycheprooftest.Deviation{row(4)}, says: "vector 3 "},
		"a row with one too many": {path: but(3), table: []wycheprooftest.Deviation{{IDs: []int{3, 4}}}, says: "so it goes"},
		"a row that is not used":  {path: asItSays, table: []wycheprooftest.Deviation{row(3)}, says: "so it goes"},
		"something else than said": {path: func(t *testing.T, _ *wycheprooftest.Group, v *wycheprooftest.Vector) error {
			wycheprooftest.Same(t, v, "tag", []byte{1}, v.Tag)
			return nil
		}, says: "the vector says"},
	}
	if name := os.Getenv("WYCHEPROOF_CASE"); name != "" {
		wycheprooftest.Judge(t, file, cases[name].path, cases[name].table...)
		return
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheJudge$", "-test.v")
			cmd.Env = append(os.Environ(), "WYCHEPROOF_CASE="+name)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (c.says == "") || !strings.Contains(string(out), c.says) {
				t.Errorf("want %q, got %v:\n%s", c.says, err, out)
			}
			if c.says == "" && !bytes.Contains(out, []byte("174 vectors run")) {
				t.Errorf("it does not count:\n%s", out)
			}
		})
	}
}
