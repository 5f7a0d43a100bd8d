package wambroker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

func TestBadInputNamesTheField(t *testing.T) {
	d := newDevice(t)
	set := func(field *string, v string) { *field = v }
	for name, bad := range map[string]struct {
		change func(*wamv1.RequestTokenRequest)
		field  string
	}{
		"no session":          {func(r *wamv1.RequestTokenRequest) { set(&r.LogonSession, "") }, "logon_session"},
		"long session":        {func(r *wamv1.RequestTokenRequest) { set(&r.LogonSession, strings.Repeat("s", 257)) }, "logon_session"},
		"no client":           {func(r *wamv1.RequestTokenRequest) { set(&r.ClientId, "") }, "client_id"},
		"client not a GUID":   {func(r *wamv1.RequestTokenRequest) { set(&r.ClientId, "outlook") }, "client_id"},
		"client in braces":    {func(r *wamv1.RequestTokenRequest) { set(&r.ClientId, "{"+outlook+"}") }, "client_id"},
		"no resource":         {func(r *wamv1.RequestTokenRequest) { set(&r.Resource, "") }, "resource"},
		"relative resource":   {func(r *wamv1.RequestTokenRequest) { set(&r.Resource, "graph") }, "resource"},
		"resource with blank": {func(r *wamv1.RequestTokenRequest) { set(&r.Resource, "https://graph x") }, "resource"},
		"resource not ASCII":  {func(r *wamv1.RequestTokenRequest) { set(&r.Resource, "https://gräph.test") }, "resource"},
		"resource with user":  {func(r *wamv1.RequestTokenRequest) { set(&r.Resource, "https://a@graph.test") }, "resource"},
		"long resource":       {func(r *wamv1.RequestTokenRequest) { set(&r.Resource, graph+"/"+strings.Repeat("x", 512)) }, "resource"},
		"relative redirect":   {func(r *wamv1.RequestTokenRequest) { set(&r.RedirectUri, "/cb") }, "redirect_uri"},
		"redirect fragment":   {func(r *wamv1.RequestTokenRequest) { set(&r.RedirectUri, "https://a.test/cb#x") }, "redirect_uri"},
	} {
		_, err := d.client.RequestToken(t.Context(), ask(bad.change))
		if prterr.KindOf(err) != prterr.Invalid || !strings.HasPrefix(err.Error(), bad.field+" ") {
			t.Errorf("%s: got %v, want an error about %s", name, err, bad.field)
		}
	}
	if len(d.calls) != 0 {
		t.Errorf("bad input caused calls: %v", d.calls)
	}
	for _, good := range []string{"urn:ms-drs:enterpriseregistration.windows.net", onenote, "api://" + onenote, graph + "/"} {
		d.token(t, func(r *wamv1.RequestTokenRequest) { r.Resource = good })
	}
}

func TestAPP09_ALyingAnswerIsRefusedAndForgotten(t *testing.T) {
	claim := func(name string, v any) func(*world) {
		return func(w *world) { w.claims = func(c map[string]any) { c[name] = v } }
	}
	opened := func(do func(*tpmv1.OpenTokenAnswerResponse)) func(*world) { return func(w *world) { w.opened = do } }
	for name, lie := range map[string]func(*world){
		"another audience":  claim("aud", "https://evil.test"),
		"audience list":     claim("aud", []string{graph}),
		"another app":       claim("appid", onenote),
		"no app":            claim("appid", nil),
		"another user":      claim("oid", bob),
		"another tenant":    claim("tid", alice),
		"no token":          opened(func(a *tpmv1.OpenTokenAnswerResponse) { a.AccessToken = "" }),
		"not a token":       opened(func(a *tpmv1.OpenTokenAnswerResponse) { a.AccessToken = "opaque" }),
		"another resource":  opened(func(a *tpmv1.OpenTokenAnswerResponse) { a.Resource = "https://evil.test" }),
		"no lifetime":       opened(func(a *tpmv1.OpenTokenAnswerResponse) { a.ExpiresIn = 0 }),
		"negative lifetime": opened(func(a *tpmv1.OpenTokenAnswerResponse) { a.ExpiresIn = -1 << 62 }),
		"endless lifetime":  opened(func(a *tpmv1.OpenTokenAnswerResponse) { a.ExpiresIn = 1 << 40 }),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t)
			d.set(lie)
			if _, err := d.client.RequestToken(t.Context(), ask()); prterr.KindOf(err) != prterr.Denied {
				t.Errorf("got %v", err)
			}
			if kept, _ := filepath.Glob(filepath.Join(d.dir, "tokens", "*")); len(kept) != 0 {
				t.Errorf("a lie was kept: %q", kept)
			}
			d.set(func(w *world) { w.claims, w.opened = nil, nil })
			d.token(t)
		})
	}
}

