package lab_test

import (
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

func TestDurationsKnowDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"14d": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, "4h1m": 4*time.Hour + time.Minute, "-4h": -4 * time.Hour,
	} {
		if got, err := lab.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "14", "1d-4h", "1.5d", "99999d", "4h1d"} {
		if got, err := lab.ParseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
