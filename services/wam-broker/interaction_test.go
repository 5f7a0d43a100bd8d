package wambroker_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	wamv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

const (
	challenge = `{"access_token":{"capolids":{"essential":true,"values":["p1"]}}}`
	ended     = redirectURI + "?code=1.c.d&state=s"
)

func interactive(r *wamv1.RequestTokenRequest) { r.Interactive = true }

func withClaims(claims string) func(*wamv1.RequestTokenRequest) {
	return func(r *wamv1.RequestTokenRequest) { r.Claims = claims }
}

// window is the sign-in window of a session.
func (d *device) window(t testing.TB) wamv1.WindowServiceClient {
	t.Helper()
	return wamv1.NewWindowServiceClient(d.dial(t, "window", nil))
}

// opens has a window at a session that ends each page it gets at an address, until
// the test is over. The pages that it showed are sent on.
func (d *device) opens(t testing.TB, session, final string) <-chan *wamv1.AwaitInteractionResponse {
	t.Helper()
	shown := make(chan *wamv1.AwaitInteractionResponse, 16)
	ctx, w := t.Context(), d.window(t)
	go func() {
		for ctx.Err() == nil {
			page, err := w.AwaitInteraction(ctx, &wamv1.AwaitInteractionRequest{LogonSession: session})
			if err != nil || page.GetInteraction() == nil {
				continue
			}
			shown <- page
			_, err = w.FinishInteraction(ctx, &wamv1.FinishInteractionRequest{
				LogonSession: session, InteractionId: page.GetInteraction().GetInteractionId(), FinalUri: final,
			})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	return shown
}

// TestAPP11_MoreProofIsAskedForAtAPage: a silent request tells the app what is
// missing; an interactive one brings the user to a page that is asked for it.
func TestAPP11_MoreProofIsAskedForAtAPage(t *testing.T) {
	for _, code := range []aadsts.Code{aadsts.MFARequired, aadsts.MFAEnrolmentRequired, aadsts.MFAExpired} {
		d := newDevice(t)
		d.set(func(w *world) { w.weak = prterr.AADSTS(code, "").WithClaims(challenge) })
		_, err := d.client.RequestToken(t.Context(), ask())
		var e *prterr.Error
		if !errors.As(err, &e) || e.Kind != prterr.Interaction || e.Code != code || e.Claims != challenge || e.HRESULT != 0xCAA2000C {
			t.Fatalf("silently: %+v", err)
		}
		if d.count("BeginInteraction") != 0 {
			t.Fatal("a silent request brought a page up")
		}
		shown := d.opens(t, "session-alice", ended)
		d.token(t, interactive)
		page := <-shown
		if page.GetClientId() != outlook || page.GetInteraction().GetUrl() != "https://login.test/authorize" || len(page.GetInteraction().GetHeaders()) != 1 {
			t.Errorf("%v", page)
		}
		if len(d.begun) != 1 || d.begun[0].GetClaims() != challenge || d.begun[0].GetSignIn() || d.finals[0] != ended || d.claimed[len(d.claimed)-1] != challenge {
			t.Errorf("%v: begun %v, finals %q, claims %q", code, d.begun, d.finals, d.claimed)
		}
		// The new refresh token has the new proof, so the next token is silent.
		d.token(t, force)
		if len(d.begun) != 1 || d.redeemed[len(d.redeemed)-1].refresh == "" {
			t.Errorf("%d pages; redeemed %+v", len(d.begun), d.redeemed)
		}
	}
}

// TestAPP10_AnEndedPRTIsReplacedAtAPage: the page has to ask for a sign-in.
func TestAPP10_AnEndedPRTIsReplacedAtAPage(t *testing.T) {
	for what, refusal := range map[string]*prterr.Error{
		"revoked": prterr.AADSTS(aadsts.FreshTokenNeeded, ""), "not valid": prterr.AADSTS(aadsts.InvalidGrant, ""), "expired": prterr.AADSTS(aadsts.ExpiredToken, ""),
		"frequency": prterr.AADSTS(aadsts.SignInFrequency, ""), "session": prterr.AADSTS(aadsts.SessionTooOld, ""),
		"no PRT": prterr.New(prterr.Interaction, "the PRT has expired: sign in again").WithHRESULT(0xCAA2000C),
	} {
		d := newDevice(t)
		d.set(func(w *world) { w.weak = refusal })
		_, err := d.client.RequestToken(t.Context(), ask())
		var e *prterr.Error
		if !errors.As(err, &e) || e.Kind != prterr.Interaction || e.Code != refusal.Code || e.HRESULT != 0xCAA2000C || e.Msg != refusal.Msg {
			t.Fatalf("%s, silently: %+v", what, err)
		}
		d.opens(t, "session-alice", ended)
		d.token(t, interactive)
		if len(d.begun) != 1 || !d.begun[0].GetSignIn() {
			t.Errorf("%s: %v", what, d.begun)
		}
	}
}

// TestAPP10_ALostSessionKeyIsReplacedAtAPage: a session key that is lost with the TPM's is
// no end for an app that may ask; one that may not hears what is lost.
func TestAPP10_ALostSessionKeyIsReplacedAtAPage(t *testing.T) {
	d := newDevice(t)
	d.set(func(w *world) { w.weak = prterr.New(prterr.KeysLost, "the key is lost").WithHRESULT(0x80090016) })
	if _, err := d.client.RequestToken(t.Context(), ask()); prterr.KindOf(err) != prterr.KeysLost || prterr.HRESULTOf(err) != 0x80090016 || d.count("BeginInteraction") != 0 {
		t.Fatalf("silently: %v", err)
	}
	d.opens(t, "session-alice", ended)
	d.token(t, interactive)
	if len(d.begun) != 1 || !d.begun[0].GetSignIn() {
		t.Errorf("%v", d.begun)
	}
}

// TestAPP11_OneThingAfterTheOther: a PRT that ended is replaced at a page that asks for
// a sign-in and nothing else, so what the policy of the app wants beyond it is known only
// afterwards. The user of one request gets through all of it, and is asked for nothing
// twice.
func TestAPP11_OneThingAfterTheOther(t *testing.T) {
	revoked, weak := prterr.AADSTS(aadsts.FreshTokenNeeded, ""), prterr.AADSTS(aadsts.MFARequired, "").WithClaims(challenge)
	d := newDevice(t)
	d.set(func(w *world) { w.stages = []error{revoked, weak} })
	d.opens(t, "session-alice", ended)
	d.token(t, interactive)
	if len(d.begun) != 2 || !d.begun[0].GetSignIn() || d.begun[0].GetClaims() != "" || d.begun[1].GetSignIn() || d.begun[1].GetClaims() != challenge {
		t.Errorf("begun %v", d.begun)
	}
	if last := d.claimed[len(d.claimed)-1]; last != challenge {
		t.Errorf("claims %q", last)
	}
	consent := prterr.AADSTS(aadsts.ConsentRequired, "")
	d = newDevice(t)
	d.set(func(w *world) { w.stages = []error{revoked, weak, consent} })
	d.opens(t, "session-alice", ended)
	d.token(t, interactive)
	if len(d.begun) != 3 {
		t.Fatalf("begun %v", d.begun)
	}
	if p := d.begun[2]; p.GetClientId() != outlook || p.GetResource() != ask().GetResource() || p.GetClaims() != "" || p.GetSignIn() {
		t.Errorf("the page for consent: %v", p)
	}
	if last := d.claimed[len(d.claimed)-1]; last != challenge {
		t.Errorf("claims after the consent: %q", last)
	}
	for _, stages := range [][]error{{weak, weak}, {consent, consent}, {revoked, weak, revoked}, {revoked, revoked}, {weak, revoked, weak}} {
		d := newDevice(t)
		d.set(func(w *world) { w.stages = stages })
		d.opens(t, "session-alice", ended)
		last := stages[len(stages)-1]
		if _, err := d.client.RequestToken(t.Context(), ask(interactive)); prterr.KindOf(err) != prterr.Interaction || prterr.CodeOf(err) != prterr.CodeOf(last) {
			t.Errorf("%v: %v", stages, err)
		}
		if len(d.begun) != len(stages)-1 {
			t.Errorf("%v: %d pages", stages, len(d.begun))
		}
	}
}

// TestNoPageForWhatAPageCannotRepair: nor when nobody is signed in, for a page needs
// somebody.
func TestNoPageForWhatAPageCannotRepair(t *testing.T) {
	for _, code := range []aadsts.Code{aadsts.BlockedByPolicy, aadsts.DeviceDisabled, aadsts.UserDisabled, aadsts.ResourceNotFound, aadsts.DeviceNotCompliant, aadsts.InvalidNonce} {
		d := newDevice(t)
		d.set(func(w *world) { w.weak = prterr.AADSTS(code, "") })
		if _, err := d.client.RequestToken(t.Context(), ask(interactive)); prterr.CodeOf(err) != code || d.count("BeginInteraction") != 0 {
			t.Errorf("%v: %v, calls %v", code, err, d.calls)
		}
	}
	d := newDevice(t)
	_, err := d.client.RequestToken(t.Context(), ask(interactive, func(r *wamv1.RequestTokenRequest) { r.LogonSession = "session-eve" }))
	if prterr.KindOf(err) != prterr.Interaction || d.count("BeginInteraction") != 0 {
		t.Errorf("%v, calls %v", err, d.calls)
	}
}

// TestMFA04_ANewerPRTGoesBeforeAnOldRefreshToken: an app whose refresh token is too
// weak gets its token from a PRT that is not, and nobody is asked.
func TestMFA04_ANewerPRTGoesBeforeAnOldRefreshToken(t *testing.T) {
	d := newDevice(t)
	d.token(t, fromNote) // a refresh token from before
	d.set(func(w *world) { w.weak = prterr.AADSTS(aadsts.MFARequired, "") })
	d.opens(t, "session-alice", ended)
	d.token(t, interactive)
	d.token(t, fromNote, force)
	if len(d.begun) != 1 {
		t.Errorf("%d pages", len(d.begun))
	}
}

// TestClaimsPassOverTheCache, and reach the identity provider beside the request.
func TestClaimsPassOverTheCache(t *testing.T) {
	d := newDevice(t)
	d.token(t)
	d.token(t, withClaims(challenge))
	if got := d.claimed; len(got) != 2 || got[0] != "" || got[1] != challenge {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"{", "[]", `{"a":1}x`, `{"a":1,"a":2}`, `{"a":"` + strings.Repeat("x", prterr.MaxClaims) + `"}`} {
		if _, err := d.client.RequestToken(t.Context(), ask(withClaims(bad))); prterr.KindOf(err) != prterr.Invalid || !strings.HasPrefix(err.Error(), "claims") {
			t.Errorf("%.20s: %v", bad, err)
		}
	}
	// What the resource demanded is demanded again after the page.
	d.set(func(w *world) {
		w.weak = prterr.AADSTS(aadsts.MFARequired, "").WithClaims(`{"access_token":{"x":null}}`)
	})
	d.opens(t, "session-alice", ended)
	d.token(t, interactive, withClaims(challenge))
	if last := d.claimed[len(d.claimed)-1]; last != challenge || d.begun[0].GetClaims() != `{"access_token":{"x":null}}` {
		t.Errorf("%q, %v", last, d.begun)
	}
}

func TestTheUserMayCloseTheWindow(t *testing.T) {
	d := newDevice(t)
	d.set(func(w *world) { w.weak = prterr.AADSTS(aadsts.MFARequired, "") })
	d.opens(t, "session-alice", "")
	_, err := d.client.RequestToken(t.Context(), ask(interactive))
	var e *prterr.Error
	if !errors.As(err, &e) || e.Kind != prterr.Denied || e.HRESULT != 0x800704C7 || e.Code != 0 {
		t.Errorf("%+v", err)
	}
	if d.count("CompleteInteraction") != 0 {
		t.Error("a page that was closed was completed")
	}
}

func TestNobodyAtTheWindowIsADeadline(t *testing.T) {
	d := newDevice(t)
	d.set(func(w *world) { w.weak = prterr.AADSTS(aadsts.MFARequired, "") })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := d.client.RequestToken(ctx, ask(interactive)); prterr.KindOf(err) != prterr.Deadline {
		t.Errorf("%v", err)
	}
}

// TestTheEndOfAPageIsJudgedBelow: what the authority says of it reaches the app, and
// a page that changed nothing is not shown for ever.
func TestTheEndOfAPageIsJudgedBelow(t *testing.T) {
	d := newDevice(t)
	d.set(func(w *world) {
		w.weak = prterr.AADSTS(aadsts.MFARequired, "")
		w.refuse["CompleteInteraction"] = prterr.New(prterr.Denied, "another user signed in at the page")
	})
	d.opens(t, "session-alice", ended)
	if _, err := d.client.RequestToken(t.Context(), ask(interactive)); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("%v", err)
	}
	d.set(func(w *world) {
		delete(w.refuse, "CompleteInteraction")
		w.refuse["RedeemPRT"] = prterr.AADSTS(aadsts.MFARequired, "")
	})
	if _, err := d.client.RequestToken(t.Context(), ask(interactive)); prterr.CodeOf(err) != aadsts.MFARequired || prterr.KindOf(err) != prterr.Interaction {
		t.Errorf("%v", err)
	}
	if len(d.begun) != 2 {
		t.Errorf("%d pages", len(d.begun))
	}
	for _, address := range []string{"http://login.test/", "", "https://a:b@login.test/", "https://" + strings.Repeat("x", 40<<10)} {
		d.set(func(w *world) { w.pageURL = address })
		if _, err := d.client.RequestToken(t.Context(), ask(interactive)); prterr.KindOf(err) != prterr.Internal {
			t.Errorf("%.30s: %v", address, err)
		}
	}
}

// TestOnePageAtATimeInASession: a second app that waited finds what the first page
// brought, and shows none of its own. Another session is another queue.
func TestOnePageAtATimeInASession(t *testing.T) {
	d := newDevice(t)
	d.set(func(w *world) { w.weak = prterr.AADSTS(aadsts.MFARequired, "") })
	w := d.window(t)
	var wg sync.WaitGroup
	for _, change := range []func(*wamv1.RequestTokenRequest){func(*wamv1.RequestTokenRequest) {}, fromNote} {
		wg.Go(func() {
			if _, err := d.client.RequestToken(t.Context(), ask(interactive, change)); err != nil {
				t.Error(err)
			}
		})
	}
	page, err := w.AwaitInteraction(t.Context(), &wamv1.AwaitInteractionRequest{LogonSession: "session-alice"})
	if err != nil || page.GetInteraction() == nil {
		t.Fatal(page, err)
	}
	id := page.GetInteraction().GetInteractionId()
	for what, bad := range map[string]*wamv1.FinishInteractionRequest{
		"another page":    {LogonSession: "session-alice", InteractionId: "page-9", FinalUri: ended},
		"another session": {LogonSession: "session-bob", InteractionId: id, FinalUri: ended},
	} {
		if _, err := w.FinishInteraction(t.Context(), bad); prterr.KindOf(err) != prterr.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	end := &wamv1.FinishInteractionRequest{LogonSession: "session-alice", InteractionId: id, FinalUri: ended}
	if _, err := w.FinishInteraction(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishInteraction(t.Context(), end); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("twice: %v", err)
	}
	wg.Wait()
	if len(d.begun) != 1 {
		t.Errorf("%d pages", len(d.begun))
	}
}

// TestAWindowIsForASessionThatIsOpen: whoever makes sessions up holds no place that
// another user's window needs.
func TestAWindowIsForASessionThatIsOpen(t *testing.T) {
	d := newDevice(t)
	w := d.window(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if a, err := w.AwaitInteraction(ctx, &wamv1.AwaitInteractionRequest{LogonSession: "made-up"}); err == nil || ctx.Err() != nil {
		t.Errorf("%v, %v", a, err)
	}
}

func TestOnlyTheWindowFetchesPages(t *testing.T) {
	d := newDevice(t)
	for _, caller := range []string{"app", "browser", "logonui", "operator", "lsa-cloudap"} {
		w := wamv1.NewWindowServiceClient(d.dial(t, caller, nil))
		if _, err := w.AwaitInteraction(t.Context(), &wamv1.AwaitInteractionRequest{LogonSession: "session-alice"}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", caller, err)
		}
		if _, err := w.FinishInteraction(t.Context(), &wamv1.FinishInteractionRequest{LogonSession: "session-alice", InteractionId: "x"}); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("%s: %v", caller, err)
		}
	}
	w := d.window(t)
	for _, session := range []string{"", strings.Repeat("s", 257)} {
		if _, err := w.AwaitInteraction(t.Context(), &wamv1.AwaitInteractionRequest{LogonSession: session}); prterr.KindOf(err) != prterr.Invalid {
			t.Errorf("%v", err)
		}
	}
}
