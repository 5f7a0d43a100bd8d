package lsacloudap_test

import (
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
)

func (m *machine) begin(session string, change ...func(*authorityv1.BeginInteractionRequest)) *authorityv1.Interaction {
	m.w.t.Helper()
	r := &authorityv1.BeginInteractionRequest{LogonSession: session}
	for _, c := range change {
		c(r)
	}
	a, err := m.tokens.BeginInteraction(m.w.t.Context(), r)
	if err != nil {
		m.w.t.Fatal(err)
	}
	return a.GetInteraction()
}

func (m *machine) complete(session, id, final string) error {
	_, err := m.tokens.CompleteInteraction(m.w.t.Context(), &authorityv1.CompleteInteractionRequest{LogonSession: session, InteractionId: id, FinalUri: final})
	return err
}

// methods are those of the PRT that a session's requests stand on, as the provider
// says them in tokens.
func (m *machine) methods(session string) []string {
	m.w.t.Helper()
	signed, err := m.sign(session)
	if err != nil {
		m.w.t.Fatal(err)
	}
	sealed, err := m.w.redeem(signed)
	if err != nil {
		m.w.t.Fatal(err)
	}
	a, err := m.tokens.OpenTokenAnswer(m.w.t.Context(), &authorityv1.OpenTokenAnswerRequest{LogonSession: session, ClientId: appID, Answer: sealed})
	if err != nil {
		m.w.t.Fatal(err)
	}
	t, err := jose.ParseUnsigned(a.GetAnswer().GetIdToken())
	if err != nil {
		m.w.t.Fatal(err)
	}
	var claims entrawire.IDToken
	if err := t.Claims(&claims); err != nil {
		m.w.t.Fatal(err)
	}
	return claims.Methods
}

func (m *machine) kind(session string) string {
	m.w.t.Helper()
	a, err := m.tokens.DescribeAccount(m.w.t.Context(), &authorityv1.DescribeAccountRequest{LogonSession: session})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return a.GetCredentialKind()
}

// TestMFA04_APageUpgradesThePRTOfItsKind: what is proven at the page is in the PRT of
// the session from then on, and the session stays the one of a password.
func TestMFA04_APageUpgradesThePRTOfItsKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		if got := m.methods(session); strings.Join(got, " ") != "password" {
			t.Fatalf("before: %v", got)
		}
		page := m.begin(session, func(r *authorityv1.BeginInteractionRequest) {
			r.Claims = `{"access_token":{"amr":{"essential":true,"values":["mfa"]}}}`
		})
		u, err := url.Parse(page.GetUrl())
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Host != "login.microsoftonline.com" || u.Path != "/"+tenant+"/oauth2/authorize" || q.Get("client_id") != entrawire.BrokerClientID ||
			q.Get("resource") != "urn:aad:tb:update:prt" || q.Get("login_hint") != alice || !strings.Contains(q.Get("claims"), "mfa") || q.Has("prompt") {
			t.Errorf("page %s", page.GetUrl())
		}
		if page.GetHeaders()[0].GetName() != entrawire.CookieName || page.GetRedirectUri() != brokerURI {
			t.Errorf("page %v", page)
		}
		if err := m.complete(session, page.GetInteractionId(), w.idp.visit(page, visitor{methods: []string{"softwareOath"}})); err != nil {
			t.Fatal(err)
		}
		if got := m.methods(session); strings.Join(got, " ") != "password softwareOath" || m.kind(session) != "password" {
			t.Errorf("after: %v in %s", got, m.kind(session))
		}
		w.cut(true)
		if got := m.signIn(alice); !got.GetFromCache() {
			t.Error("the password is not known to the cache any more")
		}
	})
}

