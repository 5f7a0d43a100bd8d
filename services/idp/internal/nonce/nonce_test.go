package nonce_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

func issuer(t *testing.T, cfg nonce.Config) *nonce.Issuer {
	t.Helper()
	i, err := nonce.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := issuer(t, nonce.Config{Clock: clock.Real()})
		n := i.Issue()
		got, err := i.Check(n)
		if err != nil || time.Until(got.Expires) != nonce.Lifetime {
			t.Fatalf("%+v, %v", got, err)
		}
		time.Sleep(nonce.Lifetime)
		if _, err := i.Check(n); err != nil {
			t.Errorf("at 300 s: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := i.Check(n); prterr.CodeOf(err) != aadsts.InvalidNonce {
			t.Errorf("past 300 s: %v", err)
		}
	})
}

func TestAttack06_Attack36_OnlyItsOwn(t *testing.T) {
	i, other := issuer(t, nonce.Config{}), issuer(t, nonce.Config{})
	n := i.Issue()
	if !entrawire.IsOpaque(n) || i.Issue() == n {
		t.Errorf("%q", n)
	}
	texts := []string{"", "x", other.Issue(), n + "A", n + "=", n[1:], n + "\n", n[:35] + "\r\n" + n[35:]}
	for at := range n {
		c := byte('A')
		if n[at] == 'A' {
			c = 'B'
		}
		texts = append(texts, n[:at]+string(c)+n[at+1:])
	}
	want := ""
	for _, text := range texts {
		_, err := i.Check(text)
		if prterr.CodeOf(err) != aadsts.InvalidNonce {
			t.Fatalf("%q: %v", text, err)
		}
		if want == "" {
			want = err.Error()
		}
		if err.Error() != want {
			t.Errorf("%q has an error text of its own", text)
		}
	}
	if _, err := i.Check(n); err != nil {
		t.Error(err)
	}
}

func TestReplicasShareAKey(t *testing.T) {
	ring := func(keys ...sealed.Key) *sealed.Ring {
		r, err := sealed.NewRing(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	old, fresh := sealed.FreshKey(1), sealed.FreshKey(2)
	a, behind := ring(fresh, old), ring(old)
	b := issuer(t, nonce.Config{Sealer: behind})
	n := issuer(t, nonce.Config{Sealer: a}).Issue()
	if _, err := b.Check(n); prterr.CodeOf(err) != aadsts.InvalidNonce {
		t.Errorf("of a key that nobody knows: %v", err)
	}
	// The other replica draws a key; this one looks for it when it meets it.
	looked := 0
	behind.OnUnknown(func() { looked++; _ = behind.Use(fresh, old) })
	for range 2 {
		if _, err := b.Check(n); err != nil || looked != 1 {
			t.Errorf("looked %d times: %v", looked, err)
		}
	}
	if _, err := b.Check(issuer(t, nonce.Config{Sealer: ring(old)}).Issue()); err != nil {
		t.Errorf("of the key before: %v", err)
	}
}
