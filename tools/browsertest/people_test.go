package browsertest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // HOTP is over SHA-1 (RFC 4226)
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// person is somebody with a password, and whatever else the test gave.
type person struct {
	t              testing.TB
	name, password string
	secret         string // of one-time codes, base32
}

// operator runs lockstep tenant.
func operator(t testing.TB, args ...string) string {
	t.Helper()
	out, err := the.cloud.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// newPerson makes a person with a password and nothing else. More are flags of
// lockstep tenant user create.
func newPerson(t testing.TB, first string, more ...string) *person {
	t.Helper()
	p := &person{t: t, name: strings.ToLower(first+"-"+rand.Text()[:6]) + "@" + domain, password: "Correct horse " + rand.Text()}
	operator(t, append([]string{"user", "create", p.name, "--display-name", first, "--password", p.password}, more...)...)
	return p
}

// demand puts a policy that is about this person alone.
func (p *person) demand(flags ...string) *person {
	p.t.Helper()
	operator(p.t, append([]string{"policy", "put", "for " + p.name + " " + rand.Text()[:4], "--tenant", domain, "--include-user", p.name}, flags...)...)
	return p
}

// demandMFA asks for a second factor everywhere.
func (p *person) demandMFA() *person {
	p.t.Helper()
	return p.demand("--include-resource", "All", "--grant", "mfa")
}

// authenticator gives the person an app that shows codes, approves, or both.
func (p *person) authenticator(codes, push bool) *person {
	p.t.Helper()
	var args []string
	if codes {
		p.secret = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(rand.Text()[:20]))
		args = append(args, "--totp", p.secret)
	}
	if push {
		args = append(args, "--push")
	}
	return p.with(args...)
}

// with sets the second factors, by flags of lockstep tenant user update.
func (p *person) with(flags ...string) *person {
	p.t.Helper()
	operator(p.t, append([]string{"user", "update", p.name}, flags...)...)
	return p
}

// telephone runs lockstep authenticator as this person's telephone.
func (p *person) telephone(args ...string) string {
	p.t.Helper()
	out, err := the.cloud.Telephone(p.t.Context(), p.name, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// message waits for the newest message of a channel and answers its text.
func (p *person) message(channel string) string {
	p.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		all, err := the.cloud.List(p.t.Context(), "messages", "--user", p.name)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, m := range slices.Backward(all) {
			if m["channel"] == channel {
				return fmt.Sprint(m["text"])
			}
		}
	}
	p.t.Fatalf("nothing came to the telephone of %s by %s", p.name, channel)
	return ""
}

// digits finds the code in a message.
func digits(t testing.TB, text string) string {
	t.Helper()
	m := regexp.MustCompile(`\b\d(?:[ ,.]?\d){5}\b`).FindString(text)
	if m == "" {
		t.Fatalf("no code in %q", text)
	}
	return regexp.MustCompile(`\D`).ReplaceAllString(m, "")
}

// step is how long a code is shown, in seconds (RFC 6238).
const step = 30

// code is what the person's app shows now, and next what it shows after that: the
// server takes a code a step early, and none twice.
func (p *person) code() string {
	p.t.Helper()
	return oneTimeCode(p.t, p.secret, time.Now().Unix())
}

func (p *person) next() string {
	p.t.Helper()
	return oneTimeCode(p.t, p.secret, time.Now().Unix()+step)
}

func oneTimeCode(t testing.TB, secret string, at int64) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.ReplaceAll(secret, " ", "")))
	if err != nil {
		t.Fatalf("the secret %q: %v", secret, err)
	}
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(at/step)))
	sum := h.Sum(nil)
	from := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[from:])&0x7fffffff)%1_000_000)
}

// user types the name, and goes on to what is asked next.
func (b *browser) user(p *person) {
	b.t.Helper()
	b.Type("#i0116", p.name)
	b.Press("#idSIButton9")
}

// signIn types name and password, also where another way is offered first.
func (b *browser) signIn(p *person) {
	b.t.Helper()
	b.user(p)
	if !b.Sees("#i0118") && b.Sees("#idA_PWD_SwitchToCredPicker") {
		b.otherWay("password")
	}
	b.Type("#i0118", p.password)
	b.Press("#idSIButton9")
}

// amr fails unless the methods of a token are exactly these.
func amr(t testing.TB, got []string, want ...string) {
	t.Helper()
	if g, w := slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)); !slices.Equal(g, w) {
		t.Errorf("methods of the token are %v, not %v", g, w)
	}
}
