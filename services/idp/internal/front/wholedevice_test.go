package front_test

import (
	"regexp"
	"strings"
	"testing"
)

// hidden reads the hidden inputs of the form on a page.
func hidden(r reply) []string {
	var pairs []string
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`).FindAllStringSubmatch(r.text, -1) {
		pairs = append(pairs, m[1], m[2])
	}
	return pairs
}

// A device shows a code; its user types it in a browser, without scripts.
func TestDeviceCodeInABrowser(t *testing.T) {
	for _, version := range []string{"", "v2.0/"} {
		s := whole(t, nil)
		ask := form("client_id", azureCLI, "resource", "https://graph.microsoft.com")
		if version != "" {
			ask = form("client_id", azureCLI, "scope", "https://graph.microsoft.com/.default offline_access openid profile")
		}
		begun := s.send(t, post("/common/oauth2/"+version+"devicecode", ask))
		wantStatus(t, begun, 200)
		poll := func(name string) reply {
			return s.send(t, post("/common/oauth2/"+version+"token", form("grant_type", "urn:ietf:params:oauth:grant-type:device_code", "client_id", azureCLI, name, begun.str(t, "device_code"))))
		}
		wait := poll("code")
		wantMember(t, wait, "error", `"authorization_pending"`)
		wantMember(t, wait, "error_codes", "[70016]")
		typed := s.send(t, post("/common/oauth2/deviceauth", form("otc", begun.str(t, "user_code"))))
		name := s.send(t, post("/common/login", form(append(hidden(typed), "login", alice)...)))
		confirm := s.send(t, post("/common/login", form(append(hidden(name), "passwd", alicePassword)...)))
		if !strings.Contains(confirm.text, `action="/appverify"`) {
			t.Fatalf("no question: %s", confirm.text)
		}
		done := s.send(t, post("/appverify", form(append(hidden(confirm), "ContinueAuth", "true")...)))
		if !strings.Contains(done.text, `id="message">You have signed in`) {
			t.Fatalf("not done: %s", done.text)
		}
		r := poll("device_code")
		wantStatus(t, r, 200)
		if c := claimsOf(t, r.str(t, "access_token")); c["upn"] != alice {
			t.Errorf("%v", c)
		}
		again := poll("device_code")
		wantStatus(t, again, 400)
		wantMember(t, again, "error_codes", "[70018]")
	}
}
