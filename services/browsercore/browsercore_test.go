package browsercore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/browsercore"
)

const (
	page   = "https://login.microsoftonline.com/common/oauth2/authorize?sso_nonce=AQAB.x"
	sender = "https://portal.contoso.test/"
)

// authority counts what it is asked for and knows one session.
type authority struct {
	authorityv1.UnimplementedCookieAuthorityServiceServer
	asked  atomic.Int64
	answer *authorityv1.CreatePRTCookieResponse
}

func (a *authority) CreatePRTCookie(_ context.Context, r *authorityv1.CreatePRTCookieRequest) (*authorityv1.CreatePRTCookieResponse, error) {
	a.asked.Add(1)
	if r.GetLogonSession() != "session" {
		return nil, prterr.New(prterr.Unauthenticated, "unknown logon session")
	}
	return a.answer, nil
}

func host(t testing.TB, session string) (*browsercore.Host, *authority) {
	t.Helper()
	a := &authority{answer: &authorityv1.CreatePRTCookieResponse{Name: "x-ms-RefreshTokenCredential", Value: "cookie-value"}}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{
		Caller: "browsercore", Server: "lsa-cloudap",
		Allow: rpc.AllowList{authorityv1.CookieAuthorityService_CreatePRTCookie_FullMethodName: {"browsercore"}},
	}, func(r grpc.ServiceRegistrar) { authorityv1.RegisterCookieAuthorityServiceServer(r, a) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	h, err := browsercore.New(browsercore.Config{Authority: conn, LogonSession: secret.NewText(session)})
	if err != nil {
		t.Fatal(err)
	}
	return h, a
}

func frame(msg string) []byte {
	return append(binary.NativeEndian.AppendUint32(nil, uint32(len(msg))), msg...)
}

// talk sends frames and returns the answers.
func talk(t testing.TB, h *browsercore.Host, in []byte) ([]map[string]any, error) {
	t.Helper()
	var out bytes.Buffer
	err := h.Serve(t.Context(), bytes.NewReader(in), &out)
	var answers []map[string]any
	for out.Len() > 0 {
		var size [4]byte
		if _, e := io.ReadFull(&out, size[:]); e != nil {
			t.Fatal(e)
		}
		var a map[string]any
		if e := json.Unmarshal(out.Next(int(binary.NativeEndian.Uint32(size[:]))), &a); e != nil {
			t.Fatal(e)
		}
		answers = append(answers, a)
	}
	return answers, err
}

func ask(uri, sender string) string {
	msg, _ := json.Marshal(map[string]string{"method": "GetCookies", "uri": uri, "sender": sender})
	return string(msg)
}

func TestBRO18_GetCookiesAnswersAsTheWindowsHostDoes(t *testing.T) {
	h, a := host(t, "session")
	answers, err := talk(t, h, append(frame(ask(page, sender)), frame(ask(page, sender))...))
	if err != nil || len(answers) != 2 || a.asked.Load() != 2 {
		t.Fatalf("%v, %v, asked %d", answers, err, a.asked.Load())
	}
	item := answers[0]["response"].([]any)[0].(map[string]any)
	if item["name"] != "x-ms-RefreshTokenCredential" || item["data"] != "cookie-value" || item["flags"] != 8256.0 || !strings.HasPrefix(item["p3pHeader"].(string), `CP="CAO DSP`) {
		t.Errorf("%v", item)
	}
}

func TestBRO04_Attack23_NoCookieForAForeignHostWhateverTheBrowserPasses(t *testing.T) {
	h, a := host(t, "session")
	for _, uri := range []string{
		"", "https://evil.test/common/oauth2/authorize?sso_nonce=n", "https://login.microsoftonline.com@evil.test/common/oauth2/authorize?sso_nonce=n",
		strings.Replace(page, "https", "http", 1), strings.Replace(page, ".com/", ".com.evil.test/", 1), strings.Replace(page, ".com/", ".com:8443/", 1),
		strings.Replace(page, ".com/", ".com./", 1), strings.Replace(page, "sso_nonce=AQAB.x", "", 1),
	} {
		answers, err := talk(t, h, frame(ask(uri, sender)))
		if err != nil || len(answers) != 1 || len(answers[0]["response"].([]any)) != 0 {
			t.Errorf("%q: %v, %v", uri, answers, err)
		}
	}
	if n := a.asked.Load(); n != 0 {
		t.Errorf("the authority was asked %d times", n)
	}
}

func TestBadMessagesAreAnsweredAndTheNextOneWorks(t *testing.T) {
	h, _ := host(t, "session")
	for _, msg := range []string{"", "{", "[]", `"x"`, `{"method":"GetToken"}`, `{"method":"GetCookies"}`, ask(page, ""), `{"method":"GetCookies","uri":"https://evil.test/","uri":"` + page + `","sender":"x"}`, "\xff\xfe", strings.Repeat("[", 1000)} {
		answers, err := talk(t, h, append(frame(msg), frame(ask(page, sender))...))
		if err != nil || len(answers) != 2 || len(answers[0]["response"].([]any)) != 0 || len(answers[1]["response"].([]any)) != 1 {
			t.Errorf("%.20q: %v, %v", msg, answers, err)
		}
	}
}

func TestBrokenFramesEndTheHost(t *testing.T) {
	h, a := host(t, "session")
	for name, in := range map[string][]byte{
		"half a length":  {1, 0},
		"half a message": frame(ask(page, sender))[:20],
		"huge":           binary.NativeEndian.AppendUint32(nil, 1<<31),
	} {
		if _, err := talk(t, h, in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := talk(t, h, nil); err != nil || a.asked.Load() != 0 {
		t.Errorf("a closed pipe gave %v, asked %d", err, a.asked.Load())
	}
}

func TestTheAuthoritysAnswerIsChecked(t *testing.T) {
	h, a := host(t, "session")
	for _, bad := range []*authorityv1.CreatePRTCookieResponse{{}, {Name: "Set-Cookie", Value: "v"}, {Name: "x-ms-RefreshTokenCredential"}} {
		a.answer = bad
		if c, err := h.GetCookies(t.Context(), page, sender); err == nil {
			t.Errorf("%v gave %v", bad, c)
		}
	}
	other, _ := host(t, "another session")
	if _, err := other.GetCookies(t.Context(), page, sender); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("a foreign session: %v", err)
	}
	if _, err := browsercore.New(browsercore.Config{}); err == nil {
		t.Error("a host without authority and session was made")
	}
}

func FuzzNativeMessage(f *testing.F) {
	f.Add([]byte(ask(page, sender)))
	f.Add([]byte(ask("https://evil.test", sender)))
	f.Add([]byte("{"))
	h, a := host(f, "session")
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := a.asked.Load()
		answers, err := talk(t, h, frame(string(msg)))
		if err == nil && len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		if a.asked.Load() != before && !bytes.Contains(bytes.ToLower(msg), []byte("login.")) {
			t.Fatalf("the authority was asked for %q", msg)
		}
	})
}