func TestASpentRefreshTokenMakesWayForThePRTOnce(t *testing.T) {
	for name, c := range map[string]struct {
		rpc   string
		err   error
		again bool
	}{
		"invalid grant":        {"RedeemRefreshToken", prterr.AADSTS(aadsts.InvalidGrant, ""), true},
		"expired":              {"RedeemRefreshToken", prterr.AADSTS(aadsts.ExpiredToken, ""), true},
		"revoked":              {"RedeemRefreshToken", prterr.AADSTS(aadsts.FreshTokenNeeded, ""), true},
		"old session key":      {"RedeemRefreshToken", prterr.AADSTS(aadsts.InvalidSessionKey, ""), true},
		"device disabled":      {"RedeemRefreshToken", prterr.AADSTS(aadsts.DeviceDisabled, ""), false},
		"interaction":          {"RedeemRefreshToken", prterr.AADSTS(aadsts.InteractionRequired, ""), false},
		"unreachable":          {"RedeemRefreshToken", prterr.New(prterr.Unavailable, "no way to idp"), false},
		"answer does not open": {"OpenTokenAnswer", prterr.New(prterr.TPMFailed, "the TPM does not answer"), false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t)
			d.token(t)
			d.set(func(w *world) { w.refuse[c.rpc] = c.err })
			_, err := d.client.RequestToken(t.Context(), ask(force))
			if c.again != (err == nil) {
				t.Fatalf("got %v", err)
			}
			if want := map[bool]int{true: 2, false: 1}[c.again]; d.count("RedeemPRT") != want || d.count("RedeemRefreshToken") != 1 {
				t.Errorf("calls %v", d.calls)
			}
			if c.again {
				return
			}
			var got *prterr.Error
			if want := new(prterr.Error); !errors.As(c.err, &want) || !errors.As(err, &got) || got.Kind != want.Kind || got.Code != want.Code || got.Msg != want.Msg {
				t.Errorf("the error became %v", err)
			}
			d.set(func(w *world) { delete(w.refuse, c.rpc) })
			d.token(t, force)
			if d.count("RedeemPRT") != 1 {
				t.Error("the refresh token was given up")
			}
		})
	}
}

func TestASealedTokenThatDoesNotOpenIsReplaced(t *testing.T) {
	d := newDevice(t)
	d.token(t)
	d.set(func(w *world) { clear(w.sealed) }) // another TPM
	d.token(t, force)
	d.token(t, force)
	if d.count("RedeemPRT") != 2 || d.count("RedeemRefreshToken") != 1 {
		t.Errorf("calls %v", d.calls)
	}
}

