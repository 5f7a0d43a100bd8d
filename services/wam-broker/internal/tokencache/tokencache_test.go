package tokencache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

func open(t *testing.T, dir string, c clock.Clock, p durable.Points) *Cache {
	t.Helper()
	q, err := durable.OpenQuarantine(filepath.Join(dir, "quarantine"), nil)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := New(Config{Dir: dir, Quarantine: q, Clock: c, Points: p})
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func owner() apptoken.Owner {
	return apptoken.Owner{Tenant: ids.NewTenant(), User: ids.NewUser(), Kind: "password"}
}

func TestAccessTokensAreBoundedAndTheLongestUnusedGoes(t *testing.T) {
	c := open(t, t.TempDir(), nil, nil)
	o, end := owner(), time.Now().Add(time.Hour)
	key := func(i int) AccessKey {
		return AccessKey{Owner: o, Resource: apptoken.Resource(string(rune(i)))}
	}
	for i := range maxAccess {
		c.PutAccess(key(i), apptoken.Grant{ExpiresAt: end})
	}
	if _, ok := c.Access(key(0)); !ok { // now 1 is the longest unused
		t.Fatal("0 is not there")
	}
	c.PutAccess(key(maxAccess), apptoken.Grant{ExpiresAt: end})
	for i, want := range map[int]bool{0: true, 1: false, 2: true, maxAccess: true} {
		if _, ok := c.Access(key(i)); ok != want {
			t.Errorf("token %d: there %v, want %v", i, ok, want)
		}
	}
	if len(c.access.items) != maxAccess || c.access.order.Len() != maxAccess {
		t.Errorf("%d and %d tokens", len(c.access.items), c.access.order.Len())
	}
}

func TestAnAccessTokenNeedsMoreThanTheMargin(t *testing.T) {
	lab := clock.NewLab()
	c := open(t, t.TempDir(), lab, nil)
	k := AccessKey{Owner: owner()}
	c.PutAccess(k, apptoken.Grant{Token: secret.NewText("x"), ExpiresAt: lab.Now().Add(Margin + time.Hour)})
	if g, ok := c.Access(k); !ok || g.Token.Reveal() != "x" {
		t.Error("a good token is not given")
	}
	lab.Advance(time.Hour)
	if _, ok := c.Access(k); ok || len(c.access.items) != 0 {
		t.Error("a token within the margin is given or kept")
	}
}

func TestEveryPartOfAKeyTellsTokensApart(t *testing.T) {
	c := open(t, t.TempDir(), nil, nil)
	base := RefreshKey{Owner: owner(), Client: "44444444-4444-4444-8444-444444444444"}
	if err := c.PutRefresh(base, apptoken.Sealed("hers")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*RefreshKey){
		"tenant": func(k *RefreshKey) { k.Owner.Tenant = ids.NewTenant() },
		"user":   func(k *RefreshKey) { k.Owner.User = ids.NewUser() },
		"kind":   func(k *RefreshKey) { k.Owner.Kind = "hello" },
		"client": func(k *RefreshKey) { k.Client = "55555555-5555-4555-8555-555555555555" },
	} {
		k := base
		change(&k)
		if s, err := c.Refresh(k); s != nil || err != nil {
			t.Errorf("another %s finds %q, %v", name, s, err)
		}
	}
	if s, err := c.Refresh(base); err != nil || string(s) != "hers" {
		t.Errorf("got %q, %v", s, err)
	}
}

func TestDropRemovesOnlyWhatWasUsed(t *testing.T) {
	c := open(t, t.TempDir(), nil, nil)
	k := RefreshKey{Owner: owner()}
	_ = c.PutRefresh(k, apptoken.Sealed("newer"))
	if err := c.DropRefresh(k, apptoken.Sealed("older")); err != nil {
		t.Fatal(err)
	}
	if s, _ := c.Refresh(k); string(s) != "newer" {
		t.Errorf("the newer token became %q", s)
	}
	if err := c.DropRefresh(k, apptoken.Sealed("newer")); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Refresh(k); s != nil || err != nil {
		t.Errorf("left %q, %v", s, err)
	}
	if err := c.DropRefresh(k, apptoken.Sealed("newer")); err != nil {
		t.Errorf("nothing to drop: %v", err)
	}
}

func TestSealedTokensAreBounded(t *testing.T) {
	c := open(t, t.TempDir(), nil, nil)
	for _, n := range []int{0, apptoken.MaxSealed + 1} {
		if err := c.PutRefresh(RefreshKey{}, bytes.Repeat([]byte{1}, n)); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
	if err := c.PutRefresh(RefreshKey{}, bytes.Repeat([]byte{1}, apptoken.MaxSealed)); err != nil {
		t.Error(err)
	}
}

func TestACrashLeavesTheOldOrTheNewToken(t *testing.T) {
	for _, at := range []string{"temp-created", "temp-written", "renamed"} {
		dir := t.TempDir()
		k := RefreshKey{Owner: owner()}
		if err := open(t, dir, nil, nil).PutRefresh(k, apptoken.Sealed("old")); err != nil {
			t.Fatal(err)
		}
		crashing := open(t, dir, nil, func(p string) {
			if p == at {
				panic("crash")
			}
		})
		func() {
			defer func() { _ = recover() }()
			_ = crashing.PutRefresh(k, apptoken.Sealed("new"))
			t.Errorf("%s was not reached", at)
		}()
		want := map[bool]string{true: "new", false: "old"}[at == "renamed"]
		if s, err := open(t, dir, nil, nil).Refresh(k); err != nil || string(s) != want {
			t.Errorf("after a crash at %s: %q, %v, want %q", at, s, err, want)
		}
	}
}

func TestAFolderInPlaceOfAFileIsDamage(t *testing.T) {
	c := open(t, t.TempDir(), nil, nil)
	if err := os.MkdirAll(filepath.Join(c.path(RefreshKey{}), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Refresh(RefreshKey{}); s != nil || !errors.Is(err, ErrDamaged) {
		t.Errorf("got %q, %v", s, err)
	}
	if err := c.PutRefresh(RefreshKey{}, apptoken.Sealed("new")); err != nil {
		t.Errorf("nothing can take its place: %v", err)
	}
}

func TestAFileThatCannotBeUsedGoesToQuarantine(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "cut": `{"version":1,"sealed":"AAA`, "foreign version": `{"version":2,"sealed":"AAAA"}`, "nothing sealed": `{"version":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir, k := t.TempDir(), RefreshKey{Owner: owner()}
			c := open(t, dir, nil, nil)
			if err := os.WriteFile(c.path(k), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if s, err := c.Refresh(k); s != nil || !errors.Is(err, ErrDamaged) {
				t.Errorf("got %q, %v", s, err)
			}
			if s, err := c.Refresh(k); s != nil || err != nil {
				t.Errorf("at the next request: %q, %v", s, err)
			}
			list := c.quarantine.List()
			if len(list) != 1 || list[0].Reason == "" {
				t.Fatalf("in quarantine: %+v", list)
			}
			if raw, err := os.ReadFile(list[0].Path); err != nil || string(raw) != content {
				t.Errorf("%q, %v", raw, err)
			}
		})
	}
}
