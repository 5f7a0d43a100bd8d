package idp_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/run"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// in moves a sign-in to another world, as a device does that finds its identity
// provider again.
func (s *signIn) in(w *world) *signIn {
	d := *s.d
	d.w = w
	return &signIn{d: &d, prt: s.prt, key: s.key}
}

// TestDEP05_ARestartKeepsWhatItWasToldToKeep changes something of every kind, ends
// the process, and looks for it in the next one.
func TestDEP05_ARestartKeepsWhatItWasToldToKeep(t *testing.T) {
	hybridID := "11111111-2222-4333-8444-555555555555"
	object := "    devices:\n      - id: " + hybridID + "\n        display_name: HYBRID-1\n        sid: S-1-5-21-1-2-3-1001\n        certificate: |\n" +
		indent(pemCertificate(t), "          ")
	cfg := idp.Config{StateDir: filepath.Join(t.TempDir(), "state"), Tenants: []byte(strings.Replace(string(idp.DefaultTenants()), "    users:\n", object+"    users:\n", 1))}
	ctx := context.Background()
	before := worldWithItsKeys(t, cfg)
	setPassword(t, before, alice, "a new and better one")
	done[*directoryv1.DeleteUserResponse](t)(before.admin.DeleteUser(ctx, &directoryv1.DeleteUserRequest{UserPrincipalName: "dave@contoso.test"}))
	removeDevice(t, before, hybridID)
	old := before.join(t, bob, bobPassword, 3, 4).first(t, bob, bobPassword)
	done[*directoryv1.RotateKeysResponse](t)(before.admin.RotateKeys(ctx, &directoryv1.RotateKeysRequest{}))
	s := before.join(t, alice, "a new and better one", 1, 2).first(t, alice, "a new and better one")
	token := s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal()
	revoked := before.join(t, frank, frankPassword, 5, 4).first(t, frank, frankPassword)
	done[*directoryv1.RevokeSessionsResponse](t)(before.admin.RevokeSessions(ctx, &directoryv1.RevokeSessionsRequest{UserPrincipalName: frank}))
	const app = "99999999-2222-4333-8444-555555555555"
	done[*directoryv1.PutApplicationResponse](t)(before.admin.PutApplication(ctx, &directoryv1.PutApplicationRequest{
		TenantId: contoso, Application: &directoryv1.Application{ClientId: app, Name: "New", IdentifierUri: "api://new"}, ClientSecrets: []string{"something secret"},
	}))
	done[*directoryv1.DeleteApplicationResponse](t)(before.admin.DeleteApplication(ctx, &directoryv1.DeleteApplicationRequest{TenantId: contoso, ClientId: portal}))
	done[*directoryv1.DeletePolicyResponse](t)(before.admin.DeletePolicy(ctx, &directoryv1.DeletePolicyRequest{TenantId: contoso, PolicyId: "3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a01"}))
	done[*directoryv1.PutPolicyResponse](t)(before.admin.PutPolicy(ctx, &directoryv1.PutPolicyRequest{TenantId: contoso, Policy: &directoryv1.Policy{
		Name: "Report", IncludeUsers: []string{"All"}, IncludeResources: []string{"All"}, Grant: "block", State: "report",
	}}))
	view := shown(t, before, contoso)
	keys, inUse := signingKeys(t, idpv1.NewMetadataServiceClient(overFront(t, before)))
	nonce := before.nonce(t)
	if err := before.svc.Close(); err != nil {
		t.Fatal(err)
	}

	after := worldWithItsKeys(t, cfg)
	for i, m := range shown(t, after, contoso) {
		if !proto.Equal(m, view[i]) {
			t.Errorf("before: %v\nafter:  %v", view[i], m)
		}
	}
	again, nowInUse := signingKeys(t, idpv1.NewMetadataServiceClient(overFront(t, after)))
	if nowInUse != inUse || len(again) != len(keys) {
		t.Errorf("%d keys with %s in use became %d with %s", len(keys), inUse, len(again), nowInUse)
	}
	for kid, key := range keys {
		if again[kid] == nil || !again[kid].Equal(key) {
			t.Errorf("key %s is gone", kid)
		}
	}
	if _, err := newGraph(t, after).me(token); err != nil {
		t.Errorf("an access token from before: %v", err)
	}
	kept := s.in(after)
	if err := kept.use(t); err != nil {
		t.Errorf("a PRT from before: %v", err)
	}
	renewed, _ := kept.renew(t, kept.renewal(t))
	if err := renewed.use(t); err != nil {
		t.Error(err)
	}
	if err := old.in(after).use(t); err != nil {
		t.Errorf("a PRT under the key before the last: %v", err)
	}
	wantCode(t, revoked.in(after).use(t), aadsts.FreshTokenNeeded)
	if err := kept.d.first(t, alice, "a new and better one").use(t); err != nil {
		t.Errorf("the new password and the device certificate: %v", err)
	}
	wantCode(t, second(after.requestPRT(kept.d.sign(t, kept.d.claims(t, alice, alicePassword)))), aadsts.InvalidCredentials)
	c := kept.d.claims(t, alice, "a new and better one")
	c.RequestNonce = nonce // what it was used for is forgotten, so it is good for nothing
	wantCode(t, second(after.requestPRT(kept.d.sign(t, c))), aadsts.InvalidNonce)
}

