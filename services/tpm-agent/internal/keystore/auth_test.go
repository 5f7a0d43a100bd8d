package keystore

import (
	"bytes"
	"fmt"
	"testing"
)

func TestAuthorisationValuesDifferAndHaveNoZeroByte(t *testing.T) {
	s, err := loadSecret(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 2000 {
		v := s.auth("purpose", fmt.Sprint(i)).Reveal()
		if bytes.IndexByte(v, 0) >= 0 || len(v) != 32 || seen[string(v)] {
			t.Fatalf("value %d is %q", i, v)
		}
		seen[string(v)] = true
	}
	if s.auth("a", "bc").Equal(s.auth("ab", "c")) {
		t.Error("the parts run into each other")
	}
}

func TestTheSecretIsKeptAndDamageIsNamed(t *testing.T) {
	dir := t.TempDir()
	a, err := loadSecret(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := loadSecret(dir)
	if err != nil || !a.key.Equal(b.key) {
		t.Errorf("another secret after a restart: %v", err)
	}
	if _, err := loadSecret(dir + "/" + secretFile); err == nil {
		t.Error("a folder that is a file was taken")
	}
}
