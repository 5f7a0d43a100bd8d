package signinurl_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/signinurl"
)

const good = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=x&sso_nonce=AwABAA_-.9&state=s"

func list(t testing.TB) *signinurl.List {
	l, err := signinurl.NewList(signinurl.DefaultHosts())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBRO03_NonceIsPassedThroughUnchanged(t *testing.T) {
	for _, raw := range []string{
		good,
		strings.Replace(good, "login.microsoftonline.com", "login.microsoftonline.com:443", 1),
		strings.Replace(good, "login.microsoftonline.com", "login.windows.net", 1),
		strings.Replace(good, "https://login", "HTTPS://LOGIN", 1),
		strings.Replace(good, "/common/oauth2/v2.0/", "/contoso.test/oauth2/", 1),
		strings.Replace(good, "common", "aaaaaaaa-0000-4000-8000-000000000001", 1),
	} {
		if nonce, err := list(t).Nonce(raw); err != nil || nonce != "AwABAA_-.9" {
			t.Errorf("%s: %q, %v", raw, nonce, err)
		}
	}
}

func TestBRO03_Attack23_TricksAreRefused(t *testing.T) {
	host := func(h string) string { return strings.Replace(good, "login.microsoftonline.com", h, 1) }
	path := func(p string) string { return strings.Replace(good, "/common/oauth2/v2.0/authorize", p, 1) }
	for name, raw := range map[string]string{
		"empty":              "",
		"plain http":         strings.Replace(good, "https", "http", 1),
		"no scheme":          strings.TrimPrefix(good, "https:"),
		"opaque":             "https:login.microsoftonline.com/common/oauth2/authorize?sso_nonce=n",
		"three slashes":      strings.Replace(good, "https://", "https:///", 1),
		"javascript":         strings.Replace(good, "https", "javascript", 1),
		"look-alike suffix":  host("login.microsoftonline.com.evil.test"),
		"look-alike prefix":  host("evil-login.microsoftonline.com"),
		"subdomain":          host("a.login.microsoftonline.com"),
		"parent domain":      host("microsoftonline.com"),
		"digit one":          host("1ogin.microsoftonline.com"),
		"cyrillic o":         host("l\u043egin.microsoftonline.com"),
		"punycode":           host("xn--lgin-vqa.microsoftonline.com"),
		"full-width dot":     host("login\uff0emicrosoftonline.com"),
		"trailing dot":       host("login.microsoftonline.com."),
		"other port":         host("login.microsoftonline.com:8443"),
		"empty port":         host("login.microsoftonline.com:"),
		"port twice":         host("login.microsoftonline.com:443:443"),
		"long port":          host("login.microsoftonline.com:0443"),
		"user":               host("login.microsoftonline.com@evil.test"),
		"user of our host":   host("evil@login.microsoftonline.com"),
		"empty user":         host("@login.microsoftonline.com"),
		"password":           host("login.microsoftonline.com:443@evil.test"),
		"escaped at":         host("login.microsoftonline.com%40evil.test"),
		"escaped dot":        host("login%2emicrosoftonline.com"),
		"backslash":          host(`evil.test\@login.microsoftonline.com`),
		"backslash path":     host(`login.microsoftonline.com\.evil.test`),
		"hash host":          host("evil.test#@login.microsoftonline.com"),
		"address":            host("127.0.0.1"),
		"address six":        host("[::1]"),
		"tab in host":        host("login.micro\tsoftonline.com"),
		"line break":         good + "\n",
		"blank in front":     " " + good,
		"null byte":          good + "\x00",
		"fragment":           good + "#sso_nonce=x",
		"empty fragment":     good + "#",
		"root":               path("/"),
		"token endpoint":     path("/common/oauth2/token"),
		"logout":             path("/common/oauth2/v2.0/logout"),
		"no tenant":          path("/oauth2/authorize"),
		"deeper":             path("/common/oauth2/authorize/x"),
		"trailing slash":     path("/common/oauth2/authorize/"),
		"dot segment":        path("/../oauth2/authorize"),
		"escaped slash":      path("/common%2foauth2/authorize"),
		"escaped letter":     path("/common/oauth2/%61uthorize"),
		"double slash":       path("//common/oauth2/authorize"),
		"no nonce":           strings.Replace(good, "sso_nonce", "nonce", 1),
		"nonce twice":        good + "&sso_nonce=b",
		"nonce twice cased":  good + "&SSO_NONCE=b",
		"nonce cased":        strings.Replace(good, "sso_nonce", "Sso_Nonce", 1),
		"nonce escaped name": good + "&sso%5Fnonce=b",
		"empty nonce":        strings.Replace(good, "AwABAA_-.9", "", 1),
		"nonce alphabet":     strings.Replace(good, "AwABAA_-.9", "a%0ab", 1),
		"nonce plus":         strings.Replace(good, "AwABAA_-.9", "a+b", 1),
		"nonce too long":     strings.Replace(good, "AwABAA_-.9", strings.Repeat("a", 4097), 1),
		"semicolon":          strings.ReplaceAll(good, "&", ";"),
		"bad escape":         good + "&x=%zz",
		"too long":           good + "&x=" + strings.Repeat("a", 16<<10),
	} {
		nonce, err := list(t).Nonce(raw)
		if err == nil || nonce != "" {
			t.Errorf("%s: %q, %v", name, nonce, err)
			continue
		}
		if strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: the error quotes the URL: %v", name, err)
		}
		if got, want := errors.Is(err, signinurl.ErrNonce), strings.Contains(name, "nonce"); got != want {
			t.Errorf("%s: says nonce: %v: %v", name, got, err)
		}
	}
}

func TestHostsAreChecked(t *testing.T) {
	for _, bad := range [][]string{nil, {""}, {"Login.test"}, {"login.test:443"}, {"login.test."}, {"*.test"}, {"https://login.test"}, {"xn--lgin.test"}, {"a b"}, make([]string, 65)} {
		if _, err := signinurl.NewList(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// FuzzSignInURL is BRO04: whatever the browser passes, a nonce comes back only
// for a page whose host is on the list, read by the standard parser.
func FuzzSignInURL(f *testing.F) {
	f.Add(good)
	f.Add(strings.Replace(good, "://", "://evil.test@", 1))
	f.Add(strings.Replace(good, ".com", ".com.evil.test", 1))
	f.Add(`https://evil.test\@login.microsoftonline.com/common/oauth2/authorize?sso_nonce=n`)
	f.Add("https://login.microsoftonline.com:443/x/oauth2/authorize?sso_nonce=n&SSO_NONCE=m")
	l := list(f)
	f.Fuzz(func(t *testing.T, raw string) {
		nonce, err := l.Nonce(raw)
		if err != nil {
			if nonce != "" {
				t.Errorf("a nonce beside an error")
			}
			return
		}
		u, perr := url.Parse(raw)
		if perr != nil || u.Scheme != "https" || u.User != nil || (u.Port() != "" && u.Port() != "443") {
			t.Fatalf("taken: %q", raw)
		}
		switch strings.ToLower(u.Hostname()) {
		case "login.microsoftonline.com", "login.microsoft.com", "login.windows.net":
		default:
			t.Fatalf("foreign host taken: %q", raw)
		}
		if u.Query().Get("sso_nonce") != nonce || !strings.Contains(raw, nonce) {
			t.Fatalf("nonce changed: %q gave %q", raw, nonce)
		}
	})
}
