package directory

import (
	"context"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

func open(t *testing.T) *Directory {
	t.Helper()
	set, err := tenant.Parse(tenant.Default())
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(context.Background(), Config{Tenants: set, Store: store.NewMemory()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestEveryAnswerCostsAHash holds all turns, so that whoever wants a hash waits
// for ever: right password, wrong password and unknown user all do.
func TestEveryAnswerCostsAHash(t *testing.T) {
	d := open(t)
	for range cap(d.passwords.turns) {
		d.passwords.turns <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for upn, password := range map[ids.UPN]string{"alice@contoso.test": "correct horse battery staple", "bob@contoso.test": "wrong", "nobody@contoso.test": "x", "x@nowhere.test": "y"} {
		if _, err := d.Password(ctx, upn, secret.NewText(password)); prterr.KindOf(err) != prterr.Unavailable {
			t.Errorf("%s got an answer without a hash: %v", upn, err)
		}
	}
}

// TestAnAbandonedAttemptIsCounted: whoever hangs up before the answer has tried.
func TestAnAbandonedAttemptIsCounted(t *testing.T) {
	d := open(t)
	d.attempts = lockout.New(clock.NewLab())
	for range cap(d.passwords.turns) {
		d.passwords.turns <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range lockout.Limit {
		if _, err := d.TypedPassword(ctx, "alice@contoso.test", secret.NewText("x")); prterr.KindOf(err) != prterr.Unavailable {
			t.Fatal(err)
		}
	}
	if _, err := d.TypedPassword(ctx, "alice@contoso.test", secret.NewText("x")); prterr.CodeOf(err) != aadsts.AccountLocked {
		t.Errorf("got %v", err)
	}
}

func TestSeedingKeepsWhatTheStoreHas(t *testing.T) {
	set, err := tenant.Parse(tenant.Default())
	if err != nil {
		t.Fatal(err)
	}
	ctx, mem := context.Background(), store.NewMemory()
	for range 2 {
		d, err := New(ctx, Config{Tenants: set, Store: mem})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Password(ctx, "alice@contoso.test", secret.NewText("changed since")); err == nil {
			return // the second start kept the changed password
		}
		if err := d.SetPassword(ctx, "alice@contoso.test", secret.NewText("changed since")); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("a restart brought the old password back")
}

func TestLongPasswordsMatchNothing(t *testing.T) {
	d := open(t)
	long := make([]byte, maxPassword+1)
	for i := range long {
		long[i] = 'x'
	}
	if _, err := d.Password(context.Background(), "alice@contoso.test", secret.NewText(string(long))); prterr.CodeOf(err) != aadsts.InvalidCredentials {
		t.Errorf("%v", err)
	}
}