func TestADamagedFileIsReplaced(t *testing.T) {
	d := newDevice(t)
	d.token(t)
	kept, err := filepath.Glob(filepath.Join(d.dir, "tokens", "*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q, %v", kept, err)
	}
	for _, damage := range []string{"", "{", `{"version":2,"sealed":"eA=="}`, `{"version":1,"sealed":""}`, strings.Repeat("x", 2<<20)} {
		if err := os.WriteFile(kept[0], []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		before := d.count("RedeemPRT")
		d.token(t, force)
		if d.count("RedeemPRT") != before+1 {
			t.Errorf("damage of %d bytes was not noticed", len(damage))
		}
		d.token(t, force)
		if d.count("RedeemPRT") != before+1 {
			t.Errorf("damage of %d bytes was not repaired", len(damage))
		}
	}
}

func TestAPP19_UsersAreIsolated(t *testing.T) {
	d := newDevice(t)
	hers, his := d.token(t), d.token(t, asBob)
	if hers.GetUserId() != alice || his.GetUserId() != bob || hers.GetAccessToken() == his.GetAccessToken() {
		t.Errorf("users %s and %s", hers.GetUserId(), his.GetUserId())
	}
	if d.count("RedeemPRT") != 2 {
		t.Errorf("one user used what is the other's: calls %v", d.calls)
	}
	// One user's files under the other's names are no use: they are sealed for her.
	d.set(func(w *world) {
		for h, s := range w.sealed {
			if s[0] == bob {
				delete(w.sealed, h)
			}
		}
	})
	files, _ := filepath.Glob(filepath.Join(d.dir, "tokens", "*.json"))
	if len(files) != 2 {
		t.Fatalf("files %q", files)
	}
	d.token(t, asBob, force)
	for _, g := range d.redeemed[2:] {
		if g.user != bob {
			t.Errorf("redeemed %+v", g)
		}
	}
	// A session that has ended gets nothing, not even out of the cache.
	d.set(func(w *world) { delete(w.sessions, "session-alice") })
	_, err := d.client.RequestToken(t.Context(), ask())
	var e *prterr.Error
	if !errors.As(err, &e) || e.Kind != prterr.Interaction || e.HRESULT != 0x80070520 {
		t.Errorf("got %v", err)
	}
}

func TestADeviceThatLeftGetsNoToken(t *testing.T) {
	d := newDevice(t)
	d.set(func(w *world) { w.joinState = dsregv1.JoinState_JOIN_STATE_NONE })
	if _, err := d.client.RequestToken(t.Context(), ask()); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("got %v", err)
	}
	if d.count("IssueNonce") != 0 {
		t.Error("the identity provider was asked")
	}
	// Not to know is no refusal: the identity provider decides.
	d.set(func(w *world) { w.refuse["GetDeviceState"] = prterr.New(prterr.Unavailable, "dsreg does not run") })
	d.token(t)
}

func TestOnlyAppsAsk(t *testing.T) {
	d := newDevice(t)
	for _, caller := range []string{"browser", "lsa-cloudap", "wam-broker", "operator"} {
		if _, err := wamv1.NewBrokerServiceClient(d.dial(t, caller, nil)).RequestToken(t.Context(), ask()); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: got %v", caller, err)
		}
		if _, err := wamv1.NewBrokerServiceClient(d.dial(t, caller, nil)).AddWorkAccount(t.Context(), account()); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s adding an account: got %v", caller, err)
		}
	}
	if _, err := wamv1.NewPluginServiceClient(d.app).AddAccount(t.Context(), &wamv1.AddAccountRequest{}); err == nil {
		t.Error("an app reached the plug-in, past the question for consent")
	}
	if _, err := wamv1.NewPluginServiceClient(d.app).GetToken(t.Context(), &wamv1.GetTokenRequest{}); err == nil {
		t.Error("an app reached the plug-in")
	}
}

func TestCachedTokensEndWithTheClock(t *testing.T) {
	d := newDevice(t)
	d.token(t) // lives 3600 s
	for _, c := range []struct {
		by  time.Duration
		new int
	}{{54 * time.Minute, 0}, {time.Minute, 1}, {56 * time.Minute, 1}} {
		before := d.count("RedeemRefreshToken")
		d.lab.Advance(c.by)
		if d.token(t); d.count("RedeemRefreshToken")-before != c.new {
			t.Errorf("after %v more: %d new tokens, want %d", c.by, d.count("RedeemRefreshToken")-before, c.new)
		}
	}
}
