package wambroker_test

import (
	"testing"
)

// TestREG20_TokensOfAFormerMembershipAreNotUsed: the same user signs in to the same computer,
// which left its tenant and joined anew. Neither the access token nor the refresh token of
// before is given to anybody, and the refresh token makes way for the next one. Where the
// membership is not known, what is there is used as before.
func TestREG20_TokensOfAFormerMembershipAreNotUsed(t *testing.T) {
	d := newDevice(t)
	as := func(membership string) {
		d.set(func(w *world) { w.sessions["session-alice"].MembershipId = membership })
	}
	as("eeeeeeee-0000-4000-8000-000000000001")
	first := d.token(t).GetAccessToken()
	if d.token(t).GetAccessToken() != first {
		t.Fatal("nothing is cached")
	}
	as("eeeeeeee-0000-4000-8000-000000000002")
	before := len(d.grants())
	if got := d.token(t).GetAccessToken(); got == "" || got == first {
		t.Error("the access token of the former membership was given out")
	}
	after := d.grants()[before:]
	if len(after) != 1 || after[0].refresh != "" {
		t.Errorf("the refresh token of the former membership was used: %v", after)
	}
	for _, membership := range []string{"eeeeeeee-0000-4000-8000-000000000002", ""} {
		as(membership)
		before = len(d.grants())
		d.token(t, force)
		if all := d.grants()[before:]; len(all) != 1 || all[0].refresh == "" {
			t.Errorf("%q: the new refresh token is not used: %v", membership, all)
		}
	}
}

func (d *device) grants() (all []grant) {
	d.set(func(w *world) { all = append(all, w.redeemed...) })
	return all
}
