package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/browser"
)

// fakeLogin is the smallest sign-in that has every page the browser knows.
func fakeLogin(t *testing.T) *httptest.Server {
	t.Helper()
	config := func(w http.ResponseWriter, text string) {
		_, _ = fmt.Fprintf(w, "<html><script>//<![CDATA[\n$Config={%s};\n//]]></script></html>", text)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		config(w, `"pgid":"ConvergedSignIn","sFT":"f","sCtx":"c","canary":"k","sessionId":"s","urlPost":"/login"`)
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("passwd") != "right" || r.FormValue("flowToken") != "f" {
			config(w, `"pgid":"ConvergedSignIn","sErrorCode":"50126","sErrTxt":"wrong"`)
			return
		}
		config(w, `"pgid":"ConvergedTFA","sFT":"f2","sCtx":"c2","canary":"k","urlPost":"/ProcessAuth","urlBeginAuth":"/begin","urlEndAuth":"/end"`)
	})
	mux.HandleFunc("/begin", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"Success":true,"Ctx":"c3","FlowToken":"f3","SessionId":"s"}`)
	})
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `{"Success":true,"Ctx":"c4","FlowToken":"f4","SessionId":"s"}`)
	})
	mux.HandleFunc("/ProcessAuth", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("request") != "c4" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		config(w, `"pgid":"KmsiInterrupt","sFT":"f5","sCtx":"c5","canary":"k","urlPost":"/kmsi"`)
	})
	mux.HandleFunc("/kmsi", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, "$Config={\"pgid\":\"FormPost\"};\n//]]></script>", `<form name="hiddenform" action="ms-appx-web://back/here"><input type="hidden" name="code" value="a&amp;b"></form>`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestWalk(t *testing.T) {
	s := fakeLogin(t)
	b, err := browser.New(browser.Config{
		Username: "alice@contoso.test", Password: "right",
		OneTimeCode: func(context.Context) (string, error) { return "123456", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Walk(t.Context(), s.URL+"/authorize", "MS-appx-web://back/")
	if err != nil || got.Get("code") != "a&b" {
		t.Fatalf("got %v, %v", got, err)
	}
	if strings.Count(b.Trail(), ">") != 5 {
		t.Errorf("trail %s", b.Trail())
	}
}

func TestWalkSaysWhy(t *testing.T) {
	s := fakeLogin(t)
	b, err := browser.New(browser.Config{Username: "alice@contoso.test", Password: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Walk(t.Context(), s.URL+"/authorize", "x:"); err == nil || !strings.Contains(err.Error(), "50126") {
		t.Fatalf("got %v", err)
	}
}

func TestWalkByWayOfAFederationProvider(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/adfs/ls/", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Password") != "right" || r.FormValue("AuthMethod") != "FormsAuthentication" {
			_, _ = fmt.Fprint(w, `<form action="/adfs/ls/?wctx=c"><input name="UserName" type="email"><input name="Password" type="password">`,
				`<input type="checkbox" name="Kmsi"><input type="hidden" name="AuthMethod" value="FormsAuthentication"></form>`)
			return
		}
		_, _ = fmt.Fprintf(w, `<form action="back:/"><input type="hidden" name="wctx" value="%s"></form>`, r.FormValue("wctx"))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	for password, want := range map[string]string{"right": "", "wrong": "asks again"} {
		b, err := browser.New(browser.Config{Username: "carol@adatum.test", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Walk(t.Context(), s.URL+"/adfs/ls/", "back:/")
		if want == "" && (err != nil || got.Get("wctx") != "c") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("with the %s password: %v, %v", password, got, err)
		}
	}
}