// TestAPageAddsAPartition: who proves something else than what the session stands on
// gets that in its own partition, and the session goes there.
func TestAPageAddsAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		other := m.signIn(alice).GetLogonSession()
		page := m.begin(session, func(r *authorityv1.BeginInteractionRequest) { r.SignIn = true })
		if !strings.Contains(page.GetUrl(), "prompt=login") {
			t.Errorf("page %s", page.GetUrl())
		}
		if err := m.complete(session, page.GetInteractionId(), w.idp.visit(page, visitor{upn: alice, methods: []string{"fido2"}})); err != nil {
			t.Fatal(err)
		}
		if m.kind(session) != "fido" || strings.Join(m.methods(session), " ") != "fido2" {
			t.Errorf("%s, %v", m.kind(session), m.methods(session))
		}
		if m.kind(other) != "password" || strings.Join(m.methods(other), " ") != "password" {
			t.Errorf("the other session: %s, %v", m.kind(other), m.methods(other))
		}
		m.logoff(session)
		m.logoff(other)
	})
}

// TestAPageForConsentIsTheApplicationsOwn: it carries the PRT, ends at the address that
// the application has for the broker, and nothing comes of it here: its code is never
// redeemed, and the PRT is the one from before.
func TestAPageForConsentIsTheApplicationsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		forApp := func(r *authorityv1.BeginInteractionRequest) { r.ClientId, r.Resource = appID, "https://graph.test" }
		page := m.begin(session, forApp)
		u, err := url.Parse(page.GetUrl())
		if err != nil {
			t.Fatal(err)
		}
		q, own := u.Query(), "ms-appx-web://Microsoft.AAD.BrokerPlugin/"+appID
		if q.Get("client_id") != appID || q.Get("resource") != "https://graph.test" || q.Get("redirect_uri") != own || page.GetRedirectUri() != own ||
			page.GetHeaders()[0].GetName() != entrawire.CookieName {
			t.Errorf("page %v", page)
		}
		before := m.only().GetPrtDigest()
		final := w.idp.visit(page, visitor{})
		w.took()
		if err := m.complete(session, page.GetInteractionId(), final); err != nil {
			t.Fatal(err)
		}
		if calls := w.took(); len(calls) != 0 || m.only().GetPrtDigest() != before {
			t.Errorf("calls %v", calls)
		}
		if err := m.complete(session, page.GetInteractionId(), final); prterr.KindOf(err) != prterr.Denied {
			t.Errorf("twice: %v", err)
		}
		for name, end := range map[string]func(string) string{
			"the broker's own end": func(f string) string { return strings.Replace(f, appID, "DRS", 1) },
			"another app's":        func(f string) string { return strings.Replace(f, appID, "cccccccc-0000-4000-8000-000000000002", 1) },
			"another state":        func(f string) string { return strings.Replace(f, "&state=", "&state=x", 1) },
		} {
			page := m.begin(session, forApp)
			if err := m.complete(session, page.GetInteractionId(), end(w.idp.visit(page, visitor{}))); prterr.KindOf(err) != prterr.Denied {
				t.Errorf("%s: %v", name, err)
			}
		}
		page = m.begin(session, forApp)
		final, _, _ = strings.Cut(w.idp.visit(page, visitor{}), "?")
		u, err = url.Parse(page.GetUrl())
		if err != nil {
			t.Fatal(err)
		}
		final += "?error=access_denied&error_description=AADSTS65004%3A+canary&state=" + u.Query().Get("state")
		if err := m.complete(session, page.GetInteractionId(), final); prterr.CodeOf(err) != aadsts.AuthorizationDeclined {
			t.Errorf("declined: %v", err)
		}
		for name, bad := range map[string]*authorityv1.BeginInteractionRequest{
			"no resource":   {ClientId: appID},
			"no client":     {Resource: "https://graph.test"},
			"client":        {ClientId: "DRS", Resource: "https://graph.test"},
			"resource":      {ClientId: appID, Resource: "https://graph.test\n"},
			"with claims":   {ClientId: appID, Resource: "https://graph.test", Claims: "{}"},
			"with a signIn": {ClientId: appID, Resource: "https://graph.test", SignIn: true},
		} {
			bad.LogonSession = session
			if _, err := m.tokens.BeginInteraction(t.Context(), bad); prterr.KindOf(err) != prterr.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestInteractionsAreBound: to their session, to an hour, to one use, to this browser's
// end of it, and to the user.
func TestInteractionsAreBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session, stranger := m.signIn(alice).GetLogonSession(), m.signIn(ada).GetLogonSession()
		before := m.methods(session)
		again := visitor{methods: []string{"sms"}}
		refused := func(name, session string, page *authorityv1.Interaction, final string) {
			t.Helper()
			if err := m.complete(session, page.GetInteractionId(), final); prterr.KindOf(err) != prterr.Denied {
				t.Errorf("%s: %v", name, err)
			}
		}
		page := m.begin(session)
		final := w.idp.visit(page, again)
		refused("another session", stranger, page, final)
		if err := m.complete(session, page.GetInteractionId(), final); err != nil {
			t.Fatalf("the stranger used it up: %v", err)
		}
		refused("twice", session, page, final)

		for name, change := range map[string]func(string) string{
			"another state":   func(f string) string { return strings.Replace(f, "&state=", "&state=x", 1) },
			"no state":        func(f string) string { return strings.Replace(f, "&state=", "&stat=", 1) },
			"two states":      func(f string) string { return f + "&state=x" },
			"another address": func(f string) string { return strings.Replace(f, "BrokerPlugin", "BrokerPlugin.evil", 1) },
			"longer address":  func(f string) string { return strings.Replace(f, "/DRS?", "/DRS/x?", 1) },
			"https":           func(f string) string { return "https://evil.test/?" + f[len(brokerURI)+1:] },
			"two codes":       func(f string) string { return f + "&code=1.x" },
			"no query":        func(string) string { return brokerURI },
			"a foreign error": func(string) string { return brokerURI + "?error=x&error_description=AADSTS50053" },
		} {
			page := m.begin(session)
			w.took()
			refused(name, session, page, change(w.idp.visit(page, again)))
			if calls := w.took(); len(calls) != 0 {
				t.Errorf("%s: calls %v", name, calls)
			}
		}

		page = m.begin(session)
		final = w.idp.visit(page, visitor{upn: ada, methods: []string{"password"}})
		refused("another user", session, page, final)

		page = m.begin(session)
		final = w.idp.visit(page, again)
		time.Sleep(time.Hour)
		refused("an hour later", session, page, final)

		page = m.begin(session)
		final = w.idp.visit(page, again)
		for range 8 {
			m.begin(session)
		}
		refused("the ninth before", session, page, final)

		page = m.begin(session)
		final = w.idp.visit(page, again)
		m.logoff(session)
		if err := m.complete(session, page.GetInteractionId(), final); prterr.KindOf(err) != prterr.Unauthenticated {
			t.Errorf("after the end of the session: %v", err)
		}
		session = m.signIn(alice).GetLogonSession()
		if got := m.methods(session); len(got) != len(before)+1 {
			t.Errorf("refused ends changed the PRT: %v", got)
		}
	})
}

