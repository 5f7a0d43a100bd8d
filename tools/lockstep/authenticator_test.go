package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

func (c *clerk) ListUserMethods(_ context.Context, r *directoryv1.ListUserMethodsRequest) (*directoryv1.ListUserMethodsResponse, error) {
	return note(c, r, &directoryv1.ListUserMethodsResponse{Methods: []*directoryv1.UserMethod{
		{MethodId: "m1", Kind: "windowsHelloForBusiness", Display: "Windows Hello", DeviceId: "d1", Provenance: "administrator"},
	}})
}

func (c *clerk) ListMessages(_ context.Context, r *directoryv1.ListMessagesRequest) (*directoryv1.ListMessagesResponse, error) {
	return note(c, r, &directoryv1.ListMessagesResponse{Messages: []*directoryv1.Message{{Channel: "sms", PhoneNumber: "+1 5550100", Text: "code 123456"}}})
}

func (c *clerk) IssueAccessPass(_ context.Context, r *directoryv1.IssueAccessPassRequest) (*directoryv1.IssueAccessPassResponse, error) {
	return note(c, r, &directoryv1.IssueAccessPassResponse{AccessPass: "ABCDEFGH2345"})
}

func (c *clerk) RemoveUserMethod(_ context.Context, r *directoryv1.RemoveUserMethodRequest) (*directoryv1.RemoveUserMethodResponse, error) {
	return note(c, r, &directoryv1.RemoveUserMethodResponse{})
}

func (c *clerk) PutHelloKey(_ context.Context, r *directoryv1.PutHelloKeyRequest) (*directoryv1.PutHelloKeyResponse, error) {
	return note(c, r, &directoryv1.PutHelloKeyResponse{MethodId: "m2"})
}

func (c *clerk) SetUserRisk(_ context.Context, r *directoryv1.SetUserRiskRequest) (*directoryv1.SetUserRiskResponse, error) {
	return note(c, r, &directoryv1.SetUserRiskResponse{})
}

func (c *clerk) PairAuthenticator(_ context.Context, r *directoryv1.PairAuthenticatorRequest) (*directoryv1.PairAuthenticatorResponse, error) {
	return note(c, r, &directoryv1.PairAuthenticatorResponse{})
}

