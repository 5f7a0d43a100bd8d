package pageagent_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/pageagent/passkey"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// factors offers second factors.
func factors(ids ...string) string {
	buttons := ""
	for _, id := range ids {
		buttons += `<button type="submit" name="AuthMethodId" value="` + id + `">x</button>`
	}
	return page("ConvergedTFA", map[string]any{"iErrorCode": 50076}, form("/begin", buttons))
}

func codePage(id string) string {
	return page("ConvergedTFA", nil, form("/end", hidden("AuthMethodId", id)+`<input type="text" name="otc"><button type="submit" id="idSubmit_SAOTCC_Continue">Verify</button>`))
}

func TestSecondFactorByCode(t *testing.T) {
	for method, id := range map[string]string{pageagent.SMS: "OneWaySMS", pageagent.SoftwareOATH: "PhoneAppOTP"} {
		s := newSite(t)
		s.signInPages(factors("PhoneAppNotification", "PhoneAppOTP", "OneWaySMS"))
		s.on("/begin", always(codePage(id)))
		s.on("/end", always(done))
		p := alice()
		p.Prefer = []string{"password", method}
		p.Code = func(_ context.Context, asked string) (secret.Text, error) {
			if asked != method {
				t.Errorf("asked for %s", asked)
			}
			return secret.NewText("123456"), nil
		}
		_, prompts, err := s.agent(t, p).Run(t.Context(), s.start(), nil)
		if err != nil || !slices.Equal(prompts, []string{"password", method}) || s.got["/begin"]["AuthMethodId"] != id || s.got["/end"]["otc"] != "123456" {
			t.Errorf("%q, %v, %v", prompts, err, s.got)
		}
		p.Code = func(context.Context, string) (secret.Text, error) { return secret.Text{}, errors.New("no telephone") }
		if _, _, err := s.agent(t, p).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("%v", err)
		}
	}
}

