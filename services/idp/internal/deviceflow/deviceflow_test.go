package deviceflow_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// sealer seals with a ring of its own.
type sealer struct{ *sealed.Ring }

func (s sealer) Open(want sealed.Type, text secret.Text) (sealed.Artefact, error) {
	return s.Ring.Open(want, text.Reveal())
}

type lab struct {
	*deviceflow.Flows
	clock *clock.Lab
	store *store.Memory
}

func open(t *testing.T) lab {
	t.Helper()
	ring, err := sealed.NewRing(sealed.FreshKey(1))
	if err != nil {
		t.Fatal(err)
	}
	l := lab{clock: clock.NewLab(), store: store.NewMemory()}
	l.Flows = deviceflow.New(deviceflow.Config{Pendings: l.store, Sealer: sealer{ring}, Clock: l.clock})
	return l
}

var (
	app    = ids.ClientID("04b07795-8ddb-461a-bbee-02f9e1bf7b46")
	other  = ids.ClientID("d3590ed6-52b3-4102-aeff-aad2292ab01c")
	tenant = ids.TenantID("6babcaad-604b-40ac-a9d7-9fd97c0b779f")
)

func (l lab) start(t *testing.T) deviceflow.Started {
	t.Helper()
	s, err := l.Start(context.Background(), deviceflow.Request{Client: app, Tenant: tenant, Version: 2, Scope: "openid"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func person() sealed.Artefact {
	return sealed.Artefact{
		Tenant: tenant, User: ids.NewUser(), Client: app, SessionID: "sid", SessionKey: secret.NewBytes([]byte(strings.Repeat("k", 32))),
		Credential: sealed.Password, AMR: []string{"pwd"},
	}
}

func code(t *testing.T, err error, want aadsts.Code) {
	t.Helper()
	if prterr.CodeOf(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestApprovedOnce(t *testing.T) {
	l, ctx := open(t), context.Background()
	s := l.start(t)
	if len(s.UserCode) != 9 || strings.ContainsAny(s.UserCode, "IO01") {
		t.Errorf("user code %q", s.UserCode)
	}
	_, _, err := l.Redeem(ctx, s.DeviceCode, app, nil)
	code(t, err, aadsts.AuthorizationPending)
	f, err := l.ByUserCode(ctx, " "+strings.ToLower(s.UserCode[:4])+"-"+s.UserCode[4:])
	if err != nil || f.Client != app || f.Scope != "openid" || f.Status != deviceflow.Waiting {
		t.Fatalf("%+v, %v", f, err)
	}
	who := person()
	if err := l.Approve(ctx, s.UserCode, who); err != nil {
		t.Fatal(err)
	}
	if err := l.Decline(ctx, s.UserCode); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("a second answer: %v", err)
	}
	_, _, err = l.Redeem(ctx, s.DeviceCode, other, nil)
	code(t, err, aadsts.BadVerificationCode)
	var good atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, got, err := l.Redeem(ctx, s.DeviceCode, app, nil)
			if err != nil {
				return
			}
			good.Add(1)
			if got.User != who.User || got.Origin != deviceflow.Origin || got.Type != sealed.Code || got.SessionKey.Len() != 32 {
				t.Errorf("%+v", got)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("redeemed %d times", good.Load())
	}
}

func TestRefusals(t *testing.T) {
	l, ctx := open(t), context.Background()
	declined, expired := l.start(t), l.start(t)
	if err := l.Decline(ctx, declined.UserCode); err != nil {
		t.Fatal(err)
	}
	_, _, err := l.Redeem(ctx, declined.DeviceCode, app, nil)
	code(t, err, aadsts.AuthorizationDeclined)
	for _, bad := range []string{"", ".", expired.UserCode, expired.UserCode + ".", expired.UserCode + ".x", strings.ToLower(expired.DeviceCode.Reveal()), strings.Repeat("A", 5000)} {
		_, _, err := l.Redeem(ctx, secret.NewText(bad), app, nil)
		code(t, err, aadsts.BadVerificationCode)
	}
	foreign := person()
	foreign.Tenant = ids.NewTenant()
	code(t, l.Approve(ctx, expired.UserCode, foreign), aadsts.UserNotInTenant)
	stranger := person()
	stranger.Client = other
	code(t, l.Approve(ctx, expired.UserCode, stranger), aadsts.UserNotInTenant)

	l.clock.Advance(deviceflow.Lifetime + time.Second)
	_, _, err = l.Redeem(ctx, expired.DeviceCode, app, nil)
	code(t, err, aadsts.DeviceCodeExpired)
	_, err = l.ByUserCode(ctx, expired.UserCode)
	code(t, err, aadsts.CodeExpired)
	code(t, l.Approve(ctx, expired.UserCode, person()), aadsts.CodeExpired)
	l.clock.Advance(time.Hour)
	_, _, err = l.Redeem(ctx, expired.DeviceCode, app, nil)
	code(t, err, aadsts.BadVerificationCode)
}

// TestTheStoreHoldsNoSecret looks for the session key and for the device code in
// what is kept.
func TestTheStoreHoldsNoSecret(t *testing.T) {
	l, ctx := open(t), context.Background()
	s := l.start(t)
	if err := l.Approve(ctx, s.UserCode, person()); err != nil {
		t.Fatal(err)
	}
	all, err := l.store.Pendings(ctx, "device_code", l.clock.Now())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	_, proof, _ := strings.Cut(s.DeviceCode.Reveal(), ".")
	for _, canary := range []string{proof, "kkkk", "a2tra2tr"} {
		if strings.Contains(string(all[0].Data), canary) {
			t.Errorf("%s is kept: %s", canary, all[0].Data)
		}
	}
}
