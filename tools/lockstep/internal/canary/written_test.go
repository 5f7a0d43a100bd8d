package canary_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	eventv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

const (
	canaryUPN      = "canary@contoso.test"
	canaryPassword = "Canary/Pass+word=9f2c71"
	wrongPassword  = "Canary/Wrong+word=77aa10"
	canaryPIN      = "90417735528846"
	mia            = "mia@contoso.test" // who has a second factor
	miaPassword    = "two factors are better"
	miaTOTP        = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

// spelled are the forms in which a secret could have been written down.
func spelled(value string) [][]byte {
	out := [][]byte{[]byte(value), []byte(hex.EncodeToString([]byte(value))), []byte(url.QueryEscape(value)), []byte(fmt.Sprintf("%q", value))}
	for shift := range 3 { // where it begins in a group of three bytes
		padded := append(make([]byte, shift), value...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			s := enc.EncodeToString(padded)
			out = append(out, []byte(s[4:len(s)-4]))
		}
	}
	return out
}

// secrets are those of one day, by what they are.
type secrets map[string][]string

func (s secrets) in(where string, raw []byte) (found []string) {
	for what, values := range s {
		for _, v := range values {
			for _, form := range spelled(v) {
				if bytes.Contains(raw, form) {
					found = append(found, where+" holds a "+what)
				}
			}
		}
	}
	return found
}

// TestOBS11_NoSecretIsWrittenDown: of a day with a password, a wrong one, a PIN, a renewal
// and tokens, no log at its most talkative, no span, no event, no error and no file of a
// component holds a secret in any spelling; nor does a core, because there is none.
func TestOBS11_NoSecretIsWrittenDown(t *testing.T) {
	if testing.Short() {
		t.Skip("a day in a lab of processes takes its time, and -short is set")
	}
	t.Setenv("GOTRACEBACK", "crash") // an abort would leave a core
	before, _ := filepath.Glob("*")  // it would be left here, where the processes start
	dir := folder(t)
	w := newWorld(t, dir, "")
	refusals := w.canaryDay()
	events := w.events()
	w.abort("lsa-cloudap")
	state := filepath.Join(w.device.StateDir("tpm-agent"), "tpm.state")
	w.aborted = true
	w.stop()

	all := w.tap.told
	all["password"], all["wrong password"], all["PIN"] = []string{canaryPassword}, []string{wrongPassword}, []string{canaryPIN}
	w.fromAnswers(all, state)
	for _, what := range []string{"password", "PIN", "prt", "access_token", "refresh token", "data-protection key"} {
		if len(all[what]) == 0 {
			t.Errorf("no %s was seen in the whole day: the search says nothing of it", what)
		}
	}
	var found []string
	files := 0
	for _, root := range []string{filepath.Join(dir, "log"), filepath.Join(dir, "lab")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			raw, err := os.ReadFile(path)
			files++
			found = append(found, all.in(path, raw)...)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	found = append(found, all.in("a span", w.spans.all())...)
	found = append(found, all.in("an event", []byte(events))...)
	found = append(found, all.in("an error", []byte(refusals))...)
	for _, f := range found {
		t.Error(f)
	}
	count := map[string]int{}
	for what, values := range all {
		count[what] = len(values)
	}
	t.Logf("searched for %v in %d files, %d bytes of spans, %d of events, %d of errors", count, files, len(w.spans.all()), len(events), len(refusals))
	if len(w.spans.all()) < 10_000 || len(events) < 500 || len(refusals) < 50 {
		t.Error("there is too little to search in")
	}
	if left, _ := filepath.Glob("*"); !slices.Equal(left, before) {
		t.Errorf("a core was left: %v, before %v", left, before)
	}
	if len(all.in("the search itself", []byte(`x{"k":"`+base64.StdEncoding.EncodeToString([]byte("--"+canaryPassword+"--"))+`"}`))) == 0 {
		t.Error("the search does not find what is there")
	}
}

// canaryDay is the day. It returns the errors that people and apps were shown.
func (w *world) canaryDay() (refusals string) {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	if _, err := w.admin.CreateUser(ctx, &directoryv1.CreateUserRequest{UserPrincipalName: canaryUPN, Password: canaryPassword}); err != nil {
		t.Fatal(err)
	}
	must := func(d actor.Desktop, err error) actor.Desktop {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	signIn := func(upn, password string) (actor.Desktop, error) {
		d, _, err := w.device.LogonUI.SignIn(ctx, upn, secret.NewText(password))
		return d, err
	}
	refused := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("something wrong was taken")
			return
		}
		refusals += err.Error() + "\n"
	}
	_, err := signIn(canaryUPN, wrongPassword)
	refused(err)
	desktop := must(signIn(canaryUPN, canaryPassword))
	_, err = signIn(canaryUPN, wrongPassword)
	refused(err)
	for range 3 { // the PRT, then the app's refresh token
		if _, _, err := w.device.App(w.tenant.App).Token(ctx, desktop, w.tenant.Resource, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.device.App("99999999-9999-4999-8999-999999999999").Token(ctx, desktop, w.tenant.Resource, true); err != nil {
		refused(err)
	}
	if v, err := w.device.Browser.Open(ctx, desktop, w.tenant.Page, secret.Text{}); err != nil || v.SignInPage {
		t.Fatalf("no single sign-on: %v", err)
	}
	w.pinDay(refused) // before the clock of the lab is ahead of that of her authenticator
	if err := w.lab.Advance(ctx, 4*time.Hour+time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := w.device.Operator.AwaitSSOState(ctx, nil); err != nil {
		t.Fatal(err)
	}
	return refusals
}

// pinDay has mia, who has a second factor, set up Windows Hello, and use it.
func (w *world) pinDay(refused func(error)) {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	desktop, _, err := w.device.LogonUI.SignIn(ctx, mia, secret.NewText(miaPassword))
	if err != nil {
		t.Fatal(err)
	}
	client, err := w.lab.Web()
	if err != nil {
		t.Fatal(err)
	}
	pages := pageagent.Config{HTTP: client, Person: pageagent.Person{
		Name: mia, Password: secret.NewText(miaPassword), TOTP: secret.NewText(miaTOTP), Prefer: []string{pageagent.Password, pageagent.SoftwareOATH},
	}}
	if _, err := w.device.LogonUI.SetUpHello(ctx, desktop, pages, secret.NewText(canaryPIN)); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.device.LogonUI.SignInPIN(ctx, mia, secret.NewText(canaryPIN+"0"))
	refused(err)
	byPIN, _, err := w.device.LogonUI.SignInPIN(ctx, mia, secret.NewText(canaryPIN))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.device.App(w.tenant.App).Token(ctx, byPIN, w.tenant.Resource, true); err != nil {
		t.Fatal(err)
	}
}

// events are those of every component that has them, as they are shown.
func (w *world) events() string {
	w.t.Helper()
	var all strings.Builder
	for _, component := range []string{"lsa-cloudap", "wam-broker", "dsreg"} {
		conn, err := w.lab.Dial(w.t.Context(), "operator", w.device.Key(component))
		if err != nil {
			w.t.Fatal(err)
		}
		list, err := eventv1.NewEventServiceClient(conn).ListEvents(w.t.Context(), &eventv1.ListEventsRequest{})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range list.GetEvents() {
			all.WriteString(e.String() + "\n")
		}
	}
	return all.String()
}

// abort ends a component the way that makes a core.
func (w *world) abort(component string) {
	w.t.Helper()
	pid := w.pids()[component]
	if err := syscall.Kill(pid, syscall.SIGABRT); err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(status, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			w.t.Fatal("the component does not end")
		}
	}
}

// fromAnswers adds what was in the encrypted answers, opened with the session keys.
func (w *world) fromAnswers(all secrets, state string) {
	t := w.t
	t.Helper()
	tpm, err := softtpm.OpenFile(state, softtpm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tpm.Close() }()
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		t.Fatal(err)
	}
	keys := learn(t, w.tap.tokens, tpmagenttest.Unwrapper(t, w.device.StateDir("tpm-agent"), tpm))
	for _, k := range append(keys.sessions, keys.derived...) {
		all["session or derived key"] = append(all["session or derived key"], string(k.Bytes))
	}
	for _, token := range w.tap.tokens {
		a, err := entrawire.ParseAnswer(token)
		if err != nil {
			continue
		}
		for _, k := range keys.sessions {
			plain, err := a.Open(kdf.Derive(secret.NewBytes(append([]byte(nil), k.Bytes...)), a.Ctx))
			if err != nil {
				continue
			}
			for what, name := range map[string]string{"data-protection key": "data_protection_key", "refresh token": "refresh_token", "access_token": "access_token"} {
				if _, rest, ok := bytes.Cut(plain, []byte(`"`+name+`":"`)); ok {
					value, _, _ := bytes.Cut(rest, []byte(`"`))
					all[what] = append(all[what], string(value))
				}
			}
		}
	}
	for _, v := range all["data-protection key"] {
		if raw, err := base64.RawURLEncoding.DecodeString(v); err == nil {
			all["data-protection key"] = append(all["data-protection key"], string(raw))
		}
	}
}
