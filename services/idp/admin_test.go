package idp_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

func newLab() *clock.Lab { return clock.NewLab() }

func secretText(s string) secret.Text { return secret.NewText(s) }

func TestINV01_Attack19_DisabledUser(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	a := s.tokens(t, s.redemption(t, office, ""))
	setUser(t, w, alice, false)
	wantCode(t, s.use(t), aadsts.UserDisabled)
	c := s.redemption(t, office, "")
	c.RefreshToken = a.RefreshToken
	_, err := w.redeemRT(s.sign(t, c))
	wantCode(t, err, aadsts.UserDisabled)
	setUser(t, w, alice, true)
	if err := s.use(t); err != nil {
		t.Error(err)
	}
}

func TestINV06_INV17_Attack19_DeviceDisabledAndGone(t *testing.T) {
	for profile, tokensLive := range map[string]bool{"2020": true, "today": true, "strict": false} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
			refresh := s.tokens(t, s.redemption(t, office, "")).RefreshToken
			redeem := func(code aadsts.Code) {
				t.Helper()
				wantCode(t, s.use(t), code)
				c := s.redemption(t, office, graph)
				c.RefreshToken = refresh
				text, err := w.redeemRT(s.sign(t, c))
				if !tokensLive {
					wantCode(t, err, code)
					return
				}
				if err != nil {
					t.Fatalf("refresh token: %v", err)
				}
				var a entrawire.TokenAnswer
				s.decrypt(t, text, &a)
				if d := w.accessToken(t, a.AccessToken).DeviceID; d != "" {
					t.Errorf("a token names the device %s that is not good", d)
				}
			}
			setDevice(t, w, s.d.id, false)
			redeem(aadsts.DeviceDisabled)
			removeDevice(t, w, s.d.id)
			redeem(aadsts.DeviceAuthenticationFailed)
		})
	}
}

func TestINV09_Attack19_PasswordChange(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	refresh := s.tokens(t, s.redemption(t, office, "")).RefreshToken
	setPassword(t, w, alice, "a new and better one")
	wantCode(t, s.use(t), aadsts.FreshTokenNeeded)
	_, err := w.renewPRT(s.sign(t, s.renewal(t)))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	c := s.redemption(t, office, "")
	c.RefreshToken = refresh
	_, err = w.redeemRT(s.sign(t, c))
	wantCode(t, err, aadsts.FreshTokenNeeded)
	_, err = w.requestPRT(s.d.sign(t, s.d.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.InvalidCredentials)
	if err := s.d.first(t, alice, "a new and better one").use(t); err != nil {
		t.Error(err)
	}
}

func TestAdminRefusals(t *testing.T) {
	w := newWorld(t, idp.Config{})
	ctx := context.Background()
	w.unchanged(t, func() {
		_, err := w.admin.SetUserEnabled(ctx, &directoryv1.SetUserEnabledRequest{UserPrincipalName: "nobody@contoso.test"})
		wantKind(t, err, prterr.NotFound)
		_, err = w.admin.SetUserEnabled(ctx, &directoryv1.SetUserEnabledRequest{UserPrincipalName: "x"})
		wantKind(t, err, prterr.Invalid)
		_, err = w.admin.SetUserPassword(ctx, &directoryv1.SetUserPasswordRequest{UserPrincipalName: carol, Password: "x"})
		wantKind(t, err, prterr.Invalid)
		_, err = w.admin.SetUserPassword(ctx, &directoryv1.SetUserPasswordRequest{UserPrincipalName: alice})
		wantKind(t, err, prterr.Invalid)
		_, err = w.admin.SetUserPassword(ctx, &directoryv1.SetUserPasswordRequest{UserPrincipalName: alice, Password: strings.Repeat("x", 257)})
		wantKind(t, err, prterr.Invalid)
		_, err = w.admin.SetDeviceEnabled(ctx, &directoryv1.SetDeviceEnabledRequest{DeviceId: contoso})
		wantKind(t, err, prterr.NotFound)
		_, err = w.admin.RemoveDevice(ctx, &directoryv1.RemoveDeviceRequest{DeviceId: "1"})
		wantKind(t, err, prterr.Invalid)
	})
}

func TestEveryMethodHasCallersAndStrangersAreRefused(t *testing.T) {
	lab := newLab()
	svc, err := idp.New(idp.Config{Clock: lab, TokenSigner: rsaKeys()[0]}.WithDeviceKeys(deviceKeys()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	served := grpc.NewServer()
	svc.Register(served)
	allow, methods := idp.Allow(), 0
	app := connect(t, svc, "app")
	for name, info := range served.GetServiceInfo() {
		for _, m := range info.Methods {
			methods++
			full := "/" + name + "/" + m.Name
			if len(allow[full]) == 0 {
				t.Errorf("%s has no callers", full)
			}
			err := app.Invoke(context.Background(), full, &idpv1.IssueNonceRequest{}, &idpv1.IssueNonceResponse{})
			wantKind(t, err, prterr.Denied)
		}
	}
	// prt.trust.v1 is served by what carries the component, beside it.
	maps.DeleteFunc(allow, func(full string, _ []string) bool { return strings.HasPrefix(full, "/prt.trust.v1.") })
	if methods != len(allow) {
		t.Errorf("%d methods served, %d allowed", methods, len(allow))
	}
}

func TestA40_NoSecretInTheLog(t *testing.T) {
	var out bytes.Buffer
	var events []idp.Event
	w := newWorld(t, idp.Config{
		Log:       slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		SignInLog: func(e idp.Event) { events = append(events, e) },
	})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	a := s.tokens(t, s.redemption(t, office, graph))
	_, err := w.requestPRT(s.d.sign(t, s.d.claims(t, alice, "canary-wrong-password")))
	wantCode(t, err, aadsts.InvalidCredentials)
	text := out.String()
	for _, secret := range []string{alicePassword, "canary-wrong-password", s.prt, a.AccessToken.Reveal(), a.RefreshToken.Reveal(), string(s.key.Reveal())} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %.20q", secret)
		}
	}
	if len(events) != len(w.svc.SignIns()) || !strings.Contains(text, `"flow":"redeem_prt"`) {
		t.Errorf("%d events in the sink, %d kept", len(events), len(w.svc.SignIns()))
	}
	last := events[len(events)-1]
	if last.User != alice || string(last.Device) != s.d.id || string(last.Tenant) != contoso || last.Code != aadsts.InvalidCredentials || last.Time.IsZero() || last.Reason == "" {
		t.Errorf("%+v", last)
	}
}
