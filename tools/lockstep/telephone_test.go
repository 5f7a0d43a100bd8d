package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// browsers makes browsers that find every name of the cloud at one server.
func browsers(t *testing.T, i serve.Info) func() *http.Client {
	t.Helper()
	ca, err := os.ReadFile(i.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, i.HTTPS)
		}
		transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Jar: jar, Transport: transport, Timeout: 30 * time.Second}
	}
}

func cliSignIn() string {
	challenge := sha256.Sum256([]byte(strings.Repeat("v", 43)))
	return "https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize?" + url.Values{
		"client_id": {"04b07795-8ddb-461a-bbee-02f9e1bf7b46"}, "redirect_uri": {"http://localhost"}, "response_type": {"code"},
		"scope": {"https://graph.microsoft.com/.default openid"}, "state": {"s1"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// texted is the code in the newest message of the telephone, as the command shows it.
func texted(t *testing.T, user string) string {
	t.Helper()
	out, err := command(t, "authenticator", "messages", "--user", user, "--json")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var m struct{ Text string }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return regexp.MustCompile(`\d{6}`).FindString(m.Text)
}

// TestTheTelephoneSignsInAtRealPages: a person before the provider's own pages, over
// HTTPS, whose telephone is the command. Every method that a telephone has.
func TestTheTelephoneSignsInAtRealPages(t *testing.T) {
	const nora = "nora@contoso.test"
	browser := browsers(t, serving(t, serve.Config{}))
	pass := func(kind ...string) secret.Text {
		t.Helper()
		out, err := command(t, append([]string{"tenant", "user", "access-pass", nora, "--json"}, kind...)...)
		var m struct {
			AccessPass string `json:"access_pass"`
		}
		if err != nil || json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &m) != nil || m.AccessPass == "" {
			t.Fatalf("%v: %s", err, out)
		}
		return secret.NewText(m.AccessPass)
	}
	approve := func(_ context.Context, c pageagent.Challenge) error {
		args := []string{"authenticator", "approve", "--user", nora}
		if c.Number != 0 {
			args = append(args, strconv.Itoa(c.Number))
		}
		_, err := command(t, args...)
		return err
	}
	watching := func(ctx context.Context, _ pageagent.Challenge) error {
		cmd := root()
		cmd.SetArgs([]string{"authenticator", "watch", "--once", "--answer", "approve", "--user", nora})
		cmd.SetIn(strings.NewReader(""))
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		return cmd.ExecuteContext(ctx)
	}
	for _, f := range []struct {
		prefer  []string
		approve func(context.Context, pageagent.Challenge) error
		pass    []string
	}{
		{prefer: []string{pageagent.Password, pageagent.Push}, approve: approve},
		{prefer: []string{pageagent.Password, pageagent.Push}, approve: watching},
		{prefer: []string{pageagent.Password, pageagent.SMS}},
		{prefer: []string{pageagent.Password, pageagent.SoftwareOATH}},
		{prefer: []string{pageagent.Password, pageagent.Voice}, approve: approve},
		{prefer: []string{pageagent.PhoneSignIn}, approve: approve},
		{prefer: []string{pageagent.PhoneSignIn}, approve: watching},
		{prefer: []string{pageagent.AccessPass}, pass: []string{"--one-time"}},
		{prefer: []string{pageagent.Password, pageagent.AccessPass}, pass: []string{"--lifetime", "10m"}},
	} {
		t.Run(strings.Join(f.prefer, " "), func(t *testing.T) {
			var typed secret.Text
			if f.pass != nil {
				typed = pass(f.pass...)
			}
			a, err := pageagent.New(pageagent.Config{HTTP: browser(), Person: pageagent.Person{
				Name: nora, Password: secret.NewText("every method has its day"), Prefer: f.prefer, Approve: f.approve, AccessPass: typed,
				Code: func(_ context.Context, method string) (secret.Text, error) {
					if method == pageagent.SMS {
						return secret.NewText(texted(t, nora)), nil
					}
					out, err := command(t, "authenticator", "code", "--user", nora)
					lines := strings.Fields(out) // the code is the last line
					return secret.NewText(lines[len(lines)-1]), err
				},
			}})
			if err != nil {
				t.Fatal(err)
			}
			final, prompts, err := a.Run(t.Context(), cliSignIn(), nil)
			if err != nil {
				t.Fatalf("%q, %v", prompts, err)
			}
			if q, err := pageagent.Answer(final); err != nil || q.Get("code") == "" || !slices.Equal(prompts, f.prefer) {
				t.Errorf("%q, %v, %v", prompts, q, err)
			}
		})
	}
	out, err := command(t, "tenant", "sign-ins", "--json", "--limit", "200")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"sms", "voice", "deviceBasedPush", "microsoftAuthenticatorPush", "softwareOath"} {
		if !strings.Contains(out, `"`+m+`"`) {
			t.Errorf("the log names no sign-in by %s", m)
		}
	}
}