// TestOneTimeCodes uses the vector of RFC 6238, appendix B, cut to six digits: its
// secret is the digits 1 to 0, twice, in ASCII.
func TestOneTimeCodes(t *testing.T) {
	s := newSite(t)
	s.signInPages(factors("PhoneAppOTP"))
	s.on("/begin", always(codePage("PhoneAppOTP")))
	s.on("/end", always(done))
	p := alice()
	p.TOTP = secret.NewText("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
	at := func(c *pageagent.Config) { c.Clock = fixed(1111111109) }
	if _, _, err := s.agent(t, p, at).Run(t.Context(), s.start(), nil); err != nil || s.got["/end"]["otc"] != "081804" {
		t.Errorf("%v, %v", s.got["/end"], err)
	}
	p.TOTP = secret.NewText("not base32!")
	if _, _, err := s.agent(t, p, at).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Invalid || strings.Contains(err.Error(), "base32!") {
		t.Errorf("%v", err)
	}
}

// TestTelephone: the person is asked once, with the number of the page; the page is
// asked until it knows.
func TestTelephone(t *testing.T) {
	for method, body := range map[string]string{
		pageagent.Push:        hidden("AuthMethodId", "PhoneAppNotification") + hidden("SessionId", "s7") + hidden("pollCount", "0") + next,
		pageagent.PhoneSignIn: hidden("code", "s7") + hidden("psRNGCSLK", "s7") + next,
	} {
		s := newSite(t)
		kind, id := "ConvergedTFA", "idRichContext_DisplaySign"
		if method == pageagent.PhoneSignIn {
			kind, id = "ConvergedSignIn", "idRemoteNGC_DisplaySign"
		}
		waits := page(kind, map[string]any{"iPollingInterval": 1}, `<p id="`+id+`"> 42 </p>`+form("/wait", body))
		polls := 0
		s.on("/authorize", always(waits))
		s.on("/wait", func(map[string]string) string {
			if polls++; polls < 20 {
				return waits
			}
			return done
		})
		p := pageagent.Person{Name: "alice@contoso.test"}
		asked := 0
		p.Approve = func(_ context.Context, c pageagent.Challenge) error {
			if asked++; c != (pageagent.Challenge{Method: method, ID: "s7", Number: 42}) {
				t.Errorf("%+v", c)
			}
			return nil
		}
		_, prompts, err := s.agent(t, p).Run(t.Context(), s.start(), nil)
		if err != nil || !slices.Equal(prompts, []string{method}) || asked != 1 || polls < 20 {
			t.Errorf("%s: %q, asked %d, %d polls, %v", method, prompts, asked, polls, err)
		}
		p.Approve = func(context.Context, pageagent.Challenge) error { return errors.New("it was not me") }
		if _, _, err := s.agent(t, p).Run(t.Context(), s.start(), nil); prterr.KindOf(err) != prterr.Interaction {
			t.Errorf("%v", err)
		}
	}
}

// ways is a page for the password with other ways to choose.
func ways(values ...string) string {
	buttons := ""
	for _, v := range values {
		buttons += `<button type="submit" name="credential" value="` + v + `">x</button>`
	}
	return page("ConvergedSignIn", map[string]any{"sPOST_Username": "a"}, form("/login", password)+form("/way", hidden("login", "a")+buttons))
}

func TestOtherWaysToBegin(t *testing.T) {
	key := passkey.New(passkey.Config{})
	for method, way := range map[string]struct{ value, page string }{
		pageagent.AccessPass: {"accesspass", page("ConvergedSignIn", nil, form("/proof", `<input type="password" name="accesspass">`+next))},
		pageagent.FIDO2: {"passkey", page("ConvergedSignIn", nil, `<form method="post" action="/proof" data-options='{"challenge":"AAAA","rpId":"127.0.0.1"}'>`+
			hidden("type", "23")+hidden("assertion", "")+next+`</form>`)},
	} {
		s := newSite(t)
		s.on("/authorize", always(ways("passkey", "phone", "accesspass", "unheard-of")))
		s.on("/way", always(way.page))
		s.on("/proof", always(done))
		if _, err := key.Create(s.URL, []byte(`{"rp":{"id":"127.0.0.1"},"user":{"id":"AQ"},"challenge":"AAAA"}`)); err != nil {
			t.Fatal(err)
		}
		p := alice()
		p.Prefer, p.AccessPass, p.Passkey = []string{method}, secret.NewText("PASS1234"), key
		_, prompts, err := s.agent(t, p).Run(t.Context(), s.start(), nil)
		if err != nil || !slices.Equal(prompts, []string{method}) || s.got["/way"]["credential"] != way.value {
			t.Errorf("%q, %v, %v", prompts, err, s.got)
		}
		if method == pageagent.AccessPass && s.got["/proof"]["accesspass"] != "PASS1234" {
			t.Errorf("%v", s.got["/proof"])
		}
		var assertion struct{ ID string }
		if err := json.Unmarshal([]byte(s.got["/proof"]["assertion"]), &assertion); method == pageagent.FIDO2 && (err != nil || assertion.ID == "") {
			t.Errorf("%v, %v", s.got["/proof"], err)
		}
	}
	// What the person does not take is not taken, though it would work.
	s := newSite(t)
	s.on("/authorize", always(ways("accesspass")))
	p := alice()
	p.Prefer = []string{pageagent.PhoneSignIn}
	_, prompts, err := s.agent(t, p).Run(t.Context(), s.start(), nil)
	if prterr.KindOf(err) != prterr.Interaction || len(prompts) != 0 || !strings.Contains(err.Error(), "password, temporaryAccessPass") {
		t.Errorf("%q, %v", prompts, err)
	}
}

// TestPagesThatAskForConsent answers no unless the person says yes.
func TestPagesThatAskForConsent(t *testing.T) {
	for kind, f := range map[string]struct {
		field, yes, no string
		agree          func(*pageagent.Person)
		prompts        []string
	}{
		"KmsiInterrupt":    {"LoginOptions", "1", "3", func(p *pageagent.Person) { p.Stay = true }, nil},
		"ConvergedConsent": {"accept", "true", "false", func(p *pageagent.Person) { p.Consents = true }, []string{"consent"}},
		"CmsiInterrupt":    {"ContinueAuth", "true", "false", func(p *pageagent.Person) { p.ConfirmsDevice = true }, []string{"confirmDevice"}},
	} {
		s := newSite(t)
		button := func(id, value string) string {
			return `<button type="submit" id="` + id + `" name="` + f.field + `" value="` + value + `">x</button>`
		}
		s.on("/authorize", always(page(kind, nil, form("/answer", `<input type="checkbox" name="DontShowAgain" value="true">`+button("idSIButton9", f.yes)+button("idBtn_Back", f.no)))))
		s.on("/answer", always(done))
		for _, yes := range []bool{true, false} {
			p, want := alice(), f.no
			if yes {
				f.agree(&p)
				want = f.yes
			}
			_, prompts, err := s.agent(t, p).Run(t.Context(), s.start(), nil)
			if _, ticked := s.got["/answer"]["DontShowAgain"]; err != nil || s.got["/answer"][f.field] != want || ticked || !slices.Equal(prompts, f.prompts) {
				t.Errorf("%s: %q, %v, %v", kind, prompts, err, s.got["/answer"])
			}
		}
	}
}

func TestPasswordChangeAndRegistration(t *testing.T) {
	s := newSite(t)
	s.signInPages(page("ConvergedChangePassword", map[string]any{"iErrorCode": 50055}, form("/change",
		`<input type="password" name="currentpasswd"><input type="password" name="newpasswd"><input type="password" name="confirmnewpasswd">`+next)))
	s.on("/change", always(done))
	p := alice()
	if _, _, err := s.agent(t, p).Run(t.Context(), s.start(), nil); prterr.CodeOf(err) != 50055 {
		t.Errorf("%v", err)
	}
	p.NewPassword = secret.NewText("battery staple")
	_, prompts, err := s.agent(t, p).Run(t.Context(), s.start(), nil)
	if err != nil || !slices.Equal(prompts, []string{"password", "newPassword"}) || s.got["/change"]["newpasswd"] != "battery staple" || s.got["/change"]["currentpasswd"] != "correct horse" {
		t.Errorf("%q, %v, %v", prompts, err, s.got["/change"])
	}
	s = newSite(t)
	s.signInPages(page("ConvergedProofUpRedirect", nil, form("/resume", next)))
	if _, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); prterr.CodeOf(err) != aadsts.MFAEnrolmentRequired || prterr.KindOf(err) != prterr.Interaction {
		t.Errorf("%v", err)
	}
	s = newSite(t)
	s.signInPages(page("ConvergedProofUpRedirect", map[string]any{"iErrorCode": 50203}, form("/resume", next+`<button type="submit" id="btnAskLater" name="later" value="1" formaction="/skip">Not now</button>`)))
	s.on("/skip", always(done))
	if _, prompts, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil); err != nil || !slices.Equal(prompts, []string{"password"}) || s.got["/skip"]["later"] != "1" {
		t.Errorf("%v, %v", err, prompts)
	}
}

