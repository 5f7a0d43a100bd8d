package front_test

import (
	"context"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// jar keeps the cookies of a browser for this one host.
type jar map[string]string

// browse sends a request with the cookies, keeps those of the answer, and follows
// redirects within the host.
func (s *stranger) browse(t testing.TB, j jar, request string) reply {
	t.Helper()
	for range 10 {
		var all []string
		for name, value := range j {
			all = append(all, name+"="+value)
		}
		if len(all) > 0 {
			request = strings.Replace(request, "\n\n", "\nCookie: "+strings.Join(all, "; ")+"\n\n", 1)
		}
		r := s.send(t, request)
		for _, c := range r.Cookies() {
			j[c.Name] = c.Value
			if c.MaxAge < 0 {
				delete(j, c.Name)
			}
		}
		to, err := r.Location()
		if err != nil || to.Host != login {
			return r
		}
		request = get(login, to.RequestURI())
	}
	t.Fatal("redirects without end")
	return reply{}
}

func (s *stranger) submit(t testing.TB, j jar, path string, page reply, pairs ...string) reply {
	t.Helper()
	return s.browse(t, j, post(path, form(append(plain(page), pairs...)...)))
}

// plain are the hidden fields of the first form of a page, as a browser reads them.
func plain(r reply) []string {
	first, _, _ := strings.Cut(r.text[max(0, strings.Index(r.text, "<form")):], "</form>")
	pairs := hidden(reply{r.Response, first})
	for i := range pairs {
		pairs[i] = html.UnescapeString(pairs[i])
	}
	return pairs
}

// inside is what a page shows, for a test that failed.
func inside(r reply) string { return r.text[max(0, strings.Index(r.text, "<main")):] }

// securityInfo signs a person in there with name and password.
func (s *stranger) securityInfo(t testing.TB, j jar, user, password string) reply {
	t.Helper()
	first := s.browse(t, j, get(login, "/security-info"))
	page := s.submit(t, j, "/common/login", first, "login", user)
	return s.submit(t, j, "/common/login", page, "passwd", password)
}

// A person without any method signs in with a password alone, registers one-time
// codes with the secret that the page shows, and is asked for one from then on.
func TestAPersonRegistersOneTimeCodes(t *testing.T) {
	s, j := whole(t, persons), jar{}
	list := s.securityInfo(t, j, alice, alicePassword)
	if !strings.Contains(list.text, `id="displayName">Signed in as `+alice) || !strings.Contains(list.text, `name="kind" value="softwareOath"`) {
		t.Fatalf("%d %s", list.StatusCode, inside(list))
	}
	token := tokenOn(t, list.text)
	begun := s.browse(t, j, post("/security-info/begin", form("token", token, "kind", "softwareOath")))
	m := regexp.MustCompile(`<code id="secret">([A-Z2-7 ]+)<`).FindStringSubmatch(begun.text)
	if m == nil || !strings.Contains(begun.text, `<svg class="qr"`) {
		t.Fatalf("%s", inside(begun))
	}
	secret := strings.ReplaceAll(m[1], " ", "")
	wrong := s.submit(t, j, "/security-info/complete", begun, "code", "000000")
	if !strings.Contains(wrong.text, `role="alert"`) || !strings.Contains(wrong.text, `name="code"`) {
		t.Fatalf("%s", inside(wrong))
	}
	done := s.submit(t, j, "/security-info/complete", wrong, "code", totp(t, secret, time.Now()))
	if !strings.Contains(done.text, "It was added") || !strings.Contains(done.text, `data-kind="softwareOath"`) {
		t.Fatalf("%s", inside(done))
	}
	// With a password alone one may look, and change nothing: the second factor is
	// asked for now, and then the change is made.
	fresh := jar{}
	list = s.securityInfo(t, fresh, alice, alicePassword)
	id := regexp.MustCompile(`data-kind="softwareOath"(?s:.*?)/security-info/remove(?s:.*?)name="method" value="([^"]+)"`).FindStringSubmatch(list.text)
	if id == nil {
		t.Fatalf("%s", inside(list))
	}
	remove := func() reply {
		return s.browse(t, fresh, post("/security-info/remove", form("token", tokenOn(t, list.text), "method", html.UnescapeString(id[1]))))
	}
	tiles := remove()
	if !strings.Contains(tiles.text, `data-value="PhoneAppOTP"`) {
		t.Fatalf("no second factor: %s", inside(tiles))
	}
	code := s.submit(t, fresh, "/common/SAS/BeginAuth", tiles, "AuthMethodId", "PhoneAppOTP")
	list = s.submit(t, fresh, "/common/SAS/EndAuth", code, "otc", totp(t, secret, time.Now().Add(30*time.Second)))
	if !strings.Contains(list.text, `data-kind="softwareOath"`) {
		t.Fatalf("%d %s", list.StatusCode, inside(list))
	}
	for name, value := range fresh {
		if len(name)+len(value) > 4096 {
			t.Errorf("the cookie %s has %d bytes: browsers drop it", name, len(value))
		}
	}
	gone := remove()
	if !strings.Contains(gone.text, "It was removed") || strings.Contains(gone.text, `data-kind="softwareOath"`) {
		t.Fatalf("%s", inside(gone))
	}
}

// A telephone is proven with the code that is sent to it.
func TestAPersonRegistersATelephone(t *testing.T) {
	s, j := whole(t, persons), jar{}
	token := tokenOn(t, s.securityInfo(t, j, alice, alicePassword).text)
	ask := s.browse(t, j, post("/security-info/begin", form("token", token, "kind", "sms")))
	bad := s.submit(t, j, "/security-info/begin", ask, "phone_number", "12")
	if !strings.Contains(bad.text, `role="alert"`) {
		t.Fatalf("%s", inside(bad))
	}
	begun := s.submit(t, j, "/security-info/begin", bad, "phone_number", "+44 2079460042")
	sent, err := directoryv1.NewReadServiceClient(s.operator(t)).ListMessages(context.Background(), &directoryv1.ListMessagesRequest{})
	if err != nil || len(sent.GetMessages()) == 0 {
		t.Fatalf("%v %v: %s", sent, err, inside(begun))
	}
	code := regexp.MustCompile(`\d{6}`).FindString(sent.GetMessages()[len(sent.GetMessages())-1].GetText())
	done := s.submit(t, j, "/security-info/complete", begun, "code", code)
	if !strings.Contains(done.text, "It was added") || !strings.Contains(done.text, `data-kind="sms"`) || !strings.Contains(done.text, "Telephone: text message or call") || strings.Contains(done.text, "2079460042") {
		t.Fatalf("%s", inside(done))
	}
}

// An authenticator is registered by taking the activation code of the page.
func TestAPersonRegistersAnAuthenticator(t *testing.T) {
	s, j := whole(t, persons), jar{}
	token := tokenOn(t, s.securityInfo(t, j, alice, alicePassword).text)
	push := s.browse(t, j, post("/security-info/begin", form("token", token, "kind", "microsoftAuthenticatorPush")))
	activation := regexp.MustCompile(`<code id="activation">([^<]+)<`).FindStringSubmatch(push.text)
	if activation == nil {
		t.Fatalf("%s", inside(push))
	}
	early := s.submit(t, j, "/security-info/complete", push)
	if !strings.Contains(early.text, "has not answered yet") {
		t.Fatalf("%s", inside(early))
	}
	_, err := directoryv1.NewPersonServiceClient(s.operator(t)).PairAuthenticator(context.Background(), &directoryv1.PairAuthenticatorRequest{
		UserPrincipalName: alice, ActivationCode: activation[1], DeviceName: "Pixel 9",
	})
	if err != nil {
		t.Fatal(err)
	}
	if done := s.submit(t, j, "/security-info/complete", early); !strings.Contains(done.text, `data-kind="microsoftAuthenticatorPush"`) {
		t.Fatalf("%s", inside(done))
	}
}

// A person who is sent to register comes back to the page and goes on with what was
// registered meanwhile.
func TestAPersonRegistersInTheMiddleOfASignIn(t *testing.T) {
	s := whole(t, persons)
	page := s.typedName(t, alice, "&amr_values=mfa")
	stop := s.send(t, post("/common/login", form(append(hidden(page), "passwd", alicePassword)...)))
	if string(configOf(t, stop)["pgid"]) != `"ConvergedProofUpRedirect"` || !strings.Contains(stop.text, `id="idProofUp" href="/security-info"`) {
		t.Fatalf("%s", inside(stop))
	}
	const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	_, err := directoryv1.NewAdminServiceClient(s.operator(t)).SetUserMethods(context.Background(), &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, TotpSecret: secret})
	if err != nil {
		t.Fatal(err)
	}
	tiles := s.send(t, post("/common/SAS/ProcessAuth", form(hidden(stop)...)))
	if !strings.Contains(tiles.text, `data-value="PhoneAppOTP"`) {
		t.Fatalf("%s", inside(tiles))
	}
	code := s.send(t, post("/common/SAS/BeginAuth", form(append(hidden(tiles), "AuthMethodId", "PhoneAppOTP")...)))
	wantCode(t, s.send(t, post("/common/SAS/EndAuth", form(append(hidden(code), "otc", totp(t, secret, time.Now()))...))))
}
