package front_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// The tests of this file go through the pages of the whole provider without scripts,
// as a person does, with an operator who plays telephone and administrator.

func persons(cfg *idp.Config) { cfg.Persons = true }

func (s *stranger) operator(t testing.TB) grpc.ClientConnInterface {
	t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "operator", Server: "idp", Allow: idp.Allow()}, s.service.Register)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return conn
}

// typedName is the page after the name.
func (s *stranger) typedName(t testing.TB, user, more string) reply {
	t.Helper()
	first := s.send(t, get(login, visit("&prompt=login"+more)))
	return s.send(t, post("/common/login", form(append(hidden(first), "login", user)...)))
}

func wantCode(t testing.TB, r reply) {
	t.Helper()
	if u, err := r.Location(); err != nil || u.Query().Get("code") == "" {
		t.Fatalf("no code: %d %s %s", r.StatusCode, r.Header.Get("Location"), r.text[max(0, strings.Index(r.text, "<main")):])
	}
}

func TestAPersonSignsInWithATemporaryAccessPass(t *testing.T) {
	s := whole(t, persons)
	a, err := directoryv1.NewAdminServiceClient(s.operator(t)).IssueAccessPass(context.Background(), &directoryv1.IssueAccessPassRequest{UserPrincipalName: alice})
	if err != nil {
		t.Fatal(err)
	}
	pass := s.typedName(t, alice, "") // it comes before everything: an administrator gave it for now
	if !strings.Contains(pass.text, `name="accesspass"`) || !strings.Contains(pass.text, `name="credential" value="password"`) {
		t.Fatalf("%s", pass.text)
	}
	wrong := s.send(t, post("/common/login", form(append(hidden(pass), "accesspass", "not this one")...)))
	if !strings.Contains(wrong.text, `name="accesspass"`) || !strings.Contains(wrong.text, "AADSTS130503") {
		t.Fatalf("%s", wrong.text)
	}
	wantCode(t, s.send(t, post("/common/login", form(append(hidden(wrong), "accesspass", a.GetAccessPass())...))))
}

func TestAPersonSignsInWithATelephoneAlone(t *testing.T) {
	s := whole(t, persons)
	conn := s.operator(t)
	_, err := directoryv1.NewAdminServiceClient(conn).SetUserMethods(context.Background(), &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, Push: true, PhoneSignIn: true})
	if err != nil {
		t.Fatal(err)
	}
	page := s.typedName(t, alice, "")
	wait := s.send(t, post("/common/login", form(append(hidden(page), "credential", "phone")...)))
	m := regexp.MustCompile(`id="idRemoteNGC_DisplaySign">(\d\d)<`).FindStringSubmatch(wait.text)
	if m == nil {
		t.Fatalf("no number: %s", wait.text)
	}
	early := s.send(t, post("/common/login", form(hidden(wait)...)))
	if !strings.Contains(early.text, "not been approved yet") || !strings.Contains(early.text, ">"+m[1]+"<") {
		t.Fatalf("%s", early.text)
	}
	number, _ := strconv.ParseInt(m[1], 10, 32)
	_, err = directoryv1.NewPersonServiceClient(conn).AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: alice, Approve: true, Number: int32(number)})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.send(t, post("/common/login", form(hidden(early)...))))
}

// A name that nobody has meets the same pages, and its telephone never answers.
func TestAStrangersTelephoneLooksTheSame(t *testing.T) {
	s := whole(t, persons)
	page := s.typedName(t, "nobody@contoso.test", "")
	wait := s.send(t, post("/common/login", form(append(hidden(page), "credential", "phone")...)))
	if !regexp.MustCompile(`id="idRemoteNGC_DisplaySign">\d\d<`).MatchString(wait.text) {
		t.Fatalf("%s", wait.text)
	}
	session := regexp.MustCompile(`name="psRNGCSLK" value="([^"]+)"`).FindStringSubmatch(wait.text)
	r := s.send(t, "POST /common/DeviceCodeStatus?code="+session[1]+" HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\n\n"+`{"DeviceCode":"`+session[1]+`"}`)
	wantMember(t, r, "AuthorizationState", "0")
	none := s.send(t, "POST /common/DeviceCodeStatus HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\n\n"+`{"DeviceCode":"5f0c1c3e-7f7d-4a53-b1ba-4c4a3a5b8a11"}`)
	wantMember(t, none, "AuthorizationState", "1")
}