// TestTheTelephone: what each command asks of the server.
func TestTheTelephone(t *testing.T) {
	c, dir := office(t)
	const mia = "mia@contoso.test"
	for line, want := range map[string]proto.Message{
		"approve 42":   &directoryv1.AnswerChallengeRequest{UserPrincipalName: mia, ChallengeId: "c1", Approve: true, Number: 42},
		"approve":      &directoryv1.AnswerChallengeRequest{UserPrincipalName: mia, ChallengeId: "c1", Approve: true},
		"deny":         &directoryv1.AnswerChallengeRequest{UserPrincipalName: mia, ChallengeId: "c1"},
		"wrong-number": &directoryv1.AnswerChallengeRequest{UserPrincipalName: mia, ChallengeId: "c1", Approve: true, Number: 43},
		"code":         &directoryv1.ReadOneTimeCodeRequest{UserPrincipalName: mia},
		"messages":     &directoryv1.ListMessagesRequest{UserPrincipalName: mia},
		"pair 123456789 --name Pixel --phone-sign-in": &directoryv1.PairAuthenticatorRequest{
			UserPrincipalName: mia, ActivationCode: "123456789", DeviceName: "Pixel", PhoneSignIn: true},
	} {
		for _, form := range [][]string{nil, {"--json"}} {
			out, err := command(t, append(append([]string{"authenticator", "--state", dir, "--user", mia}, strings.Fields(line)...), form...)...)
			if err != nil || out == "" || len(form) > 0 && !json.Valid([]byte(out)) {
				t.Errorf("%s %v: %v, %q", line, form, err, out)
			}
			if got := c.last(); !proto.Equal(got, want) {
				t.Errorf("%s asked\n%v, want\n%v", line, got, want)
			}
		}
	}
	for line, want := range map[string]string{
		"approve 7": "10 to 99", "approve x": "10 to 99", "deny 42": "unknown command", "watch --answer perhaps": "not approve, deny",
	} {
		if _, err := command(t, append([]string{"authenticator", "--state", dir, "--user", mia}, strings.Fields(line)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	if _, err := command(t, "authenticator", "--state", dir, "code"); err == nil || !strings.Contains(err.Error(), `"user" not set`) {
		t.Errorf("nobody's telephone: %v", err)
	}
	c.waiting = []*directoryv1.Challenge{}
	if _, err := command(t, "authenticator", "--state", dir, "--user", mia, "approve", "42"); err == nil || !strings.Contains(err.Error(), "nothing waits") {
		t.Errorf("nothing waits: %v", err)
	}
}

// watching runs watch to its end with what is typed.
func watching(t *testing.T, dir, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var out strings.Builder
	cmd := root()
	cmd.SetArgs(append([]string{"authenticator", "--state", dir, "--user", "mia@contoso.test", "watch", "--once"}, args...))
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

// answers are what the telephone sent of its own.
func (c *clerk) answers() []*directoryv1.AnswerChallengeRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*directoryv1.AnswerChallengeRequest
	for _, m := range c.asked {
		if a, ok := m.(*directoryv1.AnswerChallengeRequest); ok {
			out = append(out, a)
		}
	}
	c.asked = nil
	return out
}

// TestWatchingTheTelephone: it shows what came, takes what is typed, and what means
// nothing changes nothing.
func TestWatchingTheTelephone(t *testing.T) {
	c, dir := office(t)
	for typed, want := range map[string]struct {
		said    string
		approve bool
		number  int32
		sent    int
	}{
		"approve 42\n":              {"approved", true, 42, 1},
		"\nwhat\napprove 4\ndeny\n": {"type approve NUMBER", false, 0, 1},
		"wrong-number\n":            {"answered with 43", true, 43, 1},
		"ignore\n":                  {"ignored", false, 0, 0},
	} {
		out, err := watching(t, dir, typed)
		got := c.answers()
		if err != nil || !strings.Contains(out, "Approve the sign-in to Portal from 203.0.113.9; the page shows 42") || !strings.Contains(out, want.said) || len(got) != want.sent {
			t.Errorf("%q: %v, %v\n%s", typed, err, got, out)
			continue
		}
		if want.sent > 0 && (got[0].GetApprove() != want.approve || got[0].GetNumber() != want.number) {
			t.Errorf("%q sent %v", typed, got[0])
		}
	}
	out, err := watching(t, dir, "", "--answer", "approve", "--json")
	if got := c.answers(); err != nil || len(got) != 1 || got[0].GetNumber() != 42 || !strings.Contains(out, `"challenge_id":"c1"`) {
		t.Errorf("%v, %v\n%s", err, got, out)
	}
	c.waiting = []*directoryv1.Challenge{{ChallengeId: "c2", MethodId: "TwoWayVoiceMobile"}}
	if out, err := watching(t, dir, "wrong-number\napprove\n"); err != nil || !strings.Contains(out, "press #") || !strings.Contains(out, "no number to get wrong") || !strings.Contains(out, "approved") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A wrong number is another one that a page could show, whatever the page shows.
func TestWrongNumbers(t *testing.T) {
	c, dir := office(t)
	for n := int32(10); n <= 99; n += 89 {
		c.waiting = []*directoryv1.Challenge{{ChallengeId: "c1", Number: n}}
		if _, err := command(t, "authenticator", "--state", dir, "--user", "mia@contoso.test", "wrong-number"); err != nil {
			t.Fatal(err)
		}
		if got := c.answers()[0].GetNumber(); got == n || got < 10 || got > 99 {
			t.Errorf("%d for %d", got, n)
		}
	}
}

// TestTheTelephoneOfARunningServer: the commands and the real server.
func TestTheTelephoneOfARunningServer(t *testing.T) {
	serving(t, serve.Config{})
	run := func(line string, want ...string) string {
		t.Helper()
		out, err := command(t, strings.Fields(line)...)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s lacks %q:\n%s", line, w, out)
			}
		}
		return out
	}
	run("authenticator code --user mia@contoso.test")
	run("authenticator messages --user nora@contoso.test", "channel", "text")
	run("tenant user methods nora@contoso.test", "Pixel 9", "deviceBasedPush", "+46 701234567", "softwareOath")
	run("tenant user access-pass bob@contoso.test --lifetime 10m --one-time", "the access pass of bob@contoso.test is")
	run("tenant user methods bob@contoso.test", "access-pass", "temporaryAccessPassOneTime")
	run("tenant user remove-method bob@contoso.test access-pass", "is removed")
	if out := run("tenant user methods bob@contoso.test --json"); strings.Contains(out, "access-pass") {
		t.Errorf("the pass is there still: %s", out)
	}
	run("tenant user risk bob@contoso.test low", "the risk of bob@contoso.test is low")
	run("tenant sign-ins", "issue_access_pass", "remove_user_method", "set_user_risk", "by an operator")
	if _, err := command(t, strings.Fields("authenticator approve 42 --user nora@contoso.test")...); err == nil || !strings.Contains(err.Error(), "nothing waits") {
		t.Errorf("%v", err)
	}
	if _, err := command(t, strings.Fields("authenticator pair 123456789 --user bob@contoso.test")...); err == nil || !strings.Contains(err.Error(), "activation_code") {
		t.Errorf("%v", err)
	}
}
