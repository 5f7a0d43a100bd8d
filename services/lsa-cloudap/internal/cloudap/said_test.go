package cloudap

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// TestAnAnswerThatWasOvertakenIsOfBefore: what counts is the order of the questions.
func TestAnAnswerThatWasOvertakenIsOfBefore(t *testing.T) {
	var s said
	if m, known := s.last(); known || m != "" {
		t.Errorf("before anything was said: %q, %v", m, known)
	}
	first, second, third := s.ask(), s.ask(), s.ask()
	s.hear(second, "two")
	s.hear(first, "one")
	if m, known := s.last(); !known || m != "two" {
		t.Errorf("an older answer came later: %q, %v", m, known)
	}
	s.hear(third, "")
	if m, known := s.last(); !known || m != "" {
		t.Errorf("in no tenant any more: %q, %v", m, known)
	}
}

// TestREG20_WhoIsAFormerMember, and who is taken for a present one.
func TestREG20_WhoIsAFormerMember(t *testing.T) {
	for name, c := range map[string]struct {
		own, present ids.MembershipID
		want         bool
	}{
		"the same": {"one", "one", false}, "another": {"one", "two", true}, "none any more": {"one", "", true},
		"of before they had names": {"", "one", false}, "of before, and none": {"", "", true},
	} {
		if got := former(partition.Partition{Standing: partition.Standing{Membership: c.own}}, c.present); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
