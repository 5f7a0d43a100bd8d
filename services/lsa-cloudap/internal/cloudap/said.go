package cloudap

import (
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
)

// said is what device registration last said of the membership of this device. It is in
// memory only: after a restart nothing was said.
type said struct {
	mu sync.Mutex
	// asked numbers the questions, and heard is the latest of those that were answered. An
	// answer that was overtaken by that to a later question is of before.
	asked, heard uint64
	membership   ids.MembershipID
}

// ask numbers a question that is about to be put.
func (s *said) ask() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.asked
}

// hear takes the answer to a question.
func (s *said) hear(question uint64, m ids.MembershipID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if question > s.heard {
		s.heard, s.membership = question, m
	}
}

// last is the latest answer, empty when the device is in no tenant that people sign in to
// it with; known is false when there was none.
func (s *said) last() (m ids.MembershipID, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.membership, s.heard > 0
}

// membershipIn reads a state as from a stranger. sure is false when it does not say: a
// dsreg of an earlier release does not, and what is malformed says nothing.
func membershipIn(d *dsregv1.GetDeviceStateResponse) (m ids.MembershipID, sure bool) {
	switch d.GetJoinState() {
	case dsregv1.JoinState_JOIN_STATE_NONE, dsregv1.JoinState_JOIN_STATE_REGISTERED:
		return "", true // of a registered device the work accounts are apps', and nobody's to sign in with
	case dsregv1.JoinState_JOIN_STATE_JOINED, dsregv1.JoinState_JOIN_STATE_HYBRID:
		m, err := ids.ParseMembership(d.GetMembershipId())
		return m, err == nil
	default:
		return "", false
	}
}
