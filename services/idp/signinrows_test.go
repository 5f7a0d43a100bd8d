package idp_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// newest is the newest row of the log, as the public service's JSON.
func (w *world) newest(t testing.TB) map[string]any {
	t.Helper()
	a, err := w.read.ListSignIns(context.Background(), &directoryv1.ListSignInsRequest{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(a.GetSignIns()[0].GetEntra()), &row); err != nil {
		t.Fatal(err)
	}
	return row
}

func wantRow(t testing.TB, what string, row, want map[string]any) {
	t.Helper()
	for member, v := range want {
		if row[member] != v {
			t.Errorf("%s: %s is %v, want %v", what, member, row[member], v)
		}
	}
}

// TestOBS04_TheRowsOfAPRTsLife: first request, renewal, use, refresh token and cookie, over the wire
// that devices speak. Together the rows tell one story: one session, one device, and
// what proved the user each time.
func TestOBS04_TheRowsOfAPRTsLife(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			p := newPages(t, idp.Config{})
			if https {
				overWire(t, p.world)
			}
			d := p.join(t, alice, alicePassword, 1, 2)
			s := d.first(t, alice, alicePassword)
			issued := p.newest(t)
			wantRow(t, "issue", issued, map[string]any{
				"userPrincipalName": alice, "appId": entrawire.SignInClientID, "appDisplayName": "Windows Sign In", "incomingTokenType": "none",
				"resourceDisplayName": "Windows Azure Active Directory", "resourceId": "00000002-0000-0000-c000-000000000000", "isInteractive": true,
				"clientAppUsed": "Mobile Apps and Desktop clients", "authenticationRequirement": "singleFactorAuthentication", "conditionalAccessStatus": "notApplied",
			})
			session := issued["sessionId"]
			if session == "" {
				t.Error("the first row names no session")
			}
			about := map[string]any{"userPrincipalName": alice, "isInteractive": false, "sessionId": session}
			same := func(what string, more map[string]any) {
				t.Helper()
				row := p.newest(t)
				wantRow(t, what, row, about)
				wantRow(t, what, row, more)
				wantRow(t, what+", device", row["deviceDetail"].(map[string]any), map[string]any{
					"deviceId": d.id, "displayName": "DESKTOP-1", "operatingSystem": "Linux 1", "trustType": "Azure AD joined", "isCompliant": false, "isManaged": false,
				})
			}
			s, _ = s.renew(t, s.renewal(t))
			same("renewal", map[string]any{
				"incomingTokenType": "primaryRefreshToken", "appDisplayName": "Windows Sign In", "resourceDisplayName": "Windows Azure Active Directory",
			})
			tokens := s.tokens(t, s.redemption(t, office, graph))
			same("use", map[string]any{
				"incomingTokenType": "primaryRefreshToken", "appDisplayName": "Microsoft Office", "resourceDisplayName": "Microsoft Graph",
				"uniqueTokenIdentifier": p.svc.SignIns()[len(p.svc.SignIns())-1].TokenID,
			})
			c := s.redemption(t, office, graph)
			c.RefreshToken = tokens.RefreshToken
			if _, err := p.redeemRT(s.sign(t, c)); err != nil {
				t.Fatal(err)
			}
			same("refresh token", map[string]any{"incomingTokenType": "refreshToken", "appDisplayName": "Microsoft Office"})
			s.dataKey(t)
			same("data-protection key", map[string]any{"incomingTokenType": "primaryRefreshToken", "resourceDisplayName": "Windows Azure Active Directory"})
			n := p.nonce(t)
			p.silent(t, &idpv1.AuthorizeRequest{Resource: graph, SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n))})
			row := p.newest(t)
			wantRow(t, "cookie", row, map[string]any{"userPrincipalName": alice, "incomingTokenType": "primaryRefreshToken", "isInteractive": false})
			wantRow(t, "cookie, device", row["deviceDetail"].(map[string]any), map[string]any{"deviceId": d.id, "trustType": "Azure AD joined"})
		})
	}
}

// TestOBS04_ARefusedRowSaysWhoseArtefactItWas: the row of a refusal is what a hunter has.
func TestOBS04_ARefusedRowSaysWhoseArtefactItWas(t *testing.T) {
	w := newWorld(t, idp.Config{})
	overWire(t, w)
	d := w.join(t, alice, alicePassword, 1, 2)
	_, err := w.requestPRT(d.sign(t, d.claims(t, alice, "wrong")))
	wantNamed(t, err)
	wantRow(t, "wrong password", w.newest(t), map[string]any{"userPrincipalName": alice, "appDisplayName": "Windows Sign In", "isInteractive": true})
	s := d.first(t, alice, alicePassword)
	session := w.newest(t)["sessionId"]
	_, err = w.renewPRT(flipSignature(t, s.sign(t, s.renewal(t)), 7))
	wantNamed(t, err)
	row := w.newest(t)
	wantRow(t, "a PRT without its key", row, map[string]any{"incomingTokenType": "primaryRefreshToken", "sessionId": session})
	if code := row["status"].(map[string]any)["errorCode"]; code != 140001.0 {
		t.Errorf("code %v", code)
	}
	setDevice(t, w, d.id, false)
	_, err = w.renewPRT(s.sign(t, s.renewal(t)))
	wantNamed(t, err)
	row = w.newest(t)
	wantRow(t, "a device that is disabled", row, map[string]any{"userPrincipalName": alice, "incomingTokenType": "primaryRefreshToken", "sessionId": session})
	wantRow(t, "a device that is disabled", row["deviceDetail"].(map[string]any), map[string]any{"deviceId": d.id, "displayName": "DESKTOP-1"})
	setDevice(t, w, d.id, true)
	setUser(t, w, alice, false)
	_, err = w.renewPRT(s.sign(t, s.renewal(t)))
	wantNamed(t, err)
	wantRow(t, "a user who is disabled", w.newest(t), map[string]any{"userPrincipalName": alice, "incomingTokenType": "primaryRefreshToken", "sessionId": session})
}
