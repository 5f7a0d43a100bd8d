package profile_test

import (
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/profile"
)

func TestTakesKDF(t *testing.T) {
	for _, c := range []struct {
		name       profile.Name
		ver, least int
		want       bool
	}{
		{"2020", 0, 2, true}, {"2020", 2, 1, true}, {"", 0, 1, true}, {"today", 1, 1, true}, {"today", 0, 2, false}, {"today", 1, 2, false},
		{"today", 2, 2, true}, {"strict", 0, 1, false}, {"strict", 1, 1, false}, {"strict", 2, 1, true},
		{"2020", 3, 3, true}, {"today", 3, 3, true}, {"strict", 3, 3, true},
		{"2020", 0, 3, false}, {"2020", 1, 3, false}, {"2020", 2, 3, false}, {"today", 2, 3, false}, {"strict", 2, 3, false},
		{"2020", 3, 0, false}, {"2020", 3, 1, false}, {"2020", 3, 2, false}, {"today", 3, 2, false}, {"strict", 3, 2, false}, {"today", 3, 1, false},
	} {
		p, err := profile.Lookup(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.TakesKDF(c.ver, c.least); got != c.want {
			t.Errorf("%s takes version %d where %d is demanded: %v", c.name, c.ver, c.least, got)
		}
	}
	if _, err := profile.Lookup("2021"); err == nil {
		t.Error("2021 is a profile")
	}
}
