package browsertest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // HOTP is over SHA-1 (RFC 4226)
	"encoding/base32"
	"encoding/binary"
	"fmt"
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
	args := []string{"user", "update", p.name}
	if codes {
		p.secret = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(rand.Text()[:20]))
		args = append(args, "--totp", p.secret)
	}
	if push {
		args = append(args, "--push")
	}
	operator(p.t, args...)
	return p
}

// code is what the person's app shows (RFC 6238).
func (p *person) code() string {
	p.t.Helper()
	return oneTimeCode(p.t, p.secret)
}

func oneTimeCode(t testing.TB, secret string) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.ReplaceAll(secret, " ", "")))
	if err != nil {
		t.Fatalf("the secret %q: %v", secret, err)
	}
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30)))
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// user types the name, and goes on to what is asked next.
func (b *browser) user(p *person) {
	b.t.Helper()
	b.Type("#i0116", p.name)
	b.Press("#idSIButton9")
}

// signIn types name and password.
func (b *browser) signIn(p *person) {
	b.t.Helper()
	b.user(p)
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
