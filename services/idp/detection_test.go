package idp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/deviceflow"
)

// row is a sign-in as a hunter reads it: the public service's JSON and nothing else.
type row struct {
	Created  time.Time `json:"createdDateTime"`
	User     string    `json:"userPrincipalName"`
	App      string    `json:"appId"`
	Agent    string    `json:"userAgent"`
	Protocol string    `json:"authenticationProtocol"`
	Incoming string    `json:"incomingTokenType"`
	Resource string    `json:"resourceId"`
	Session  string    `json:"sessionId"`
	Status   struct {
		Code int `json:"errorCode"`
	} `json:"status"`
	Device struct {
		ID    string `json:"deviceId"`
		Trust string `json:"trustType"`
	} `json:"deviceDetail"`
}

// The logic of detection rules as they are published for the public service's log,
// each as a predicate over its rows.

// brokerByDeviceCode: AppId is the Authentication Broker and AuthenticationProtocol is
// deviceCode. The broker signs in by itself on a device; nobody types a code for it.
func brokerByDeviceCode(r row) bool {
	return r.App == "29d9ed98-a469-4536-ade2-f981bc1d605e" && r.Protocol == "deviceCode" && r.Status.Code == 0
}

// prtFromATool: IncomingTokenType is primaryRefreshToken with the user agent of a
// script or without a device, which no broker and no browser has.
func prtFromATool(r row) bool {
	agent := strings.ToLower(r.Agent)
	tool := strings.Contains(agent, "python") || strings.Contains(agent, "roadtools") || strings.Contains(agent, "aadinternals")
	return r.Incoming == "primaryRefreshToken" && r.Status.Code == 0 && (tool || r.Device.ID == "")
}

// registrationToPRT: the broker asks for the Device Registration Service by device
// code or refresh token, and within the hour a primary refresh token of the same
// sign-in is used.
func registrationToPRT(rows []row) bool {
	const registration = "01cb2876-7ebd-4aa4-9cc9-d28bd4d359a9"
	for i, a := range rows {
		if a.App != "29d9ed98-a469-4536-ade2-f981bc1d605e" || a.Resource != registration || a.Protocol != "deviceCode" && a.Incoming != "refreshToken" {
			continue
		}
		for _, b := range rows[i+1:] {
			if b.Incoming == "primaryRefreshToken" && b.User == a.User && b.Session == a.Session && b.Created.Sub(a.Created) <= time.Hour {
				return true
			}
		}
	}
	return false
}

// hunted are the rows of the log, through the contract.
func (w *world) hunted(t testing.TB) []row {
	t.Helper()
	a, err := w.read.ListSignIns(context.Background(), &directoryv1.ListSignInsRequest{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var out []row
	for _, s := range a.GetSignIns() {
		var r row
		if err := json.Unmarshal([]byte(s.GetEntra()), &r); err != nil {
			t.Fatalf("%v: %s", err, s.GetEntra())
		}
		out = append(out, r)
	}
	return out
}

func count(rows []row, rule func(row) bool) (n int) {
	for _, r := range rows {
		if rule(r) {
			n++
		}
	}
	return n
}

func TestOBS04_DetectionRulesMatchReplayedAttacks(t *testing.T) {
	t.Run("device code to PRT", func(t *testing.T) {
		p := newPages(t, idp.Config{})
		v, _ := phish(t, p, bob, bobPassword)
		d := v.device(t, 1, 2)
		s := d.open(t, d.sign(t, p.roadtxUpgrade(t, v.refresh)))
		s.answer(t, s.roadtxToken(t, office, graph))
		rows := p.hunted(t)
		if count(rows, brokerByDeviceCode) == 0 || !registrationToPRT(rows) {
			t.Errorf("not seen in %+v", rows)
		}
	})
	t.Run("stolen PRT cookie", func(t *testing.T) {
		p := newPages(t, idp.Config{})
		s := p.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
		n := p.nonce(t)
		a := p.visit(t, &idpv1.AuthorizeRequest{Resource: graph, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)), Caller: from("198.51.100.66", "python-requests/2.32.3")})
		p.code(t, a.GetSignedIn(), a)
		if rows := p.hunted(t); count(rows, prtFromATool) == 0 {
			t.Errorf("not seen in %+v", rows)
		}
	})
}

