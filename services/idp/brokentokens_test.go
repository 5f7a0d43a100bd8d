package idp_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// brokenSpellings are a good compact token cut, spelled otherwise, and with line breaks where
// decoders of base64 pass over them: to a lax reader each but those that are cut says the same.
func brokenSpellings(t *testing.T, good string) map[string]string {
	t.Helper()
	p := strings.Split(good, ".")
	payload, err := jose.DecodeSegment(p[1])
	if err != nil {
		t.Fatal(err)
	}
	join := func(a, b, c string) string { return a + "." + b + "." + c }
	broken := map[string]string{
		"half": good[:len(good)/2], "without its last character": good[:len(good)-1], "header alone": p[0], "without a signature": p[0] + "." + p[1],
		"an empty signature": join(p[0], p[1], ""), "a cut signature": join(p[0], p[1], p[2][:len(p[2])/2]), "a fourth part": good + ".AAAA",
		"padded": join(p[0], base64.URLEncoding.EncodeToString(payload)+"=", p[2]), "the payload with a space": join(p[0], jose.EncodeSegment(append(slices.Clone(payload), ' ')), p[2]),
		"percent": strings.ReplaceAll(good, ".", "%2E"), "a byte order mark": "\ufeff" + good, "a zero": good + "\x00",
	}
	for name, at := range map[string]int{"header": len(p[0]) / 2, "payload": len(p[0]) + 1 + len(p[1])/2, "signature": len(good) - len(p[2])/2, "end": len(good)} {
		for what, space := range map[string]string{"line feed": "\n", "line break": "\r\n", "space": " ", "tab": "\t"} {
			broken[what+" in the "+name] = good[:at] + space + good[at:]
		}
	}
	return broken
}

// brokenHeaders are a good token with another word about its algorithm or its key, signed
// anew by the right key over what it says now.
func brokenHeaders(t *testing.T, good string, key *rsa.PrivateKey, members ...string) map[string]string {
	t.Helper()
	p := strings.Split(good, ".")
	raw, err := jose.DecodeSegment(p[0])
	if err != nil {
		t.Fatal(err)
	}
	signed := func(change map[string]any) string {
		var h map[string]any
		if err := json.Unmarshal(raw, &h); err != nil {
			t.Fatal(err)
		}
		maps.Copy(h, change)
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		input := jose.EncodeSegment(b) + "." + p[1]
		digest := sha256.Sum256([]byte(input))
		sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		if h["alg"] == "HS256" { // with the public key as the secret
			der, failed := x509.MarshalPKIXPublicKey(&key.PublicKey)
			if failed != nil {
				t.Fatal(failed)
			}
			mac := hmac.New(sha256.New, der)
			_, _ = mac.Write([]byte(input))
			sig = mac.Sum(nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if h["alg"] == "none" {
			sig = nil
		}
		return jose.Assemble(input, sig)
	}
	values := map[string][]any{
		"alg": {"none", "None", "HS256", "RS384", "PS256", "ES256", "dir", "", 256, nil, []string{"RS256"}},
		"kid": {"", "another", "../../../etc/passwd", strings.Repeat("k", 9000), 7, nil, "' OR 1=1 --"},
	}
	broken := map[string]string{}
	for _, m := range members {
		for _, v := range values[m] {
			broken[fmt.Sprintf("%s %.20v", m, v)] = signed(map[string]any{m: v})
		}
	}
	return broken
}

// doorsOfTokens send a token to every place on the web that takes one, and answer the status
// and what was given for it, which is empty for a token that was refused.
func doorsOfTokens(t *testing.T, w *world, nonce string) map[string]func(token string) (int, string) {
	t.Helper()
	post := func(form url.Values) (int, string) {
		status, answer := postToken(t, w, form)
		return status, fmt.Sprint(answer["refresh_token"], answer["access_token"])
	}
	visit := func(r *http.Request) (int, string) {
		status, header, _ := w.overHTTPS(r)
		return status, header.Get("Location")
	}
	const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	return map[string]func(string) (int, string){
		"token endpoint": func(token string) (int, string) {
			status, got := post(url.Values{"windows_api_version": {"2.0"}, "grant_type": {jwtBearer}, "request": {token}})
			return status, strings.TrimSpace(strings.ReplaceAll(got, "<nil>", ""))
		},
		"authorize": func(token string) (int, string) {
			r := httptest.NewRequest(http.MethodGet, authorizeURL("&sso_nonce="+nonce), nil)
			r.Header["X-Ms-Refreshtokencredential"] = []string{token}
			status, to := visit(r)
			if !strings.Contains(to, "code=") {
				to = ""
			}
			return status, to
		},
		"Graph": func(token string) (int, string) {
			r := httptest.NewRequest(http.MethodGet, "https://graph.microsoft.com/v1.0/me", nil)
			if token != strings.TrimSpace(token) {
				return http.StatusUnauthorized, "" // no such header comes over a wire: HTTP takes it off (RFC 9110, 5.5)
			}
			r.Header["Authorization"] = []string{"Bearer " + token}
			status, _, body := w.overHTTPS(r)
			if status != http.StatusOK {
				body = ""
			}
			return status, body
		},
	}
}

// TestFLT10_BrokenTokensAreRefused brings every kind of signed token, broken in every way, to
// every door on the web. None is taken, none is answered with a failure of the server, and
// afterwards the good ones are still taken.
func TestFLT10_BrokenTokensAreRefused(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	access := s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal()
	h := d.provision(t, alice, 3, time.Now())
	inRequest := func(assertion string) string { return d.sign(t, h.request(t, w.nonce(t), assertion)) }
	nonce := w.nonce(t)
	request, cookie, assertion := d.sign(t, d.claims(t, alice, alicePassword)), s.sign(t, s.cookie(nonce)), h.assertion(t, time.Now(), w.nonce(t), nil)

	broken := map[string]map[string]string{
		"a request for a PRT":      brokenSpellings(t, request),
		"its header":               brokenHeaders(t, request, d.dk, "alg"),
		"a PRT cookie":             brokenSpellings(t, cookie),
		"the cookie's header":      brokenHeaders(t, cookie, d.dk, "alg"),
		"an access token":          brokenSpellings(t, access),
		"the access token's head":  brokenHeaders(t, access, rsaKeys()[0], "alg", "kid"),
		"a renewal":                brokenSpellings(t, s.sign(t, s.renewal(t))),
		"a Hello assertion":        {},
		"a certificate of another": {"x5c": d.signAs(t, jose.Header{Typ: "JWT", KDFVer: 2, X5C: [][]byte{selfSigned(t, d)}}, d.dk, encoded(t, d.claims(t, alice, alicePassword)))},
	}
	for _, all := range []map[string]string{brokenSpellings(t, assertion), brokenHeaders(t, assertion, h.key, "alg", "kid")} {
		for name, one := range all {
			broken["a Hello assertion"][name] = inRequest(one)
		}
	}
	doors := doorsOfTokens(t, w, nonce)
	w.unchanged(t, func() {
		for kind, all := range broken {
			for how, token := range all {
				for door, send := range doors {
					if status, got := send(token); got != "" || status >= http.StatusInternalServerError {
						t.Errorf("%s took %s, %s: %d %.60q", door, kind, how, status, got)
					}
				}
			}
		}
	})
	for door, good := range map[string]string{"token endpoint": request, "authorize": cookie, "Graph": access} {
		if status, got := doors[door](good); got == "" {
			t.Errorf("%s refuses a good token: %d", door, status)
		}
	}
	if _, got := doors["token endpoint"](inRequest(assertion)); got == "" {
		t.Error("a good Hello assertion is refused")
	}
}