// A client that has only the flow token of GetCredentialType begins a phone sign-in.
func TestPhoneSignInAsClientsDriveIt(t *testing.T) {
	s := whole(t, persons)
	conn := s.operator(t)
	_, err := directoryv1.NewAdminServiceClient(conn).SetUserMethods(context.Background(), &directoryv1.SetUserMethodsRequest{UserPrincipalName: alice, Push: true, PhoneSignIn: true})
	if err != nil {
		t.Fatal(err)
	}
	page := configOf(t, s.send(t, get(login, visit("&sso_reload=True"))))
	asJSON := func(path, body string) reply {
		return s.send(t, "POST "+path+" HTTP/1.1\nHost: "+login+"\nContent-Type: application/json\ncanary: "+unquoted(page["canary"])+"\n\n"+body)
	}
	kinds := asJSON("/common/GetCredentialType", `{"username":"`+alice+`","isRemoteNGCSupported":true,"flowToken":"`+unquoted(page["sFT"])+`","originalRequest":"`+unquoted(page["sCtx"])+`"}`)
	begun := asJSON("/common/GetOneTimeCode", `{"Channel":"Authenticator","FlowToken":"`+kinds.str(t, "FlowToken")+`","OldDeviceCode":"","OriginalRequest":"`+unquoted(page["sCtx"])+`"}`)
	m := regexp.MustCompile(`"SessionIdentifier":"([^"]+)","Entropy":(\d\d)`).FindStringSubmatch(begun.text)
	if m == nil {
		t.Fatalf("%s", begun.text)
	}
	number, _ := strconv.ParseInt(m[2], 10, 32)
	if _, err := directoryv1.NewPersonServiceClient(conn).AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: alice, Approve: true, Number: int32(number)}); err != nil {
		t.Fatal(err)
	}
	wantMember(t, asJSON("/common/DeviceCodeStatus?code="+m[1], `{"DeviceCode":"`+m[1]+`"}`), "AuthorizationState", "2")
	wantCode(t, s.send(t, post("/common/login", form("code", m[1], "psRNGCSLK", m[1], "login", alice, "loginfmt", alice, "psRNGCEntropy", m[2],
		"flowToken", begun.str(t, "FlowToken"), "canary", unquoted(page["canary"]), "ctx", unquoted(page["sCtx"])))))
}

// Text message and call as the second factor, from the page's own forms.
func TestAPersonProvesATelephone(t *testing.T) {
	s := whole(t, persons)
	conn := s.operator(t)
	_, err := directoryv1.NewAdminServiceClient(conn).SetUserMethods(context.Background(), &directoryv1.SetUserMethodsRequest{UserPrincipalName: mia, PhoneNumber: "+44 2079460042"})
	if err != nil {
		t.Fatal(err)
	}
	choose := func() reply {
		page := s.typedName(t, mia, "")
		return s.send(t, post("/common/login", form(append(hidden(page), "passwd", miaPassword)...)))
	}
	tiles := choose()
	if !strings.Contains(tiles.text, `data-value="OneWaySMS"`) || !strings.Contains(tiles.text, `data-value="TwoWayVoiceMobile"`) || strings.Contains(tiles.text, "2079460042") {
		t.Fatalf("%s", tiles.text)
	}
	sms := s.send(t, post("/common/SAS/BeginAuth", form(append(hidden(tiles), "AuthMethodId", "OneWaySMS")...)))
	sent, err := directoryv1.NewReadServiceClient(conn).ListMessages(context.Background(), &directoryv1.ListMessagesRequest{})
	if err != nil || len(sent.GetMessages()) == 0 {
		t.Fatalf("%v %v", sent, err)
	}
	code := regexp.MustCompile(`\d{6}`).FindString(sent.GetMessages()[len(sent.GetMessages())-1].GetText())
	wrong := s.send(t, post("/common/SAS/EndAuth", form(append(hidden(sms), "otc", "000000")...)))
	if !strings.Contains(wrong.text, `id="idTxtBx_SAOTCC_OTC"`) || !strings.Contains(wrong.text, `role="alert"`) {
		t.Fatalf("%s", wrong.text)
	}
	wantCode(t, s.send(t, post("/common/SAS/EndAuth", form(append(hidden(wrong), "otc", code)...))))

	tiles = choose()
	call := s.send(t, post("/common/SAS/BeginAuth", form(append(hidden(tiles), "AuthMethodId", "TwoWayVoiceMobile")...)))
	early := s.send(t, post("/common/SAS/EndAuth", form(hidden(call)...)))
	if !strings.Contains(early.text, "not been approved yet") {
		t.Fatalf("%s", early.text)
	}
	// Another method instead: the tiles again.
	if again := s.send(t, post("/common/SAS/ProcessAuth", form(append(hidden(early), "another", "1")...))); !strings.Contains(again.text, `data-value="OneWaySMS"`) {
		t.Fatalf("%s", again.text)
	}
	if _, err := directoryv1.NewPersonServiceClient(conn).AnswerChallenge(context.Background(), &directoryv1.AnswerChallengeRequest{UserPrincipalName: mia, Approve: true}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.send(t, post("/common/SAS/EndAuth", form(hidden(early)...))))
}
