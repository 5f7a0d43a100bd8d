package faults_test

import (
	"slices"
	"strings"
	"testing"
)

// judge says what is wrong with a cell whatever the table says, so that nobody writes it
// down: -update takes no outcome that breaks a rule of docs/faults.txt. usual is what the
// flow gives when nothing is broken.
func judge(f flow, v vital, k kind, now, then, usual string) (wrong []string) {
	say := func(bad bool, what string) {
		if bad {
			wrong = append(wrong, what)
		}
	}
	both := now + " | " + then
	say(strings.Contains(both, "internal"), "an error has no name")
	say(strings.Contains(both, "A TOKEN OF"), "a token of somebody else")
	asked := strings.TrimSuffix(now, " (it is not asked)")
	if k.name == "nothing" || k.name == "delay" || k.name == "reorder" || asked != now {
		say(asked != usual, "what only takes longer, or is not asked, changes the outcome")
		return wrong
	}
	say(k.name == "corrupt field" && v.component == "adfs" && !strings.HasPrefix(now, "no desktop: denied"), "an assertion that was changed signs somebody in")
	// As the member of another join the device lets in who signs in with the network.
	former := behindDesktop(f, v) && v.component == "dsreg" && k.name == "other device"
	say(former && (!strings.HasPrefix(now, "desktop, ") || !strings.HasPrefix(then, "desktop, ")), "the cache of another membership opens")
	say(behindDesktop(f, v) && !former && !strings.HasPrefix(now, "desktop from the cache"), "a desktop of the cache waits for the network or the TPM")
	if i := strings.LastIndex(now, ": "); i >= 0 {
		kindOf, _, _ := strings.Cut(now[i+2:], " ")
		say(!slices.Contains(refusals(k), kindOf), "the error is none of this fault")
	}
	say(!f.whole(then), "something is lost when the fault is over")
	return wrong
}

// behindDesktop says that nobody at the door may notice: the cache opens it.
func behindDesktop(f flow, v vital) bool {
	return strings.HasPrefix(f.name, "cached") && v.component != "lsa-cloudap"
}

// refusals are the kinds of errors in which a fault may end.
func refusals(k kind) []string {
	switch k.name {
	case "unavailable":
		return []string{"unavailable"}
	case "drop", "execute, time out":
		return []string{"deadline"}
	case "key lost", "key lost for good":
		return []string{"keys_lost"}
	case "PRT refused", "PRT refused always":
		return []string{"interaction"}
	case "duplicate": // a request whose nonce was used
		return []string{"denied"}
	default: // an answer that is not true, or of somebody else
		return []string{"denied", "invalid", "tpm_failed", "keys_lost", "unauthenticated"}
	}
}

// whole says that the flow, when nothing is broken any more, ends as if nothing had been:
// at the latest after one more sign-in.
func (f flow) whole(then string) bool {
	switch {
	case f.name == "join":
		return then == "joined" || then == "is joined"
	case f.name == "app token":
		return then == "token"
	case f.name == "app token with a window":
		return then == "token" || strings.HasSuffix(then, ", then asked for password, token")
	case f.name == "browser":
		return then == "signed in"
	default:
		return strings.HasPrefix(then, "desktop") && !strings.Contains(then, "PRTs") && !strings.Contains(then, "not renewed at all") &&
			(!strings.Contains(then, "no token") || strings.HasSuffix(then, ", token"))
	}
}

// TestJudgeSeesWhatIsWrong: a judge who lets everything pass sees nothing.
func TestJudgeSeesWhatIsWrong(t *testing.T) {
	byName := map[string]flow{}
	for _, f := range flows() {
		byName[f.name] = f
	}
	for _, c := range []struct{ flow, component, kind, now, then, usual string }{
		{"app token", "tpm-agent", "corrupt field", "no token: internal: see the log", "token", "token"},
		{"app token", "tpm-agent", "other device", "A TOKEN OF bob", "token", "token"},
		{"app token", "dsreg", "delay", "no token: deadline", "token", "token"},
		{"federated sign-in", "adfs", "corrupt field", "desktop", "desktop", "desktop"},
		{"app token", "idp", "unavailable", "no token: denied", "token", "token"},
		{"app token", "idp", "duplicate", "no token: denied AADSTS140000", "no token: denied AADSTS50173", "token"},
		{"cached sign-in and renewal", "idp", "unavailable", "no desktop: unavailable", "desktop", "desktop"},
		{"cached sign-in and renewal", "idp", "drop", "desktop from the cache", "desktop, no token: keys_lost", "desktop"},
		{"cached sign-in and renewal", "dsreg", "drop", "no desktop: deadline", "desktop from the cache, renewed", "desktop"},
		{"cached sign-in and renewal", "dsreg", "other device", "desktop from the cache, renewed", "desktop, renewed", "desktop from the cache, renewed"},
		{"join", "idp", "duplicate", "joined", "is joined, 0 devices", "joined"},
		{"browser", "lsa-cloudap", "drop", "no page: deadline", "the page asks", "signed in"},
	} {
		f := byName[c.flow]
		if len(judge(f, vital{component: c.component}, kind{name: c.kind}, c.now, c.then, c.usual)) == 0 {
			t.Errorf("%+v passes", c)
		}
	}
	if w := judge(byName["app token"], vital{component: "tpm-agent"}, kind{name: "unavailable"}, "no token: unavailable", "token", "token"); len(w) > 0 {
		t.Errorf("a good cell: %q", w)
	}
}
