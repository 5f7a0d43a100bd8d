package acceptance_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// signedForm is a signed request as it was in a form, read without trust.
type signedForm struct {
	header struct {
		Alg, Ctx string
		KDFVer   int `json:"kdf_ver"`
		X5C      any
	}
	claims struct {
		RefreshToken string `json:"refresh_token"`
		RequestNonce string `json:"request_nonce"`
		GrantType    string `json:"grant_type"`
		Username     string
		Password     string
		Scope        string
		Iss          string
	}
}

func readForm(t *testing.T, form url.Values) signedForm {
	t.Helper()
	parts := strings.Split(form.Get("request"), ".")
	if len(parts) != 3 {
		t.Fatalf("no compact token in %v", form)
	}
	var out signedForm
	for i, into := range []any{&out.header, &out.claims} {
		raw, err := jose.DecodeSegment(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// renewals are the exchanges in which a PRT is renewed: signed with a session key, and
// asking for one.
func renewals(t *testing.T, all []exchange) (out []exchange) {
	t.Helper()
	for _, x := range all {
		if x.form.Has("request") {
			if f := readForm(t, x.form); f.header.Alg == jose.HS256 && slices.Contains(strings.Fields(f.claims.Scope), "aza") {
				out = append(out, x)
			}
		}
	}
	return out
}

// TestREN04_REN07_ARenewalOnTheWire: what a real device sends when its user signs in after more than four hours: the
// credential, a nonce that it was just given, and the PRT that it got, under its session key
// alone; and the answer is encrypted under that key, with a session key for the TPM
// inside, which the device goes on with.
func TestREN04_REN07_ARenewalOnTheWire(t *testing.T) {
	for name, native := range map[string]bool{"Entra's form": false, "native": true} {
		t.Run(name, func(t *testing.T) {
			w, wire := tapped(t, lab.Config{TPM: "mem:", NativeSessionKeys: native})
			w.join(w.device)
			desktop := w.signIn(w.device)
			var issued struct {
				PRT string `json:"refresh_token"`
			}
			for _, x := range wire.took() {
				if x.form.Has("request") && x.status == http.StatusOK {
					if err := json.Unmarshal([]byte(x.answer), &issued); err != nil {
						t.Fatal(err)
					}
				}
			}
			if issued.PRT == "" {
				t.Fatal("no PRT was seen to be issued")
			}
			if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
				t.Fatal(err)
			}
			if err := w.lab.Advance(t.Context(), 5*time.Hour); err != nil {
				t.Fatal(err)
			}
			imports := w.asked("ImportSessionKey")
			desktop = w.signIn(w.device)
			w.settle(w.device)
			passed := wire.took()
			sent := renewals(t, passed)
			if len(sent) != 1 {
				t.Fatalf("%d renewals", len(sent))
			}
			f := readForm(t, sent[0].form)
			version := map[bool]int{false: 2, true: 3}[native]
			ctx, err := jose.DecodeSegment(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(f.header.Ctx))
			if err != nil || len(ctx) != 24 || f.header.KDFVer != version || f.header.X5C != nil {
				t.Errorf("header %+v, context of %d bytes, %v", f.header, len(ctx), err)
			}
			if f.claims.RefreshToken != issued.PRT || f.claims.Username != w.tenant.User || f.claims.Password != w.tenant.Password.Reveal() || f.claims.Iss != "aad:brokerplugin" {
				t.Error("the claims are not those of the PRT and the credential")
			}
			given := slices.ContainsFunc(passed, func(x exchange) bool {
				return f.claims.RequestNonce != "" && strings.Contains(x.answer, f.claims.RequestNonce)
			})
			if !given {
				t.Error("the nonce is not one that was just given")
			}
			if n := strings.Count(sent[0].answer, "."); sent[0].status != http.StatusOK || n != 4 || strings.Contains(sent[0].answer, "refresh_token") {
				t.Errorf("%d: the answer is no compact JWE", sent[0].status)
			}
			if got := w.asked("ImportSessionKey"); got == imports {
				t.Error("no session key came into the TPM")
			}
			if w.mustToken(desktop) == "" {
				t.Error("no token with the new PRT and its key")
			}
		})
	}
}

// TestREN06_SingleFaultsOnTheWire: one fault each in an honest renewal of a real device, and none of them renews
// anything; without a fault it does.
func TestREN06_SingleFaultsOnTheWire(t *testing.T) {
	w, wire := tapped(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	var old string
	for _, spoil := range []struct {
		name string
		form func(url.Values)
		// disabled where the device is disabled meanwhile.
		disabled bool
		code     string
	}{
		{name: "signature", form: func(form url.Values) {
			r := []byte(form.Get("request"))
			at := len(r) - 10
			r[at] = map[bool]byte{true: 'B', false: 'A'}[r[at] == 'A']
			form.Set("request", string(r))
		}, code: "AADSTS140001"},
		{name: "an older request", form: func(form url.Values) { form.Set("request", old) }, code: "AADSTS140000"},
		{name: "device", disabled: true, code: "AADSTS135011"},
	} {
		t.Run(spoil.name, func(t *testing.T) {
			if err := w.lab.Advance(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			before, _ := w.prt(w.device)
			if spoil.disabled {
				w.enable(false)
			}
			wire.set(spoil.form)
			wire.took()
			if err := w.lab.Advance(t.Context(), 4*time.Hour+time.Minute); err != nil {
				t.Fatal(err)
			}
			w.sees(wire, spoil.code)
			w.settle(w.device)
			if after, _ := w.prt(w.device); after != before {
				t.Error("the PRT was renewed")
			}
			wire.set(nil)
			if spoil.disabled {
				w.enable(true)
			}
			if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
				t.Fatal(err)
			}
			desktop = w.signIn(w.device)
			w.settle(w.device)
			if after, _ := w.prt(w.device); after == before {
				t.Error("an honest renewal afterwards did not happen")
			}
			for _, x := range renewals(t, wire.took()) {
				old = x.form.Get("request")
			}
		})
		if old == "" {
			t.Fatal("no renewal was seen")
		}
	}
}

// sees waits until an error of the identity provider went by.
func (w *world) sees(wire *tap, code string) {
	w.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if slices.ContainsFunc(wire.took(), func(x exchange) bool { return strings.Contains(x.answer, code) }) {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("nobody was told %s", code)
		}
	}
}

// enable disables the device at the tenant, or enables it.
func (w *world) enable(yes bool) {
	w.t.Helper()
	id, err := w.device.ID(w.t.Context())
	if err == nil {
		_, err = w.admin().SetDeviceEnabled(w.t.Context(), &directoryv1.SetDeviceEnabledRequest{DeviceId: id, Enabled: yes})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestREN21_SignInsAndAppsAtOnceWhenARenewalIsDue: one PRT is left, which is good, in memory and on disk.
func TestREN21_SignInsAndAppsAtOnceWhenARenewalIsDue(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			w.join(w.device)
			desktop := w.signIn(w.device)
			before, _ := w.prt(w.device)
			if err := w.lab.Advance(t.Context(), 5*time.Hour); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					d := desktop
					var err error
					if i%2 == 0 {
						d, _, err = w.device.LogonUI.SignIn(t.Context(), w.tenant.User, w.tenant.Password)
					}
					if err == nil {
						_, _, err = w.device.App(w.tenant.App).Token(t.Context(), d, w.tenant.Resource, true)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			w.settle(w.device)
			if after, _ := w.prt(w.device); after == before {
				t.Error("nothing was renewed")
			}
			for range 2 {
				again := w.signIn(w.device)
				if w.mustToken(again) == "" || w.browse(w.device, again, actor.Visit{}.Cookie).SignInPage {
					t.Error("the PRT that is left is not good")
				}
				if err := w.device.Restart(t.Context(), "lsa-cloudap"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestPRO11_ThirtyOneDaysOfRenewals: the session key is rolled meanwhile, and nobody notices: not the app with a
// refresh token of the first key, not the browser, not who signs in.
func TestPRO11_ThirtyOneDaysOfRenewals(t *testing.T) {
	for name, cfg := range map[string]lab.Config{
		"gRPC": {}, "HTTPS": {HTTPS: true}, "gRPC, native": {NativeSessionKeys: true}, "HTTPS, native": {HTTPS: true, NativeSessionKeys: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.TPM = "mem:"
			w := newWorld(t, cfg)
			w.join(w.device)
			desktop := w.signIn(w.device)
			w.mustToken(desktop)
			for day := range 31 {
				if err := w.device.LogonUI.SignOut(t.Context(), desktop); err != nil {
					t.Fatal(err)
				}
				if err := w.lab.Advance(t.Context(), 24*time.Hour); err != nil {
					t.Fatal(err)
				}
				if desktop = w.signIn(w.device); !desktop.FromCache || !desktop.RenewalStarted {
					t.Fatalf("day %d: %+v", day, desktop)
				}
				w.settle(w.device)
				if w.mustToken(desktop) == "" {
					t.Fatalf("day %d: no token", day)
				}
			}
			if w.browse(w.device, desktop, actor.Visit{}.Cookie).SignInPage {
				t.Error("the browser was asked")
			}
		})
	}
}