// TestDeviceCode has no application to go back to: it ends at the last page.
func TestDeviceCode(t *testing.T) {
	s := newSite(t)
	s.on("/devicelogin", always(page("ConvergedRemoteConnect", nil, form("/code", `<input type="text" name="otc" value="">`+next))))
	s.on("/code", always(page("ConvergedRemoteConnectDone", nil, `<p id="message">You have signed in</p>`)))
	p := alice()
	p.UserCode = "ABCD1234"
	final, prompts, err := s.agent(t, p).Run(t.Context(), s.URL+"/devicelogin", nil)
	if err != nil || final != s.URL+"/code" || !slices.Equal(prompts, []string{"userCode"}) || s.got["/code"]["otc"] != "ABCD1234" {
		t.Errorf("%s, %q, %v", final, prompts, err)
	}
}

func TestFormPostEndsAtTheApplication(t *testing.T) {
	s := newSite(t)
	s.on("/authorize", always(page("FormPost", nil, `<form name="hiddenform" method="post" action="`+redirectURI+`">`+hidden("code", "1.c.d")+hidden("state", "a b")+next+`</form>`)))
	final, _, err := s.agent(t, alice()).Run(t.Context(), s.start(), nil)
	if err != nil || final != redirectURI+"?code=1.c.d&state=a+b" {
		t.Errorf("%s, %v", final, err)
	}
}
