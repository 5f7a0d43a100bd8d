package keystore

import (
	"bytes"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// TestPRO10_ALockedKeyIsOverwritten: locking, a key in the place of another, the end of
// a registration and the end of the agent leave no byte of it.
func TestPRO10_ALockedKeyIsOverwritten(t *testing.T) {
	of := func(set, user string) userKeyOf { return userKeyOf{set, "lsa-cloudap", "t", ids.UserID(user)} }
	for name, forget := range map[string]func(*Store){
		"locked": func(s *Store) { s.LockUserKey("lsa-cloudap", "t", "a") },
		"replaced": func(s *Store) {
			_ = s.users.put(of("1", "a"), userKey{key: secret.NewBytes(make([]byte, userKeySize))})
		},
		"registration ends": func(s *Store) { s.users.wipe(func(of userKeyOf) bool { return of.set == "1" }) },
		"agent ends":        func(s *Store) { s.users.wipe(func(userKeyOf) bool { return true }) },
	} {
		var s Store
		raw, kept := bytes.Repeat([]byte{7}, userKeySize), bytes.Repeat([]byte{8}, userKeySize)
		if err := s.users.put(of("1", "a"), userKey{"g", secret.NewBytes(raw)}); err != nil {
			t.Fatal(err)
		}
		if err := s.users.put(of("2", "b"), userKey{"g", secret.NewBytes(kept)}); err != nil {
			t.Fatal(err)
		}
		copied, _ := s.users.get(of("1", "a"))
		forget(&s)
		if !bytes.Equal(raw, make([]byte, userKeySize)) {
			t.Errorf("%s: the key is still there", name)
		}
		if bytes.Equal(kept, make([]byte, userKeySize)) != (name == "agent ends") {
			t.Errorf("%s: the other user's key is %v", name, kept)
		}
		if !bytes.Equal(copied.key.Reveal(), bytes.Repeat([]byte{7}, userKeySize)) {
			t.Errorf("%s: a use under way lost its key", name)
		}
	}
}

func TestUnlockedKeysAreBounded(t *testing.T) {
	var u userKeys
	put := func(n int) error {
		return u.put(userKeyOf{set: "1", user: ids.UserID(rune(n))}, userKey{key: secret.NewBytes(make([]byte, userKeySize))})
	}
	for n := range maxUserKeys {
		if err := put(n + 0x100); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(0x99999); prterr.KindOf(err) != prterr.Exhausted {
		t.Errorf("one more: %v", err)
	}
	if err := put(0x100); err != nil {
		t.Errorf("one of them again: %v", err)
	}
}
