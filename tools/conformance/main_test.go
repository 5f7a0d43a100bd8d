package main

import (
	"slices"
	"testing"
)

func TestChoose(t *testing.T) {
	names := func(only, with string) []string {
		chosen, err := choose(only, with)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, s := range chosen {
			out = append(out, s.Name)
		}
		return out
	}
	if all := names("", ""); slices.Contains(all, "libhimmelblau") || len(all) < 9 {
		t.Errorf("without a choice: %v", all)
	}
	if got := names("", "libhimmelblau"); !slices.Contains(got, "libhimmelblau") || !slices.Contains(got, "roadtx") {
		t.Errorf("with the optional one: %v", got)
	}
	if got := names("jose, roadtx", ""); !slices.Equal(got, []string{"roadtx", "jose"}) {
		t.Errorf("two alone: %v", got)
	}
	if _, err := choose("nobody", ""); err == nil {
		t.Error("a suite that is not there was chosen")
	}
}