func TestOBS04_DetectionRulesLeaveUsersAlone(t *testing.T) {
	p := newPages(t, idp.Config{})
	d := p.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	rt := s.tokens(t, s.redemption(t, office, graph)).RefreshToken.Reveal()
	s.renew(t, s.renewal(t))
	app := *s
	app.prt = rt
	if _, err := p.redeemRT(app.sign(t, app.redemption(t, office, graph))); err != nil {
		t.Fatal(err)
	}
	n := p.nonce(t)
	a := p.visit(t, &idpv1.AuthorizeRequest{Resource: graph, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)), Caller: from("203.0.113.5", edgeWindows)})
	p.code(t, a.GetSignedIn(), a)
	p.typed(t, &idpv1.AuthorizeRequest{Resource: graph}, bob, bobPassword)
	f := p.start(t, deviceflow.Request{}) // the command line of somebody who has no browser
	next := p.password(t, p.typeCode(t, &idpv1.SubmitUserCodeRequest{UserCode: f.UserCode}).GetPage(), bob, bobPassword)
	p.confirm(t, next.GetPage(), true)
	rows := p.hunted(t)
	codes := count(rows, func(r row) bool { return r.Protocol == "deviceCode" })
	prts := count(rows, func(r row) bool { return r.Incoming == "primaryRefreshToken" && r.Device.Trust == "Azure AD joined" })
	if codes == 0 || prts < 2 {
		t.Fatalf("%d device codes and %d uses of a PRT in %+v", codes, prts, rows)
	}
	if count(rows, brokerByDeviceCode)+count(rows, prtFromATool) > 0 || registrationToPRT(rows) {
		t.Errorf("honest users are suspects: %+v", rows)
	}
}

// The members that hunters and dashboards read, with their words.
func TestOBS04_ShapeOfTheLog(t *testing.T) {
	p := newPages(t, idp.Config{})
	p.rules(t, rule("grant: mfa"))
	page := p.factor(t, &idpv1.AuthorizeRequest{Resource: graph, SsoReload: true, Caller: from("203.0.113.5", edgeWindows)})
	b := p.begin(t, page, otp)
	p.complete(t, p.check(t, b.GetFlowToken(), otp, "", p.shown(t)).GetFlowToken(), page.GetCanary())
	a, err := p.read.ListSignIns(context.Background(), &directoryv1.ListSignInsRequest{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(a.GetSignIns()[0].GetEntra()), &got); err != nil {
		t.Fatal(err)
	}
	for member, want := range map[string]any{
		"userPrincipalName": mia, "appId": office, "appDisplayName": "Microsoft Office", "clientAppUsed": "Mobile Apps and Desktop clients",
		"conditionalAccessStatus": "success", "isInteractive": true, "authenticationProtocol": "none", "incomingTokenType": "none",
		"resourceDisplayName": "Microsoft Graph", "authenticationRequirement": "multiFactorAuthentication", "riskLevelDuringSignIn": "none", "tokenIssuerType": "AzureAD",
	} {
		if got[member] != want {
			t.Errorf("%s is %v, want %v", member, got[member], want)
		}
	}
	steps, _ := got["authenticationDetails"].([]any)
	policies, _ := got["appliedConditionalAccessPolicies"].([]any)
	if len(steps) != 2 || len(policies) != 1 {
		t.Fatalf("%v", got)
	}
	if m := steps[1].(map[string]any)["authenticationMethod"]; m != "softwareOath" {
		t.Errorf("the second step was %v", m)
	}
	if q := policies[0].(map[string]any); q["result"] != "success" || q["id"] != policyID || q["enforcedGrantControls"].([]any)[0] != "mfa" {
		t.Errorf("%v", q)
	}
	for _, member := range []string{"id", "createdDateTime", "sessionId", "status", "deviceDetail", "originalTransferMethod", "uniqueTokenIdentifier"} {
		if got[member] == nil {
			t.Errorf("%s is not there", member)
		}
	}
}

// Monitoring reads the log where it does with the public service. It tells who was
// where, so only an administrator's token or an application's own opens it.
func TestOBS04_TheLogOverGraph(t *testing.T) {
	p := newPages(t, idp.Config{})
	get := func(token, query string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, "https://graph.microsoft.com/v1.0/auditLogs/signIns"+query, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		status, _, body := p.overHTTPS(r)
		return status, body
	}
	tokenOf := func(upn, password string) string {
		a, err := p.grants.RequestTokens(context.Background(), passwordOf(v2, upn, password))
		if err != nil {
			t.Fatal(err)
		}
		return a.GetTokens().GetAccessToken()
	}
	users, admins := tokenOf(alice, alicePassword), tokenOf(admin, adminPassword)
	foreign := tokenOf(frank, frankPassword)
	if status, body := get(users, ""); status != http.StatusForbidden || strings.Contains(body, "createdDateTime") {
		t.Errorf("a user reads the log: %d %.200s", status, body)
	}
	if status, _ := get(foreign, ""); status != http.StatusForbidden {
		t.Errorf("another tenant's user: %d", status)
	}
	status, body := get(admins, "?$top=2")
	var a struct{ Value []row }
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != http.StatusOK || len(a.Value) != 2 {
		t.Fatalf("%d %v %.300s", status, err, body)
	}
	if a.Value[0].User != admin || a.Value[1].User != alice || strings.Contains(body, frank) {
		t.Errorf("newest first, of one tenant: %+v", a.Value)
	}
	for _, query := range []string{"?$top=0", "?$top=x", "?$top=100000", "?$filter=userPrincipalName+eq+'x'"} {
		if status, body := get(admins, query); status != http.StatusBadRequest {
			t.Errorf("%s: %d %.200s", query, status, body)
		}
	}
}
