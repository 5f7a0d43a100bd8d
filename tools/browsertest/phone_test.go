package browsertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// number makes a telephone number that no other test has.
func number(p *person) string {
	sum := 0
	for _, r := range p.name {
		sum = (sum*31 + int(r)) % 9_000_000
	}
	return fmt.Sprintf("+49 170%07d", 1_000_000+sum)
}

// choose takes a second factor where there is a choice.
func (b *browser) choose(method string) {
	b.t.Helper()
	tile := `[data-value="` + method + `"]`
	if !b.Sees(tile) && b.Sees("#signInAnotherWay") {
		b.Press("#signInAnotherWay")
	}
	b.See(tile)
	b.Press(tile)
}

func TestTextMessage(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Sam")
	p.with("--phone", number(p)).demandMFA()
	b := private(t)
	at := b.factor(p)
	b.page("choose between message and call")
	b.choose("OneWaySMS")
	b.See("#idTxtBx_SAOTCC_OTC")
	b.page("text message")
	code := digits(t, p.message("sms"))
	b.Type("#idTxtBx_SAOTCC_OTC", strings.Map(func(r rune) rune { return '0' + (r-'0'+5)%10 }, code))
	b.Press("#idSubmit_SAOTCC_Continue")
	b.See("#idSpan_SAOTCC_Error_OTC")
	b.Type("#idTxtBx_SAOTCC_OTC", code)
	b.Press("#idSubmit_SAOTCC_Continue")
	if got := at.done().AMR(); !slices.Contains(got, "mfa") || !slices.Contains(got, "pwd") {
		t.Errorf("methods of the token are %v", got)
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Val")
	p.with("--phone", number(p)).demandMFA()
	b := private(t)
	at := b.factor(p)
	b.choose("TwoWayVoiceMobile")
	b.See("#wait")
	b.Hold()
	b.page("call")
	p.message("voice")
	p.telephone("approve")
	b.Press("#idSIButton9")
	if got := at.done().AMR(); !slices.Contains(got, "mfa") {
		t.Errorf("methods of the token are %v", got)
	}
}

// A pass is worth two factors, and a pass for one sign-in is worth nothing after it.
func TestAccessPass(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Tap").demandMFA()
	var pass string
	issued, err := the.cloud.List(t.Context(), "user", "access-pass", p.name, "--one-time")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range issued[0] {
		if n := strings.ToLower(name); strings.Contains(n, "pass") {
			pass = fmt.Sprint(v)
		}
	}
	if pass == "" {
		t.Fatalf("no pass in %v", issued)
	}
	b := private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.user(p)
	if !b.Sees("#accesspass") {
		b.otherWay("accesspass")
	}
	b.page("Temporary Access Pass")
	b.Type("#accesspass", "not "+pass)
	b.Press("#idSIButton9")
	b.See("[role=alert]")
	b.page("Temporary Access Pass refused")
	b.Type("#accesspass", pass)
	b.Press("#idSIButton9")
	if got := b.done(s, p).AMR(); !slices.Contains(got, "mfa") {
		t.Errorf("methods of the token are %v", got)
	}
	other := private(t)
	again := the.app.Begin()
	other.Go(again.URL)
	other.user(p)
	if other.Sees("#accesspass") {
		other.Type("#accesspass", pass)
		other.Press("#idSIButton9")
		other.See("[role=alert]")
	}
	if other.Sees("#back") {
		t.Error("the pass was good twice")
	}
}

// Without a password: the page shows a number, and the telephone wants it.
func TestPhoneSignIn(t *testing.T) {
	t.Parallel()
	p := newPerson(t, "Phil").with("--push", "--phone-sign-in").demandMFA()
	b := private(t)
	s := the.app.Begin()
	b.Go(s.URL)
	b.user(p)
	if !b.Sees("#idRemoteNGC_DisplaySign") {
		if b.Sees(`button[value="phone"]#idSIButton9`) {
			b.page("phone sign-in: ask")
			b.Press("#idSIButton9")
		} else {
			b.otherWay("phone")
		}
	}
	shown := b.Text("#idRemoteNGC_DisplaySign")
	b.Hold()
	b.page("phone sign-in")
	p.telephone("approve", shown)
	b.Press("#idSIButton9")
	if got := b.done(s, p).AMR(); !slices.Contains(got, "mfa") || slices.Contains(got, "pwd") {
		t.Errorf("methods of the token are %v", got)
	}
}

func TestRegisterATelephone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, tile, channel, method string }{
		{"sms", "Text message", "sms", "OneWaySMS"}, {"voice", "Telephone call", "voice", "TwoWayVoiceMobile"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			p, b := newPerson(t, "Tel"), private(t)
			b.security(p)
			b.add(c.tile)
			b.See("#phone")
			b.page("register a number for " + c.kind)
			b.Type("#phone", number(p))
			b.Press("#idSIButton9")
			b.See("#code")
			b.page("register by " + c.kind)
			b.Type("#code", digits(t, p.message(c.channel)))
			b.Press("#idSIButton9")
			if text := b.Text("#methods"); !strings.Contains(text, number(p)[len(number(p))-2:]) {
				t.Errorf("the list has no such number: %s", text)
			}
			p.demandMFA()
			other := private(t)
			other.factor(p)
			if !other.Sees("#idTxtBx_SAOTCC_OTC") {
				other.choose(c.method)
			}
		})
	}
}