// TestErrorsOfAPageAreOurs: a known code is an error of that code, in our words.
func TestErrorsOfAPageAreOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		for query, code := range map[string]aadsts.Code{
			"error=interaction_required&error_description=AADSTS50076%3A+canary": aadsts.MFARequired,
			"error=access_denied&error_description=AADSTS53003%3A+canary":        aadsts.BlockedByPolicy,
			"error=access_denied&error_subcode=cancel":                           0,
			"error=server_error&error_description=canary":                        0,
			"error=server_error&error_description=AADSTS1%3A+canary":             0,
		} {
			page := m.begin(session)
			u, err := url.Parse(page.GetUrl())
			if err != nil {
				t.Fatal(err)
			}
			err = m.complete(session, page.GetInteractionId(), brokerURI+"?state="+u.Query().Get("state")+"&"+query)
			if err == nil || prterr.CodeOf(err) != code || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", query, err)
			}
		}
	})
}

// TestAnEndedPRTIsNoReasonNotToShowAPage: the page gets the device's word in the place
// of the PRT, and brings a new PRT.
func TestAnEndedPRTIsNoReasonNotToShowAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		session := m.signIn(alice).GetLogonSession()
		w.cut(true)
		time.Sleep(15 * 24 * time.Hour)
		w.cut(false)
		if _, err := m.sign(session); prterr.KindOf(err) != prterr.Interaction {
			t.Fatalf("the PRT did not end: %v", err)
		}
		page := m.begin(session)
		if page.GetHeaders()[0].GetName() != entrawire.DeviceCookieName {
			t.Errorf("headers %v", page.GetHeaders())
		}
		if err := m.complete(session, page.GetInteractionId(), w.idp.visit(page, visitor{upn: alice, methods: []string{"password", "sms"}})); err != nil {
			t.Fatal(err)
		}
		if got := m.methods(session); strings.Join(got, " ") != "password sms" {
			t.Errorf("%v", got)
		}
	})
}

