package acceptance_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// hresultLocked is NTE_BAD_KEY_STATE.
const hresultLocked = 0x8009000B

// carriers are the ways of a device to the cloud, with both forms of session key.
func carriers() map[string]lab.Config {
	return map[string]lab.Config{
		"gRPC": {TPM: "soft:"}, "HTTPS": {TPM: "soft:", HTTPS: true}, "gRPC, native": {TPM: "soft:", NativeSessionKeys: true},
		"HTTPS, native": {TPM: "soft:", HTTPS: true, NativeSessionKeys: true},
	}
}

// flowsOf does something and tells which kinds of request the identity provider's log
// has of it, with how they ended.
func (w *world) flowsOf(do func()) []string {
	w.t.Helper()
	log := func() []*directoryv1.SignIn {
		a, err := directoryv1.NewReadServiceClient(w.device.Operator.Directory).ListSignIns(w.t.Context(), &directoryv1.ListSignInsRequest{Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		return a.GetSignIns()
	}
	before := len(log())
	do()
	var flows []string
	for _, e := range log()[before:] {
		flows = append(flows, e.GetFlow()+" "+e.GetOutcome())
	}
	return flows
}

// tokenBy is flowsOf a token.
func (w *world) tokenBy(d *lab.Device, desktop actor.Desktop) []string {
	w.t.Helper()
	return w.flowsOf(func() {
		if _, err := w.token(d, desktop); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) wantFlows(what string, got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: the identity provider saw %q, want %q", what, got, want)
	}
}

// refreshFiles are the files of the broker with refresh tokens in them.
func refreshFiles(t testing.TB, d *lab.Device) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(d.StateDir("wam-broker"), func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && len(e.Name()) == 64+len(".json") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// opens has the tpm-agent try a refresh token for a user's session, as lsa-cloudap
// would, with what is on disk and without any network.
func (w *world) opens(d *lab.Device, upn, refreshFile string) error {
	w.t.Helper()
	var token struct{ Sealed []byte }
	readJSON(w.t, refreshFile, &token)
	names, _ := filepath.Glob(filepath.Join(d.StateDir("lsa-cloudap"), "partitions", "*.json"))
	for _, name := range names {
		var p struct {
			Tenant string `json:"tenant_id"`
			User   string `json:"user_id"`
			Kind   string `json:"credential_kind"`
			UPN    string `json:"user_principal_name"`
			Key    []byte `json:"sealed_session_key"`
		}
		readJSON(w.t, name, &p)
		if p.UPN != upn {
			continue
		}
		conn, err := w.lab.Dial(w.t.Context(), "lsa-cloudap", d.Key("tpm-agent"))
		if err != nil {
			w.t.Fatal(err)
		}
		_, err = tpmv1.NewPRTKeyServiceClient(conn).SignTokenRequest(w.t.Context(), &tpmv1.SignTokenRequestRequest{
			Partition:  &tpmv1.Partition{TenantId: p.Tenant, UserId: p.User, CredentialKind: p.Kind},
			SessionKey: &tpmv1.SealedSessionKey{Sealed: p.Key}, ClientId: w.tenant.App, Resource: w.tenant.Resource, RequestNonce: "AQAB.n",
			Grant: &tpmv1.SignTokenRequestRequest_RefreshToken{RefreshToken: &tpmv1.SealedToken{Sealed: token.Sealed}},
		})
		return err
	}
	w.t.Fatalf("%s has no partition", upn)
	return nil
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func locked(err error) bool {
	var e *prterr.Error
	return errors.As(err, &e) && e.Kind == prterr.Conflict && e.HRESULT == hresultLocked
}

// TestPRO10_AColdStartOpensTheCacheOnlyWithTheIdentityProvider: after a restart of the
// tpm-agent the cached refresh token opens to nobody while there is no network; with it
// the identity provider delivers its key, the TPM opens, and the same refresh token is
// redeemed. The last sign-off locks again, and a disabled user stays locked out.
func TestPRO10_AColdStartOpensTheCacheOnlyWithTheIdentityProvider(t *testing.T) {
	for name, cfg := range carriers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cfg)
			w.join(w.device)
			desktop := w.signIn(w.device)
			w.wantFlows("the first token", w.tokenBy(w.device, desktop), "redeem_prt success", "data_key success")
			w.wantFlows("the second", w.tokenBy(w.device, desktop), "redeem_refresh_token success")
			files := refreshFiles(t, w.device)
			if len(files) != 1 {
				t.Fatalf("refresh tokens in %v", files)
			}
			before, _ := os.ReadFile(files[0])

			w.must(w.device.SetOffline(true))
			w.must(w.device.Restart(t.Context(), "tpm-agent"))
			if err := w.opens(w.device, w.tenant.User, files[0]); !locked(err) {
				t.Errorf("a cold start without a network: %v", err)
			}
			if _, err := w.token(w.device, desktop); prterr.KindOf(err) != prterr.Unavailable {
				t.Errorf("a token without a network: %v", err)
			}

			w.must(w.device.SetOffline(false))
			if now, _ := os.ReadFile(files[0]); string(now) != string(before) {
				t.Error("the refresh token in the cache is another one")
			}
			w.wantFlows("with the network", w.tokenBy(w.device, desktop), "data_key success", "redeem_refresh_token success")
			if err := w.opens(w.device, w.tenant.User, files[0]); err != nil {
				t.Errorf("unlocked: %v", err)
			}
			w.must(w.device.LogonUI.SignOut(t.Context(), desktop))
			if err := w.opens(w.device, w.tenant.User, refreshFiles(t, w.device)[0]); !locked(err) {
				t.Errorf("after the last sign-off: %v", err)
			}
			w.disabledStaysLocked()
		})
	}
}

// disabledStaysLocked: who may not use the PRT gets no key, and nothing opens.
func (w *world) disabledStaysLocked() {
	w.t.Helper()
	desktop := w.signIn(w.device)
	admin := directoryv1.NewAdminServiceClient(w.device.Operator.Directory)
	if _, err := admin.SetUserEnabled(w.t.Context(), &directoryv1.SetUserEnabledRequest{UserPrincipalName: w.tenant.User}); err != nil {
		w.t.Fatal(err)
	}
	w.wantFlows("a disabled user", w.flowsOf(func() {
		if _, err := w.token(w.device, desktop); prterr.CodeOf(err) != aadsts.UserDisabled {
			w.t.Errorf("a disabled user: %v", err)
		}
	}), "data_key refused")
	if err := w.opens(w.device, w.tenant.User, refreshFiles(w.t, w.device)[0]); !locked(err) {
		w.t.Errorf("of a disabled user: %v", err)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestPRO09_TheCacheIsOfOneUserOnOneMachine: a refresh token under another user's name
// and one that was copied to another machine open to nobody, and the app gets its token
// by the PRT of who asks. No app ever sees one.
func TestPRO09_TheCacheIsOfOneUserOnOneMachine(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "soft:"})
	w.join(w.device)
	alice := w.signIn(w.device)
	bobUPN := demo.People()["bob"].UPN
	bob, _, err := w.device.LogonUI.SignIn(t.Context(), bobUPN, demo.People()["bob"].Password)
	w.must(err)
	_, err = w.token(w.device, alice)
	w.must(err)
	alices := refreshFiles(t, w.device)[0]
	_, err = w.token(w.device, bob)
	w.must(err)
	bobs := refreshFiles(t, w.device)[0]
	if bobs == alices {
		bobs = refreshFiles(t, w.device)[1]
	}
	if err := w.opens(w.device, w.tenant.User, alices); err != nil {
		t.Fatalf("alice's own: %v", err)
	}
	if err := w.opens(w.device, bobUPN, alices); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("alice's refresh token for bob: %v", err)
	}
	copyFile(t, alices, bobs)
	w.wantFlows("with alice's file under bob's name", w.tokenBy(w.device, bob), "redeem_prt success")
	w.wantFlows("and then", w.tokenBy(w.device, bob), "redeem_refresh_token success")

	other := w.addDevice()
	w.join(other)
	elsewhere := w.signIn(other)
	w.must(ignore(w.token(other, elsewhere)))
	// Of the file of another membership nobody looks further than its head: what is sealed
	// is put into one of this machine's own.
	copySealed(t, alices, refreshFiles(t, other)[0])
	if err := w.opens(other, w.tenant.User, refreshFiles(t, other)[0]); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("alice's refresh token on another machine: %v", err)
	}
	keys, _ := filepath.Glob(filepath.Join(w.device.StateDir("lsa-cloudap"), "datakeys", "*.json"))
	for _, path := range keys {
		copyFile(t, path, filepath.Join(other.StateDir("lsa-cloudap"), "datakeys", filepath.Base(path)))
	}
	w.must(other.Restart(t.Context(), "tpm-agent"))
	w.wantFlows("with all files of the other machine", w.tokenBy(other, elsewhere), "data_key success", "redeem_prt success")

	resp, _, err := w.device.App(w.tenant.App).Token(t.Context(), alice, w.tenant.Resource, true)
	w.must(err)
	var token struct{ Sealed []byte }
	readJSON(t, alices, &token)
	if text := resp.String() + resp.GetAccessToken(); strings.Contains(text, string(token.Sealed)) || resp.ProtoReflect().Descriptor().Fields().ByName("refresh_token") != nil {
		t.Error("an app's answer has a refresh token")
	}
}

func ignore(_ string, err error) error { return err }

// copySealed copies what is sealed in a file into another one.
func copySealed(t testing.TB, from, to string) {
	t.Helper()
	var stolen, file map[string]any
	readJSON(t, from, &stolen)
	readJSON(t, to, &file)
	file["sealed"] = stolen["sealed"]
	writeJSON(t, to, file)
}

func writeJSON(t testing.TB, path string, from any) {
	t.Helper()
	raw, err := json.Marshal(from)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
