package front_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey/passkeytest"
)

// withKey registers a passkey of alice on the page.
func (s *stranger) withKey(t testing.TB, auth *passkeytest.Authenticator) {
	t.Helper()
	j := jar{}
	token := tokenOn(t, s.securityInfo(t, j, alice, alicePassword).text)
	begun := s.browse(t, j, post("/security-info/begin", form("token", token, "kind", "fido2", "display_name", "Blue")))
	m := regexp.MustCompile(`data-options="([^"]+)"`).FindStringSubmatch(begun.text)
	if m == nil {
		t.Fatalf("%s", inside(begun))
	}
	made, err := auth.Create(html.UnescapeString(m[1]), "https://"+login)
	if err != nil {
		t.Fatal(err)
	}
	pairs := plain(begun)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "credential" {
			pairs[i+1] = made // the script fills it in
		}
	}
	if done := s.browse(t, j, post("/security-info/complete", form(pairs...))); !strings.Contains(done.text, `data-kind="fido2"`) {
		t.Fatalf("%s", inside(done))
	}
}

// fidoAsClients asks for a challenge and answers it as libhimmelblau does: the text of
// sFidoChallenge is the challenge, byte for byte.
func (s *stranger) fidoAsClients(t testing.TB, auth *passkeytest.Authenticator, page map[string]json.RawMessage) (reply, []string) {
	t.Helper()
	path := strings.TrimPrefix(unquoted(page["urlFidoLogin"]), "https://"+login)
	asked := configOf(t, s.send(t, post(path, form("flow", "mfa", "allowedIdentities", string(page["iAllowedIdentities"]), "canary", unquoted(page["sFT"]), "serverChallenge", unquoted(page["sFT"]),
		"postBackUrl", unquoted(page["urlPost"]), "postBackUrlAad", unquoted(page["urlPost"]), "cancelUrl", unquoted(page["urlResume"]), "resumeUrl", unquoted(page["urlResume"]),
		"correlationId", unquoted(page["correlationId"]), "credentialsJson", "", "ctx", unquoted(page["sCtx"]), "username", alice, "loginCanary", unquoted(page["canary"])))))
	challenge := unquoted(asked["sFidoChallenge"])
	if !regexp.MustCompile(`^[A-Z2-7]{52}$`).MatchString(challenge) || unquoted(asked["sCrossDomainCanary"]) == "" {
		t.Fatalf("%q %s", challenge, asked["sCrossDomainCanary"])
	}
	var allowed []string
	_ = json.Unmarshal(asked["arrFidoAllowList"], &allowed) // it is not there without a first factor
	list := []map[string]string{}
	for _, id := range allowed {
		list = append(list, map[string]string{"type": "public-key", "id": id})
	}
	options, err := json.Marshal(map[string]any{"challenge": base64.RawURLEncoding.EncodeToString([]byte(challenge)), "rpId": login, "allowCredentials": list, "userVerification": "required"})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := auth.Get(string(options), "https://"+login)
	if err != nil {
		t.Fatal(err)
	}
	var full struct {
		ID       string            `json:"id"`
		Response map[string]string `json:"response"`
	}
	if err := json.Unmarshal([]byte(answer), &full); err != nil {
		t.Fatal(err)
	}
	full.Response["id"] = full.ID // the members of the answer beside the id
	flat, err := json.Marshal(full.Response)
	if err != nil {
		t.Fatal(err)
	}
	to := strings.TrimPrefix(unquoted(asked["urlPost"]), "https://"+login)
	return s.send(t, post(to, form("type", "23", "ps", "23", "assertion", string(flat), "lmcCanary", unquoted(asked["sCrossDomainCanary"]), "hpgrequestid", unquoted(asked["sessionId"]),
		"ctx", unquoted(asked["sCtx"]), "canary", unquoted(asked["canary"]), "flowToken", unquoted(asked["sFT"])))), allowed
}

// TestFIDOAsClientsDriveIt: as the whole sign-in, and after a password that is not
// enough; then the list of the user's passkeys comes with the challenge.
func TestFIDOAsClientsDriveIt(t *testing.T) {
	s, auth := whole(t, persons), &passkeytest.Authenticator{}
	s.withKey(t, auth)
	r, allowed := s.fidoAsClients(t, auth, configOf(t, s.send(t, get(login, visit("&prompt=login&sso_reload=True")))))
	if wantCode(t, r); len(allowed) != 0 {
		t.Errorf("who has a passkey is told to whoever types a name: %v", allowed)
	}
	first := configOf(t, s.send(t, get(login, visit("&prompt=login&sso_reload=True&amr_values=ngcmfa"))))
	tiles := configOf(t, s.password(t, first, alice, alicePassword))
	if string(tiles["pgid"]) != `"ConvergedTFA"` || !strings.Contains(string(tiles["arrUserProofs"]), `"FidoKey"`) {
		t.Fatalf("%s %s", tiles["pgid"], tiles["arrUserProofs"])
	}
	r, allowed = s.fidoAsClients(t, auth, tiles)
	if wantCode(t, r); len(allowed) != 1 {
		t.Errorf("%v", allowed)
	}
	// Nobody who did not ask gets a challenge.
	again := configOf(t, s.send(t, get(login, visit("&prompt=login&sso_reload=True"))))
	if again["sFidoChallenge"] != nil {
		t.Errorf("a page nobody asked for a challenge has one: %s", again["sFidoChallenge"])
	}
}