// TestAPageBeforeSignInGetsNoPRT: whoever stands before the lock screen has proven
// nothing, whatever is cached.
func TestAPageBeforeSignInGetsNoPRT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		for _, purpose := range []lsav1.WebSignInPurpose{
			lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_RESET_PIN,
			lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO,
		} {
			a, err := m.web.BeginWebSignIn(t.Context(), &lsav1.BeginWebSignInRequest{Purpose: purpose, LoginHint: alice})
			if err != nil {
				t.Fatal(err)
			}
			h := a.GetInteraction().GetHeaders()
			var r request
			if len(h) != 1 || h[0].GetName() != entrawire.DeviceCookieName || !readToken(h[0].GetValue(), &r) || r.PRT != "" {
				t.Errorf("%v: %v", purpose, h)
			}
			// Nor does the web session of whoever was at LogonUI's browser before.
			if u, err := url.Parse(a.GetInteraction().GetUrl()); err != nil || u.Query().Get("prompt") != "login" {
				t.Errorf("%v: a cookie of the browser would do: %s", purpose, a.GetInteraction().GetUrl())
			}
		}
	})
}

// TestAChangedPasswordIsForgottenWithAPage: who proved the new password at a page has a
// PRT that the old one must not open from the cache; the hash of a password goes with
// the PRT that it brought.
func TestAChangedPasswordIsForgottenWithAPage(t *testing.T) {
	for name, page := range map[string]func(m *machine, session string) error{
		"in a session": func(m *machine, session string) error {
			i := m.begin(session, func(r *authorityv1.BeginInteractionRequest) { r.SignIn = true })
			return m.complete(session, i.GetInteractionId(), m.w.idp.visit(i, visitor{alice, []string{"password", "sms"}}))
		},
		"to sign in": func(m *machine, _ string) error {
			_, err := m.byPage(alice, visitor{alice, []string{"password", "sms"}})
			return err
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			m := w.start()
			session := m.signIn(alice).GetLogonSession()
			w.idp.mu.Lock()
			w.idp.password = "canary-changed"
			clear(w.idp.prts) // PRTs of the old password have ended
			w.idp.mu.Unlock()
			if err := page(m, session); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, err := m.try(alice, password); err == nil {
				t.Errorf("%s: the old password opens the new PRT, from the cache %v", name, got.GetFromCache())
			}
			w.cut(true)
			if got, err := m.try(alice, password); err == nil {
				t.Errorf("%s, without a network: %v", name, got)
			}
			w.cut(false)
			for _, cached := range []bool{false, true} {
				if got, err := m.try(alice, "canary-changed"); err != nil || got.GetFromCache() != cached {
					t.Errorf("%s, the new password: %v, %v", name, got, err)
				}
			}
		})
	}
}