func TestDEP05_ARestartForgetsEverythingByDefault(t *testing.T) {
	before, after := worldWithItsKeys(t, idp.Config{}), worldWithItsKeys(t, idp.Config{})
	setPassword(t, before, alice, "a new and better one")
	s := before.join(t, alice, "a new and better one", 1, 2).first(t, alice, "a new and better one")
	token := s.tokens(t, s.redemption(t, office, graph)).AccessToken.Reveal()
	wantCode(t, s.in(after).use(t), aadsts.InvalidGrant)
	lost := s.in(after).d
	wantCode(t, second(after.requestPRT(lost.sign(t, lost.claims(t, alice, alicePassword)))), aadsts.DeviceAuthenticationFailed)
	parsed, err := jose.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := signingKeys(t, idpv1.NewMetadataServiceClient(overFront(t, after)))
	if keys[parsed.Header.Kid] != nil {
		t.Error("two identity providers have one key")
	}
	after.join(t, alice, alicePassword, 1, 2)
}

func TestDEP05_StateIsKeptWhenTheSettingSaysSo(t *testing.T) {
	for setting, files := range map[string]int{"": 0, "keep": 1} {
		dir := filepath.Join(t.TempDir(), "state")
		c, err := idp.Wire(&run.Env{StateDir: dir, Settings: map[string]string{"state": setting}})
		if err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(dir, "idp.db"))
		if err != nil || len(found) != files {
			t.Errorf("%q: %v, %v", setting, found, err)
		}
		_ = c.Service.Close()
	}
	if _, err := idp.Wire(&run.Env{Settings: map[string]string{"state": "maybe"}}); err == nil || !strings.Contains(err.Error(), "setting state") {
		t.Errorf("%v", err)
	}

}

func TestMakersOfTPMsAsASetting(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.pem"), filepath.Join(dir, "bad.pem")
	for path, text := range map[string][]byte{good: tpmMaker().PEM(), bad: []byte("x")} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none, two, many, broken := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	for path, text := range map[string][]byte{
		filepath.Join(two, "a.pem"): tpmMaker().PEM(), filepath.Join(two, "notes.txt"): []byte("x"),
		filepath.Join(broken, "a.pem"): tpmMaker().PEM(), filepath.Join(broken, "b.pem"): []byte("x"),
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 65 {
		if err := os.WriteFile(filepath.Join(many, fmt.Sprintf("%d.pem", i)), tpmMaker().PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for setting, problem := range map[string]string{
		"emulated=" + none: "", "emulated=" + two: "", "emulated=" + two + ",emulated=" + good: "stands before", "emulated=" + broken: "b.pem", "emulated=" + many: "more than 64 makers",
		"": "", "emulated=" + good: "", "hardware=" + good + ",emulated=" + good: "stands before", good: "KIND=PATH", "emulated=" + filepath.Join(dir, "none"): "setting tpm-makers",
		"emulated=" + bad: "is not certificates in PEM", "software=" + good: "hardware and emulated",
	} {
		c, err := idp.Wire(&run.Env{Settings: map[string]string{"tpm-makers": setting}})
		if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
			t.Errorf("%q: %v", setting, err)
		}
		if err == nil {
			if svc, ok := c.Service.(*idp.Service); ok {
				_ = svc.Close()
			}
		}
	}
}

// TestQuickHashesAreNeverKept: hashes that protect nothing stay out of files.
func TestQuickHashesAreNeverKept(t *testing.T) {
	if _, err := idp.New(idp.Config{QuickHashes: true, StateDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "StateDir") {
		t.Errorf("quick hashes in a file: %v", err)
	}
	w := newWorld(t, idp.Config{QuickHashes: true})
	d := w.join(t, alice, alicePassword, 0, 1)
	d.first(t, alice, alicePassword)
	_, err := w.requestPRT(d.sign(t, d.claims(t, alice, "wrong")))
	wantCode(t, err, aadsts.InvalidCredentials)
}
