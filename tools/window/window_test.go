package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const redirectURI = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"

// TestAPageInABrowser: the headers go with the first request alone, pages lead on by
// form and script, and the address of the answer is printed and not opened.
func TestAPageInABrowser(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is missing: install it to run the sign-in window")
	}
	seen := map[string]string{}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		seen["first"] = r.Header.Get("x-ms-RefreshTokenCredential")
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<form method="post" action="/login"><input name="a" value="b"></form><script>document.forms[0].submit()</script>`))
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		seen["second"] = r.Header.Get("x-ms-RefreshTokenCredential")
		w.Header().Set("Location", redirectURI+"?code=1.c.d&state=s")
		w.WriteHeader(http.StatusFound)
	})
	s := httptest.NewTLSServer(mux)
	defer s.Close()
	key := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	in, err := json.Marshal(page{URL: s.URL + "/authorize?x=1", Headers: map[string]string{"x-ms-RefreshTokenCredential": "j.w.t"}, RedirectURI: redirectURI})
	if err != nil {
		t.Fatal(err)
	}
	o := options{headless: true, trust: base64.StdEncoding.EncodeToString(key[:]), timeout: time.Minute}
	final, err := run(context.Background(), strings.NewReader(string(in)), o)
	if err != nil || final != redirectURI+"?code=1.c.d&state=s" || seen["first"] != "j.w.t" || seen["second"] != "" {
		t.Errorf("%q, %v, %v", final, err, seen)
	}
}

func TestWhatIsNoPageIsRefused(t *testing.T) {
	for _, in := range []string{"", "{", `{"url":"http://login.test/","redirect_uri":"x"}`, `{"url":"https://login.test/"}`, strings.Repeat(" ", maxPage+1)} {
		if final, err := run(context.Background(), strings.NewReader(in), options{timeout: time.Second}); err == nil {
			t.Errorf("%.20q ended at %q", in, final)
		}
	}
	for address, want := range map[string]bool{redirectURI: true, redirectURI + "?code=x": true, redirectURI + ".evil?code=x": false, "https://x": false} {
		if ends(address, redirectURI) != want {
			t.Errorf("%s: %v", address, !want)
		}
	}
}
