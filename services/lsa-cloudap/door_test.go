package lsacloudap_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
)

// idpClient calls the fake provider as somebody else than the component.
func (w *world) idpClient() idpv1.TokenServiceClient {
	return idpv1.NewTokenServiceClient(w.conns["idp"])
}

func redeemRequest(signed string) *idpv1.RedeemPRTRequest {
	return &idpv1.RedeemPRTRequest{Request: signed}
}

func TestEveryMethodIsOnTheAllowList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		g := grpc.NewServer()
		m.svc.Register(g)
		served := map[string]bool{}
		for service, info := range g.GetServiceInfo() {
			for _, method := range info.Methods {
				full := "/" + service + "/" + method.Name
				served[full] = true
				if len(lsacloudap.Allow()[full]) == 0 {
					t.Errorf("%s has no caller", full)
				}
			}
		}
		for full := range lsacloudap.Allow() {
			if !served[full] {
				t.Errorf("%s is allowed and not served", full)
			}
		}
		for _, method := range cloudapv1.PluginService_ServiceDesc.Methods {
			full := "/" + cloudapv1.PluginService_ServiceDesc.ServiceName + "/" + method.MethodName
			if !slices.Equal(lsacloudap.PluginAllow()[full], []string{"lsa-cloudap"}) {
				t.Errorf("%s: %v", full, lsacloudap.PluginAllow()[full])
			}
		}
	})
}

func TestTheWrongCallerIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		for _, caller := range []string{"app", "browser", "browsercore", "wam-broker", "operator", "tpm-agent"} {
			conn := w.dial(rpc.LoopbackConfig{Caller: caller, Server: "lsa-cloudap", Allow: lsacloudap.Allow()}, m.svc.Register)
			_, err := lsav1.NewLogonServiceClient(conn).LogonUser(t.Context(), &lsav1.LogonUserRequest{})
			if prterr.KindOf(err) != prterr.Denied {
				t.Errorf("%s: %v", caller, err)
			}
		}
	})
}

func TestTheConfigurationIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		good := lsacloudap.Config{StateDir: w.dir, TPM: w.conns["tpm-agent"], Dsreg: w.conns["dsreg"], IdP: w.conns["idp"]}
		for name, change := range map[string]func(*lsacloudap.Config){
			"StateDir":     func(c *lsacloudap.Config) { c.StateDir = "" },
			"IdP":          func(c *lsacloudap.Config) { c.IdP = nil },
			"sign-in host": func(c *lsacloudap.Config) { c.SignInHosts = []string{"https://login.test"} },
			"negative":     func(c *lsacloudap.Config) { c.RenewEvery = -1 },
		} {
			bad := good
			change(&bad)
			if _, err := lsacloudap.New(bad); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		svc, err := lsacloudap.New(good)
		if err != nil {
			t.Fatal(err)
		}
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestADamagedPartitionGoesToQuarantineAndDoesNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.start()
		m.signIn(alice)
		m.signIn(ada)
		m.stop()
		var damaged string
		for _, f := range w.stored() {
			if strings.Contains(f, aliceID) {
				damaged = f
			}
		}
		if err := os.WriteFile(damaged, []byte(`{"version":1,`), 0o600); err != nil {
			t.Fatal(err)
		}
		m = w.start()
		if !strings.Contains(w.logged(), filepath.Base(damaged)) {
			t.Error("the log does not name the file")
		}
		if got := m.signIn(ada); !got.GetFromCache() {
			t.Error("the other user is not in the cache")
		}
		if got := m.signIn(alice); got.GetFromCache() {
			t.Error("signed in from a damaged file")
		}
		for range 2 { // in the run that found it, and in the next
			s, err := m.state.GetSSOState(t.Context(), &lsav1.GetSSOStateRequest{})
			if err != nil {
				t.Fatal(err)
			}
			q := s.GetCache().GetQuarantined()
			if len(q) != 1 || !strings.Contains(q[0].GetPath(), filepath.Base(damaged)) || q[0].GetReason() == "" || q[0].GetTime() == nil {
				t.Errorf("quarantined: %v", q)
			}
			m.stop()
			m = w.start()
		}
	})
}
