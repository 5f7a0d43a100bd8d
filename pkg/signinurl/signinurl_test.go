package signinurl_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/signinurl"
)

const good = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=x&sso_nonce=AwABAAEAAAAC.nonce_1-2"

func list(t testing.TB) *signinurl.List {
	l, err := signinurl.NewList(signinurl.DefaultHosts())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBRO03_TheNonceComesThroughUnchanged(t *testing.T) {
	for _, u := range []string{good, strings.Replace(good, ".com/", ".com:443/", 1), strings.Replace(good, "/v2.0", "", 1), strings.Replace(good, "login.", "LOGIN.", 1)} {
		if n, err := list(t).Nonce(u); err != nil || n != "AwABAAEAAAAC.nonce_1-2" {
			t.Errorf("%s: %q, %v", u, n, err)
		}
	}
}

// foreign are URLs of which some parser somewhere says that they are the
// identity provider's.
func foreign() []string {
	const tail = "/common/oauth2/authorize?sso_nonce=n"
	return []string{
		"", "x", "http://login.microsoftonline.com" + tail, "https:login.microsoftonline.com" + tail, "//login.microsoftonline.com" + tail,
		"https://login.microsoftonline.com.evil.test" + tail, "https://evil.test/login.microsoftonline.com" + tail,
		"https://login.microsoftonline.com@evil.test" + tail, "https://login.microsoftonline.com:x@evil.test" + tail,
		"https://user@login.microsoftonline.com" + tail, "https://login.microsoftonline.com:444" + tail, "https://login.microsoftonline.com:" + tail,
		"https://login.microsoftonline.com." + tail, "https://loginmicrosoftonline.com" + tail, "https://sub.login.microsoftonline.com" + tail,
		"https://lоgin.microsoftonline.com" + tail, "https://xn--lgin-w5d.microsoftonline.com" + tail, "https://login.microsoftonline.c%6Fm" + tail,
		"https://evil.test\\@login.microsoftonline.com" + tail, "https://login.microsoftonline.com\\.evil.test" + tail,
		"https://login.microsoftonline.com\t.evil.test" + tail, "https://login.micro\nsoftonline.com" + tail, " https://login.microsoftonline.com" + tail,
		"https://evil.test/?u=https://login.microsoftonline.com" + tail, "https://evil.test#https://login.microsoftonline.com" + tail,
		"https://[login.microsoftonline.com]" + tail, "https://login.microsoftonline.com/common/../evil/oauth2/authorize?sso_nonce=n",
		"https://login.microsoftonline.com/common%2foauth2/authorize?sso_nonce=n", "https://login.microsoftonline.com/redirect?sso_nonce=n",
		"https://login.microsoftonline.com" + tail + "#x", "javascript:login.microsoftonline.com" + tail,
	}
}

func TestBRO03_ForeignURLsAreRefused(t *testing.T) {
	for _, u := range foreign() {
		if n, err := list(t).Nonce(u); err == nil {
			t.Errorf("%q gave nonce %q", u, n)
		} else if errors.Is(err, signinurl.ErrNonce) {
			t.Errorf("%q was taken for a page of the identity provider", u)
		}
	}
}

func TestBRO03_TheNonceMustBeThereOnce(t *testing.T) {
	base := "https://login.microsoftonline.com/common/oauth2/authorize?a=b"
	for _, q := range []string{"", "&sso_nonce=", "&sso_nonce=a&sso_nonce=b", "&sso_nonce=a&SSO_nonce=b", "&sso_nonce=a%2Bb", "&sso_nonce=a+b", "&sso_nonce=" + strings.Repeat("a", 5000)} {
		if n, err := list(t).Nonce(base + q); err == nil {
			t.Errorf("%q gave nonce %q", q, n)
		}
	}
}

func TestHostLists(t *testing.T) {
	for _, hosts := range [][]string{nil, {""}, {"LOGIN.test"}, {"a.test:443"}, {"xn--a.test"}, {"a..test"}, {"-a.test"}} {
		if _, err := signinurl.NewList(hosts); err == nil {
			t.Errorf("%q was taken", hosts)
		}
	}
}

func FuzzSignInURL(f *testing.F) {
	f.Add(good)
	for _, u := range foreign() {
		f.Add(u)
	}
	l := list(f)
	f.Fuzz(func(t *testing.T, raw string) {
		n, err := l.Nonce(raw)
		if err != nil {
			return
		}
		// What was taken must be the identity provider's for a naive reader too.
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || n == "" || strings.ContainsAny(n, "&=+%#? ") {
			t.Fatalf("%q gave %q", raw, n)
		}
		if h := strings.ToLower(u.Hostname()); h != "login.microsoftonline.com" && h != "login.microsoft.com" && h != "login.windows.net" {
			t.Fatalf("foreign host %q", h)
		}
	})
}
